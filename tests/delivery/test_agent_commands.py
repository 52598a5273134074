"""What is printed in a pipeline: no foreign word is a command to the agent, and the commands' own ones are."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from delivery import __main__, console
from delivery.__main__ import main
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, agent_command, tell
from rehearsal.agent.commands import KEYWORD, parse

EVIL = "a.py ##vso[task.setvariable variable=digest]0"
NASTY = (EVIL, "##[error]all is lost", "##VsO[task.complete result=Succeeded]", "###vso[a.b]c", "x\r##vso[a.b]c")


def command(monkeypatch: pytest.MonkeyPatch, does: Callable[[], int]) -> None:
    """`python -m delivery smoke` does this."""

    def add_parser(add: Add) -> None:
        add("smoke", lambda _: does(), "", "", "").add_argument("--number", type=int)

    monkeypatch.setattr(__main__, "import_module", lambda _: SimpleNamespace(add_parser=add_parser))


def refuse() -> int:
    raise RefusedError([Mistake(key=each, found=each, remedy=each) for each in NASTY])


def fail() -> int:
    raise ValueError(EVIL)


def warn() -> int:
    """As a library does."""
    print(EVIL, file=sys.stderr)
    return 0


def say() -> int:
    Progress().step(EVIL)
    tell(NASTY, {}, as_json=False)
    return 0


@pytest.mark.parametrize("does", [refuse, fail, warn, say])
def test_foreign_words_are_no_commands_to_the_agent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], does: Callable[[], int]
) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    command(monkeypatch, does)
    try:
        code: object = main(["smoke"])
    except SystemExit as ended:
        code = ended.code
    assert code == (1 if does in (refuse, fail) else 0)
    told = "".join(capsys.readouterr())
    assert "task.setvariable variable=digest]0" in told  # people read it nevertheless
    assert_harmless(told)


def test_wrong_usage_is_none_either(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    command(monkeypatch, say)
    with pytest.raises(SystemExit):
        main(["smoke", "--number", EVIL])
    told = capsys.readouterr().err
    assert "invalid int value" in told
    assert_harmless(told)


def assert_harmless(text: str) -> None:
    for line in text.splitlines():
        assert parse(line) is None, line
        assert KEYWORD not in line.lower()
        assert "##[" not in line


def test_json_says_the_very_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TF_BUILD", "True")

    def as_json() -> int:
        tell([], {"names": NASTY}, as_json=True, agent_commands=["##vso[a.b]c"])
        return 0

    command(monkeypatch, as_json)
    assert main(["smoke"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told) == {"names": list(NASTY)}
    assert_harmless(told)


def test_the_commands_own_are_commands_and_in_a_pipeline_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "100 %;\r\n]##vso[task.complete]"
    own = agent_command("task.setvariable", value, variable="a;b]", isOutput="true")

    def both() -> int:
        tell([EVIL], {}, as_json=False, agent_commands=[own])
        return 0

    command(monkeypatch, both)
    assert main(["smoke"]) == 0
    assert capsys.readouterr().out == f"{EVIL}\n"  # somebody's own terminal: as it is
    monkeypatch.setenv("TF_BUILD", "True")
    assert main(["smoke"]) == 0
    said = [found for line in capsys.readouterr().out.splitlines() if (found := parse(line))]
    assert [(each.area, each.event, dict(each.properties), each.data) for each in said] == [
        ("task", "setvariable", {"variable": "a;b]", "isoutput": "true"}, value)
    ]


def test_after_a_command_the_streams_are_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    command(monkeypatch, say)
    before = sys.stdout, sys.stderr
    main(["smoke"])
    assert (sys.stdout, sys.stderr) == before


def test_only_one_module_knows_how_a_command_to_the_agent_is_written() -> None:
    for path in Path(console.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "console.py" or KEYWORD not in text.lower(), path
