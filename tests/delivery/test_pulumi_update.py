"""How an update is asked, answered and ended, with a script for `pulumi`. With the real one: tests/engine."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import psutil
import pytest

from delivery import pulumi_update
from delivery.console import Progress, UnusableError
from delivery.pulumi_cli import Pulumi, PulumiError
from delivery.pulumi_update import Update
from tests.delivery.test_pulumi_cli import BEGUN, DONE, ERROR, METADATA

SUMMARY = {"summaryEvent": {"durationSeconds": 1}}
PROGRAM = """#!{python}
import json, os, sys, termios, time, tty
def tell(*events):
    with open(sys.argv[sys.argv.index("--event-log") + 1], "w") as log:
        log.writelines(json.dumps(event) + chr(10) for event in events)
def answer():
    before = termios.tcgetattr(0)
    tty.setraw(0)
    read = b""
    while not read.endswith(b"\\r"):
        read += os.read(0, 1)
    termios.tcsetattr(0, termios.TCSADRAIN, before)
    with open({answers!r}, "a") as file:
        file.write(read.decode().strip() + chr(10))
    return read == b"yes\\r"
"""
ASKS = "if not answer(): sys.exit(255)\n"


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[[str], Pulumi]:
    """A stack whose `pulumi` does this."""

    def make(body: str) -> Pulumi:
        program = tmp_path / "pulumi"
        program.write_text(PROGRAM.format(python=sys.executable, answers=str(tmp_path / "answers")) + body)
        program.chmod(0o755)
        told = {"DATABRICKS_TOKEN": "canary-token", "PULUMI_SKIP_CONFIRMATIONS": "true", "TF_BUILD": "True"}
        return Pulumi(tmp_path, "prod", {"PATH": str(tmp_path), **told})

    return make


def previews(*events: Any) -> str:
    return f"tell(*json.loads({json.dumps(json.dumps([*events, SUMMARY]))}))\n"


def answers(folder: Path) -> list[str]:
    file = folder / "answers"
    return file.read_text().split() if file.exists() else []


def test_what_was_previewed_is_done_after_a_yes(scripted: Callable[[str], Pulumi], tmp_path: Path) -> None:
    done: list[Any] = []
    with Update(scripted(previews(BEGUN) + ASKS + previews(BEGUN, DONE)), "release 1") as update:
        assert update.previewed().counts() == {"update": 1}
        assert answers(tmp_path) == []
        assert update.go_on(Progress(), after=done.append).counts() == {"update": 1}
    assert done == [METADATA]
    assert answers(tmp_path) == ["yes"]


def test_whoever_leaves_without_a_word_has_said_no(scripted: Callable[[str], Pulumi], tmp_path: Path) -> None:
    with Update(scripted(previews(BEGUN) + ASKS), "release 1") as update:
        update.previewed()
    with suppress(KeyError), Update(scripted(previews(BEGUN) + ASKS), "release 1") as update:
        update.previewed()
        raise KeyError
    assert answers(tmp_path) == ["no", "no"]


def test_nothing_says_yes_in_advance_and_an_agent_is_asked_as_well(
    scripted: Callable[[str], Pulumi], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    names = ["PULUMI_SKIP_CONFIRMATIONS", "PULUMI_DISABLE_CI_DETECTION"]
    noting = f"open({str(told)!r}, 'w').write(json.dumps([sys.argv[1:], *(os.environ[name] for name in {names})]))\n"
    with Update(scripted(noting + previews(BEGUN) + ASKS), "release 1", exclude=["**:a:**"]) as update:
        update.previewed()
    arguments, *values = json.loads(told.read_text())
    assert values == ["false", "true"]
    assert arguments[:6] == ["up", "--yes=false", "--skip-preview=false", "--message", "release 1", "--exclude=**:a:**"]
    assert "--non-interactive" not in arguments


def test_an_engine_that_fails_before_it_asks_is_told_with_its_words(scripted: Callable[[str], Pulumi]) -> None:
    with (
        Update(scripted(previews(BEGUN, ERROR) + "sys.exit(255)"), "release 1") as update,
        pytest.raises(PulumiError, match=r"pulumi preview --stack prod: notebook-load: refused: \*\*\*"),
    ):
        update.previewed()
    locked = r"print('\x1b[38;5;1merror: \x1b[0mthe stack is currently locked', file=sys.stderr); sys.exit(255)"
    with (
        Update(scripted(locked), "release 1") as update,
        pytest.raises(UnusableError, match="pulumi preview --stack prod: the stack is currently locked"),
    ):
        update.previewed()


def test_an_update_that_fails_has_the_steps_until_then(scripted: Callable[[str], Pulumi]) -> None:
    with Update(scripted(previews(BEGUN) + ASKS + previews(BEGUN, ERROR) + "sys.exit(255)"), "release 1") as update:
        update.previewed()
        with pytest.raises(PulumiError, match="pulumi up --stack prod: notebook-load") as failed:
            update.go_on()
    assert failed.value.plan.counts() == {"update": 1}


def test_an_engine_that_goes_on_without_asking_is_found_out(scripted: Callable[[str], Pulumi]) -> None:
    with (
        Update(scripted(previews(BEGUN)), "release 1") as update,
        pytest.raises(UnusableError, match=r"it ended without asking .* pulumi stack history --stack prod"),
    ):
        update.previewed()


def test_a_terminal_that_is_used_during_the_preview_is_no_question(
    scripted: Callable[[str], Pulumi], tmp_path: Path
) -> None:
    draws = "tell(); before = termios.tcgetattr(0); tty.setraw(0); time.sleep(0.3)\n"
    draws += "termios.tcsetattr(0, termios.TCSADRAIN, before)\n"
    with Update(scripted(draws + previews(BEGUN) + ASKS), "release 1") as update:
        assert update.previewed().counts() == {"update": 1}
    assert answers(tmp_path) == ["no"]


def test_what_it_asks_before_there_is_an_engine_is_told_and_not_waited_for(
    scripted: Callable[[str], Pulumi], tmp_path: Path
) -> None:
    asks = r"print('\r\x1b[?25lEnter your passphrase\r\n  of canary-token: \x1b[7;95m \x1b[0m', end='', flush=True)"
    with (
        Update(scripted(f"{asks}\nanswer()"), "release 1") as update,
        pytest.raises(
            UnusableError, match=r"it asks: Enter your passphrase of \*\*\*:; .* PULUMI_CONFIG_PASSPHRASE or"
        ),
    ):
        update.previewed()
    assert answers(tmp_path) == [], "it was taken for another question"


def test_a_preview_that_nobody_wants_any_more_is_ended(scripted: Callable[[str], Pulumi], tmp_path: Path) -> None:
    with Update(scripted("time.sleep(600)"), "release 1") as update:
        Timer(0.3, update.interrupt).start()
        with pytest.raises(UnusableError):
            update.previewed()
    with Update(scripted("time.sleep(600)"), "release 1"):
        pass
    assert answers(tmp_path) == []


def test_an_engine_that_does_not_end_is_killed_if_it_has_changed_nothing(
    scripted: Callable[[str], Pulumi], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pulumi_update, "_END_SECONDS", 0.2)
    deaf = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); open({str(tmp_path / 'pid')!r}, 'w')"
    deaf += ".write(str(os.getpid())); time.sleep(600)"
    with Update(scripted(deaf), "release 1"):
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_without_pulumi_the_remedy_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    update = Update(Pulumi(tmp_path, "prod", {"PATH": str(tmp_path)}), "release 1")
    with pytest.raises(UnusableError, match="install it"), update:
        pass
