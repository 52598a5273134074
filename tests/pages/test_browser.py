"""Where a Chromium is found, and what is said where there is none."""

from pathlib import Path

import pytest

from rehearsal.toolchain import browser


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any; the folder of its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setattr(browser, "_PLACES", ())
    return tmp_path


def _program(path: Path, lines: str = "") -> Path:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def test_the_browser_that_is_named_comes_before_that_of_path(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _program(bare / "google-chrome")
    assert browser.ensure() == on_path
    named = _program(bare / "other")
    monkeypatch.setenv(browser.VARIABLE, str(named))
    assert browser.ensure() == named
    monkeypatch.setenv(browser.VARIABLE, str(bare / "nowhere"))
    with pytest.raises(browser.BrowserError, match="there is no such program"):
        browser.ensure()


def test_without_one_it_is_said_how_to_get_one(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(browser.BrowserError, match="install Chromium or Google Chrome, or name one: CHROMIUM="):
        browser.ensure()
    _program(bare / "apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(browser.BrowserError, match="as root: apt-get install chromium"):
        browser.ensure()


def test_root_on_debian_gets_it_installed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = bare / "log"
    copy = f"echo '#!/bin/sh' > {bare}/chromium; /bin/chmod +x {bare}/chromium"
    _program(bare / "apt-get", f'echo "$@" >> {log}; [ "$1" = update ] || {{ {copy}; }}')
    monkeypatch.setattr("os.geteuid", lambda: 0)
    told: list[str] = []
    assert browser.ensure(told.append) == bare / "chromium"
    assert told == ["installing Debian's chromium"]
    assert log.read_text().splitlines()[1].split()[-1] == "chromium"


def test_a_failed_installation_is_told_with_its_reason(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(bare / "apt-get", "echo no network >&2; exit 100")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(browser.BrowserError, match="no network"):
        browser.ensure(lambda _: None)
