"""What all commands have in common: help, exit codes, and that one needs nothing of another."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from delivery.__main__ import MODULES, main
from tests.delivery.repository import ENVIRONMENT

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", MODULES)
def test_each_command_tells_what_it_does_and_its_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"usage: python -m delivery {command}" in told
    assert "--json" in told
    assert all(f"\n  {code}  " in told.partition("exit codes:")[2] for code in (0, 2))


def test_the_list_of_commands_has_each_with_a_few_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for command in MODULES:
        [line] = [line for line in told.splitlines() if line.split()[:1] == [command]]
        assert len(line.split()) > 3


def bare(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command where nothing but Python is installed."""
    venv.create(tmp_path / "bare", with_pip=False)
    return subprocess.run(
        [str(tmp_path / "bare/bin/python"), "-B", "-m", "delivery", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_that_needs_packages_says_which_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    done = bare(tmp_path, "test", "--suite", "functional", "--results", "results")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: test: the package" in done.stderr
    assert "python -m delivery venv --lock requirements.lock" in done.stderr


def test_the_list_of_commands_can_be_read_where_nothing_is_installed(tmp_path: Path) -> None:
    done = bare(tmp_path, "--help")
    assert done.returncode == 0
    for command in ("venv", "verify", "doctor"):
        [line] = [line for line in done.stdout.splitlines() if line.split()[:1] == [command]]
        assert "aren't installed" not in line
    assert "the locked packages aren't installed" in done.stdout


def test_an_old_python_is_refused_in_words() -> None:
    old = (
        "import sys; sys.version_info = (3, 9, 2); import runpy; sys.argv = ['delivery']; runpy.run_module('delivery')"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", old], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "use Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr
