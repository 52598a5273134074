"""`deploy` and `drift` with an engine that only pretends: every request and step may be the last one."""

import json
import os
import signal
import socket
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from delivery import deploy, drift_repair
from delivery.console import Progress, UnusableError
from delivery.deploy_content import Reading
from delivery.plan import Plan, Step
from delivery.pulumi_cli import PulumiError
from delivery.record import Holder
from delivery.workspace import Found, Workspace
from tests.delivery.pretended import FOLDER, Engine, KilledError, Site


def check_truth(site: Site) -> str:
    """Gives the recorded state; asserts that it is true."""
    record = site.record()
    if record is None:
        return "nothing"
    current = site.says[record["current"]["content"]] if record["current"] else "nothing"
    if record["state"] == "deployed":
        assert site.there() == {current}
    else:
        assert site.there() <= {current, site.says[record["attempt"]["content"]]}
    return str(record["state"])


@pytest.mark.parametrize("first", [True, False], ids=["first release", "later release"])
def test_killed_at_every_single_request_the_record_is_true_and_a_repetition_finishes(site: Site, first: bool) -> None:
    states = set()
    for moment in range(1000):
        if first:
            client = site.workspace().client.workspace
            client.mkdirs(FOLDER)
            client.delete(FOLDER, recursive=True)
        else:
            assert site.deploy("old") == 0
        with pytest.MonkeyPatch.context() as monkeypatch:
            site._monkeypatch = monkeypatch
            asked = site.dying_after(moment)
            killed = False
            try:
                site.deploy("new")
            except KilledError:
                killed = True
        states.add(check_truth(site))
        if not killed:
            assert asked() == moment
            break
        # The dead process was this very one, which is alive: say that it isn't.
        assert site.deploy("new", "--take-over") == 0
        assert check_truth(site) == "deployed"
        assert site.there() == {"new"}
        assert site.workspace().read_json("lock.json") is None
    assert states == {"deploying", "deployed", *(["nothing"] if first else [])}


@pytest.mark.parametrize("moment", [0, 1, 4, 7, 11, 19, 24])
def test_with_databricks_down_from_some_request_on_a_repetition_finishes(
    site: Site, moment: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("old") == 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        site._monkeypatch = monkeypatch
        site.dying_after(moment, UnusableError("Databricks", "no answer", "see whether the workspace is up"))
        assert site.deploy("new") == 2
    assert "error: Databricks: no answer; see whether the workspace is up" in capsys.readouterr().err
    check_truth(site)
    # The lock couldn't be taken away either.
    assert site.deploy("new", "--take-over") == 0
    assert site.there() == {"new"}
    assert check_truth(site) == "deployed"


def test_an_engine_that_fails_is_recorded_with_its_words(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.deploy("old") == 0
    site.engine.error = PulumiError("pulumi up", ["no quota left"], Plan())
    assert site.deploy("new") == 1
    assert "no quota left" in capsys.readouterr().err
    record = site.record()
    assert (record["state"], site.says[record["current"]["content"]]) == ("failed", "old")
    assert "no quota left" in record["attempt"]["error"]
    site.engine.error = None
    assert site.deploy("new") == 0
    assert [site.says[each["content"]] for each in site.record()["history"]] == ["new", "old"]


@pytest.mark.parametrize("says_when", [True, False])
def test_what_is_edited_by_hand_after_it_was_read_is_put_back_where_the_service_says_when(
    site: Site, says_when: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, found = Reading.right, Workspace.tree

    def edited(reading: Reading, progress: Progress) -> dict[str, int | None]:
        told = right(reading, progress)
        site.by_hand("data/stations.csv")
        return told

    def silent(workspace: Workspace, **more: Any) -> dict[str, Found]:
        return {path: replace(each, modified_at=None) for path, each in found(workspace, **more).items()}

    assert site.deploy("old") == 0
    monkeypatch.setattr(Engine, "up", lambda *_, **__: Plan())
    monkeypatch.setattr(Reading, "right", edited)
    if not says_when:
        monkeypatch.setattr(Workspace, "tree", silent)
    assert site.deploy("old") == 0
    assert (site.there() == {"old"}) == says_when


LOCKED = "the stack is currently locked by 1 lock(s).\n  file:///lock.json: created by ada@{} (pid {}) at 2026-11-24"


def test_a_lock_of_the_living_is_respected_and_nothing_recorded(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.deploy("old") == 0
    before = site.record()
    site.engine.error = UnusableError("pulumi up", LOCKED.format("elsewhere", 7), "look")
    assert site.deploy("new") == 1
    told = capsys.readouterr().err
    assert "ada@elsewhere (pid 7)" in told
    assert "pulumi cancel --stack prod" in told
    assert site.record() == before
    assert site.engine.cancelled == []
    assert site.workspace().read_json("lock.json") is None


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited for a lock; it takes no time."""
    waited: list[float] = []
    monkeypatch.setattr("delivery.deploy_engine.time.sleep", waited.append)
    return waited


def test_a_stack_that_is_locked_for_long_is_left_alone(
    site: Site, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    site.engine.locks = [LOCKED.format("elsewhere", 7)] * 4
    assert site.deploy("new") == 1
    told = capsys.readouterr().err
    assert "nothing was changed. Wait for its end" in told
    assert "pulumi cancel --stack prod" in told
    assert (site.record(), waits, site.engine.cancelled) == (None, [1, 2, 4], [])


def test_a_stack_that_is_locked_for_a_moment_is_waited_for(site: Site, waits: list[float]) -> None:
    site.engine.locks = [LOCKED.format("elsewhere", 7)] * 2
    assert site.deploy("new") == 0
    assert (site.there(), waits) == ({"new"}, [1, 2])


def test_a_lock_that_the_dead_left_before_their_update_is_taken_away_at_once(site: Site, waits: list[float]) -> None:
    dead = asdict(Holder.myself("ada")) | {"id": "other", "pid": 2**22 + 1}
    site.workspace().write_json("lock.json", dead)
    site.engine.locks = [LOCKED.format(socket.gethostname(), 2**22 + 2)]
    assert site.deploy("new") == 0
    assert (site.there(), waits, site.engine.cancelled) == ({"new"}, [], ["prod"])


def test_a_deployment_whose_turn_it_is_not_ends_its_engine(site: Site) -> None:
    site.workspace().write_json("lock.json", asdict(Holder.myself("ada")) | {"host": "elsewhere", "machine": "other"})
    assert site.deploy("new") == 1
    assert site.engine.interrupted


def test_a_lock_of_the_dead_is_taken_away(site: Site) -> None:
    dead = asdict(Holder.myself("ada")) | {"id": "other", "pid": 2**22 + 1}
    site.workspace().write_json("lock.json", dead)
    site.engine.error = UnusableError("pulumi up", LOCKED.format(socket.gethostname(), 2**22 + 2), "look")
    assert site.deploy("new") == 0
    assert site.engine.cancelled == ["prod"]
    assert site.there() == {"new"}


def test_a_lock_is_not_taken_away_for_the_name_of_a_host_alone(site: Site) -> None:
    site.engine.error = UnusableError("pulumi up", LOCKED.format(socket.gethostname(), 2**22 + 1), "look")
    assert site.deploy("new") == 1
    assert site.engine.cancelled == []


def test_a_lock_of_a_living_engine_outlasts_the_deployment_that_started_it(site: Site) -> None:
    dead = asdict(Holder.myself("ada")) | {"id": "other", "pid": 2**22 + 1}
    site.workspace().write_json("lock.json", dead)
    site.engine.error = UnusableError("pulumi up", LOCKED.format(socket.gethostname(), os.getppid()), "look")
    assert site.deploy("new") == 1
    assert site.engine.cancelled == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deployment_that_is_asked_to_end_outside_the_engine_is_recorded_with_the_reason(
    site: Site, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("old") == 0
    with monkeypatch.context() as during:
        during.setattr(deploy, "put_back", lambda *_: signal.raise_signal(number))
        assert site.deploy("new") == 130
    record = site.record()
    assert (record["state"], record["attempt"]["error"]) == ("failed", "it was cancelled")
    assert site.workspace().read_json("lock.json") is None
    assert site.deploy("new") == 0


def test_an_unknown_lock_of_another_machine_goes_with_the_deployment_that_was_cut_off_there(site: Site) -> None:
    holder = {"id": "other", "since": "then", "host": "elsewhere", "pid": 1, "by": "ada", "run": None}
    site.workspace().write_json("lock.json", holder)
    site.engine.error = UnusableError("pulumi up", LOCKED.format("elsewhere", 7), "look")
    assert site.deploy("new") == 1
    assert site.deploy("new", "--take-over") == 0
    assert site.engine.cancelled == ["prod"]


def test_drift_without_a_recorded_release_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.drift() == 1
    assert "no release was ever recorded" in capsys.readouterr().out
    assert site.drift("--repair") == 1
    assert "no finished release" in capsys.readouterr().err


def test_drift_after_a_cut_off_deployment_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.engine.error = PulumiError("pulumi up", ["no quota left"], Plan())
    assert site.deploy("new") == 1
    assert site.drift() == 1
    assert "its deployment isn't finished: pulumi up: no quota left" in capsys.readouterr().out


def test_drift_names_files_and_resources_in_report_and_result(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.deploy("old") == 0
    capsys.readouterr()
    site.by_hand("data/stations.csv")
    site.by_hand("mine.csv")
    token = "databricks:index/permissions:Permissions"
    urn = f"urn:pulumi:prod::databricks-cicd::databricks-cicd:databricks:FolderPermissions${token}::access"
    step = Step(operation="update", urn=urn, type=token, name="access", changed=("accessControls",))
    site.engine.drifted = (step,)
    report = site.folder / "reports" / "drift.json"
    assert site.drift("--json", "--report", str(report)) == 1
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(report.read_text())
    assert [(each["kind"], each["name"]) for each in told["differences"]] == [
        ("edited", f"{FOLDER}/data/stations.csv"),
        ("stray", f"{FOLDER}/mine.csv"),
        ("permissions", "Permissions access"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        PulumiError("pulumi refresh", ["the provider is away"], Plan()),
        UnusableError("pulumi refresh", "the provider is away", "see to it"),
    ],
)
def test_an_engine_that_fails_is_a_finding_beside_what_differs_in_the_folder(
    site: Site, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any) -> Plan:
        raise error

    assert site.deploy("old") == 0
    site.by_hand("data/stations.csv")
    monkeypatch.setattr(Engine, "refresh_preview", failing)
    report = site.folder / "drift.json"
    assert site.drift("--report", str(report)) == 1
    assert [each["kind"] for each in json.loads(report.read_text())["differences"]] == ["edited", "unknown"]
    told = capsys.readouterr().out
    assert f"edited        {FOLDER}/data/stations.csv" in told
    assert "what Pulumi manages wasn't compared: the provider is away" in told


def test_a_checkout_that_is_ahead_of_what_is_deployed_is_no_drift(site: Site) -> None:
    assert site.deploy("old") == 0
    token = "databricks:index/notebook:Notebook"
    urn = f"urn:pulumi:prod::databricks-cicd::databricks-cicd:databricks:Notebooks${token}::notebook-load"
    site.engine.drifted = (Step(operation="update", urn=urn, type=token, name="notebook-load", changed=("md5",)),)
    assert site.drift() == 0


def test_the_recorded_release_comes_from_its_build_and_must_be_that_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("old") == 0
    site.by_hand("data/stations.csv")
    asked = []

    class Client:
        def __init__(self, text: str) -> None:
            self._text = text

        def download_artifact(self, build: int, name: str, folder: Path) -> None:
            asked.append((build, name))
            site.releases[self._text].rename(folder)

    monkeypatch.setattr(drift_repair, "azure_devops_client", lambda *_: Client("new"))
    assert site.drift("--repair") == 1
    assert "digest" in capsys.readouterr().err
    assert site.workspace().tree()
    monkeypatch.setattr(drift_repair, "azure_devops_client", lambda *_: Client("old"))
    assert site.drift("--repair") == 0
    assert asked == [(17, "release")] * 2
    told = capsys.readouterr().out
    assert f"put back: edited        {FOLDER}/data/stations.csv" in told
    assert f"{FOLDER} is as it was deployed" in told


def test_mistakes_of_the_engine_before_anything_is_done_name_the_administrators_command(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def protected(_: Engine, **__: Any) -> Plan:
        raise PulumiError("pulumi preview", ["folder: it is protected"], Plan())

    monkeypatch.setattr(Engine, "preview", protected)
    assert site.deploy("new") == 1
    told = capsys.readouterr().err
    assert "it is protected" in told
    assert "pulumi state unprotect --stack prod" in told
    assert site.record() is None
