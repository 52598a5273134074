"""How Pulumi is called, and what becomes of its answers, with a script for `pulumi`. For the real one: tests/engine."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from components.control_plane import LEFT
from delivery.console import Progress, UnusableError
from delivery.pulumi_cli import Pulumi, PulumiError
from delivery.pulumi_events import hear_looked_at

NOTEBOOK = "databricks:index/notebook:Notebook"
URN = f"urn:pulumi:prod::p::databricks-cicd:databricks:Notebooks${NOTEBOOK}::notebook-load"
METADATA = {"op": "update", "urn": URN, "type": NOTEBOOK, "old": {"inputs": {}}, "new": {"inputs": {}}}
BEGUN = {"resourcePreEvent": {"metadata": METADATA}}
DONE = {"resOutputsEvent": {"metadata": METADATA}}
ERROR = {"diagnosticEvent": {"urn": URN, "severity": "error", "message": "refused: canary-token"}}


def scripted(folder: Path, *events: Any, code: int = 0, says: str = "") -> Pulumi:
    """A stack whose `pulumi` tells these events, says something and ends so."""
    program = folder / "pulumi"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "if '--event-log' in sys.argv:\n"
        "    with open(sys.argv[sys.argv.index('--event-log') + 1], 'w') as log:\n"
        f"        log.write({''.join(json.dumps(event) + chr(10) for event in events)!r})\n"
        "else:\n"
        "    print(json.dumps({'databricks-cicd:gate': {'objectValue': {'a': 1}}, 'folder': '/p'}))\n"
        f"print({says!r}, file=sys.stderr)\n"
        f"sys.exit({code})\n"
    )
    program.chmod(0o755)
    return Pulumi(folder, "prod", {"PATH": str(folder), "DATABRICKS_TOKEN": "canary-token"})


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_a_preview_is_the_plan_of_its_events(tmp_path: Path) -> None:
    assert scripted(tmp_path, BEGUN).preview().counts() == {"update": 1}


def test_an_update_tells_each_change_and_hands_it_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done: list[Any] = []
    assert scripted(tmp_path, BEGUN, DONE).up(Progress(), after=done.append).counts() == {"update": 1}
    assert done == [METADATA]
    assert "updated Notebook notebook-load" in capsys.readouterr().err


def test_a_failure_has_the_engines_words_without_secrets_and_the_plan_until_then(tmp_path: Path) -> None:
    with pytest.raises(PulumiError) as failed:
        scripted(tmp_path, BEGUN, ERROR, code=255).preview()
    assert failed.value.reasons == ("notebook-load: refused: ***",)
    assert failed.value.plan.counts() == {"update": 1}


def test_what_never_began_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"no stack named 'prod' found; see whether you are signed in"):
        scripted(tmp_path, code=255, says="error: no stack named 'prod' found").preview()
    with pytest.raises(UnusableError, match=r"\*\*\* is wrong"):
        scripted(tmp_path, code=1, says="error: canary-token is wrong").outputs()


def test_without_pulumi_the_remedy_says_where_it_is_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableError, match="install it"):
        Pulumi(tmp_path, "prod", {"PATH": str(tmp_path)}).preview()


def test_a_setting_is_read_with_its_structure(tmp_path: Path) -> None:
    pulumi = scripted(tmp_path)
    assert pulumi.config("databricks-cicd:gate") == {"a": 1}
    assert pulumi.config("databricks-cicd:none") is None


@pytest.mark.parametrize("inherited", ["", "true"])
def test_the_program_hears_that_gates_are_left_as_they_are_only_where_they_are_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inherited: str
) -> None:
    monkeypatch.setenv(LEFT, inherited)
    pulumi = scripted(tmp_path, BEGUN)
    told = tmp_path / "told"
    program = (tmp_path / "pulumi").read_text()
    noted = f"(sys.argv[1], os.environ[{LEFT!r}], [each for each in sys.argv if 'exclude' in each])"
    noting = f"import os; open({str(told)!r}, 'a').write(repr({noted}))"
    (tmp_path / "pulumi").write_text(program.replace("import json, sys\n", f"import json, sys\n{noting}\n", 1))
    pulumi.preview()
    pulumi.up(exclude=["**:azuredevops:**"])
    assert told.read_text() == "('preview', '', [])('up', 'true', ['--exclude=**:azuredevops:**'])"


def test_a_preview_says_how_many_resources_it_has_looked_at_and_not_of_how_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("delivery.console.SECONDS_BETWEEN_LINES", 0)
    hear = hear_looked_at(Progress())
    for kind in ("resourcePreEvent", "diagnosticEvent", "resourcePreEvent"):
        hear({kind: {}})
    assert capsys.readouterr().err == "  resources looked at: 1\n  resources looked at: 2\n"
