"""`deploy` and `drift` with an engine that only pretends: every request and step may be the last one."""

import json
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from databricks.sdk.service.workspace import ImportFormat

from delivery import deploy, drift, drift_repair
from delivery.__main__ import main
from delivery.console import Progress, UnusableError
from delivery.plan import GUARDED, Plan, Step, is_guarded
from delivery.pulumi_cli import PulumiError
from delivery.record import Holder
from delivery.stack import read_stack
from delivery.workspace import Workspace
from delivery.workspace_objects import objects_of
from rehearsal.databricks import create_app
from rehearsal.databricks.users import USER_KEYS
from rehearsal.service import Background
from tests.delivery.repository import FILES, Repository, packaged

TOKENS = {key: f"token-{key}-{secrets.token_hex(8)}" for key in USER_KEYS}
FOLDER = "/bikes"
PROD = b"config:\n  databricks-cicd:environment: production\n  databricks-cicd:workspace:\n    folder: /bikes\n"
PROD += b"  databricks-cicd:services:\n    databricksRequestsPerSecond: 1000\n"


class _KilledError(BaseException):
    """The process is no more."""


@dataclass
class Engine:
    """What `Pulumi` is asked, without Pulumi: `up` writes every file of the release."""

    project: Path
    stack: str
    planned: tuple[Step, ...] = ()
    excluded: list[Sequence[str]] = field(default_factory=list)
    obeys: bool = True
    drifted: tuple[Step, ...] = ()
    error: Exception | None = None
    cancelled: list[str] = field(default_factory=list)

    def outputs(self) -> dict[str, Any]:
        return {"folder": FOLDER}

    def preview(self, *, exclude: Sequence[str] = (), **_: Any) -> Plan:
        obeyed = bool(exclude) and self.obeys
        return Plan(steps=tuple(step for step in self.planned if not (obeyed and is_guarded(step))))

    def refresh_preview(self, _: Progress) -> Plan:
        return Plan(steps=self.drifted)

    def cancel(self) -> None:
        self.cancelled.append(self.stack)
        self.error = None

    def up(
        self,
        progress: Progress,
        *,
        refresh: bool = False,
        exclude: Sequence[str] = (),
        after: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> Plan:
        if self.error:
            raise self.error
        self.excluded.append(exclude)
        workspace = Workspace.of(read_stack(self.project, self.stack))
        for each in objects_of(self.project, self.stack):
            workspace.write(each, (self.project / each.source).read_bytes())
            after({"op": "update", "new": {"inputs": {"path": f"{FOLDER}/{each.path}"}}})
        return Plan()


class Site:
    """A workspace, two releases, and an engine."""

    def __init__(self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = Engine(folder, "prod")
        self.folder = folder
        self._monkeypatch = monkeypatch
        for name, value in (("HOST", url), ("TOKEN", TOKENS["administrator"]), ("AUTH_TYPE", "pat")):
            monkeypatch.setenv(f"DATABRICKS_{name}", value)
        for name in ("TF_BUILD", "BUILD_BUILDID", "SYSTEM_STAGENAME"):
            monkeypatch.delenv(name, raising=False)

        def engine(project: Path, stack: str) -> Engine:
            self.engine.project = project
            return self.engine

        for module in (deploy, drift):
            monkeypatch.setattr(module, "Pulumi", engine)
        repository = Repository(folder / "repository")
        for path, content in (FILES | {"Pulumi.prod.yaml": PROD}).items():
            repository.put(path, content)
        self.project = repository.folder
        self.says: dict[str, str] = {}
        self.releases = {text: self._release(repository, text) for text in ("old", "new")}

    def _release(self, repository: Repository, text: str) -> Path:
        repository.put("notebooks/load.py", f"# Databricks notebook source\nprint('{text}')\n".encode())
        repository.put("notebooks/data/stations.csv", text.encode())
        repository.commit()
        output = self.folder / text
        self.says[packaged(repository, output, build=True).content] = text
        return output

    def workspace(self) -> Workspace:
        return Workspace.of(read_stack(self.releases["old"], "prod"))

    def deploy(self, text: str, *more: str) -> int:
        return main(["deploy", "--artifact", str(self.releases[text]), "--stack", "prod", *more])

    def drift(self, *more: str) -> int:
        return main(["drift", "--project", str(self.project), "--stack", "prod", *more])

    def record(self) -> Any:
        return self.workspace().read_json("record.json")

    def there(self) -> set[str]:
        """Which releases the two files in the workspace are of; `nothing` for one that isn't there."""
        objects = [
            each for each in objects_of(self.releases["old"], "prod") if each.path in ("load", "data/stations.csv")
        ]
        found = self.workspace().read_all(objects, Progress())
        return {
            next((text for text in ("old", "new") if text.encode() in (content or b"")), "nothing")
            for content in found.values()
        }

    def dying_after(self, requests: int, error: BaseException | None = None) -> Callable[[], int]:
        """From this request on nothing is sent any more; what is given says how many there were."""
        asked = 0
        original = Workspace._ask

        def ask(workspace: Workspace, what: str, send: Callable[[], Any], weight: float = 1.0) -> Any:
            nonlocal asked
            asked += 1
            if asked > requests:
                raise error or _KilledError
            return original(workspace, what, send, weight)

        self._monkeypatch.setattr(Workspace, "_ask", ask)
        return lambda: asked


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    app = create_app(tmp_path / "state", control_token="control", credentials=TOKENS)
    with Background(app) as address:
        yield address


@pytest.fixture
def site(url: str, tmp_path: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Site(url, tmp_path, monkeypatch)


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
            except _KilledError:
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


def newer(site: Site, what: Literal["current", "attempt"] = "current") -> Any:
    """Lets what is recorded be of a later build than any other here; gives the record."""
    told = site.record()
    later = {"id": told[what]["build"]["id"] + 1, "number": "20261123.5"}
    for each in (told[what], *(told["history"][:1] if what == "current" else ())):
        each["build"] = later
    site.workspace().write_json("record.json", told)
    return told


def test_a_release_that_started_by_itself_does_not_put_an_older_build_over_a_newer_one(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("new") == 0
    record = newer(site)
    monkeypatch.setenv("BUILD_REASON", "ResourceTrigger")
    assert site.deploy("old") == 1
    assert "is older than 20261123.5, which is deployed to prod" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"new"}, record)
    monkeypatch.setenv("BUILD_REASON", "Manual")  # a rollback
    assert site.deploy("old") == 0
    assert site.there() == {"old"}


def test_a_newer_build_that_is_half_deployed_is_not_overtaken_either(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("old") == 0
    site.engine.error = PulumiError("pulumi up", ["no quota left"], Plan())
    assert site.deploy("new") == 1
    record = newer(site, "attempt")
    site.engine.error = None
    monkeypatch.setenv("BUILD_REASON", "ResourceTrigger")
    assert site.deploy("old") == 1
    assert "is older than 20261123.5, which has begun to be deployed to prod" in capsys.readouterr().err
    assert site.record() == record


def guarded(component: str = "DeploymentGate", kind: str = "CheckApproval") -> Step:
    token = f"azuredevops:index/{kind[0].lower()}{kind[1:]}:{kind}"
    outer = f"databricks-cicd:azuredevops:{component}"
    urn = f"urn:pulumi:prod::databricks-cicd::{outer}${token}::the-{kind.lower()}"
    return Step(operation="update", urn=urn, type=token, name=f"the-{kind.lower()}", components=(outer,))


def test_a_rollback_leaves_control_plane_and_gate_as_they_are_and_names_what_it_leaves(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("new") == 0
    newer(site)
    site.engine.planned = (guarded(), guarded("BranchPolicies", "BranchPolicyMinReviewers"))
    monkeypatch.setenv("BUILD_REASON", "Manual")
    capsys.readouterr()
    assert site.deploy("old", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left"] == [
        "gate CheckApproval the-checkapproval",
        "control plane BranchPolicyMinReviewers the-branchpolicyminreviewers",
    ]
    assert site.there() == {"old"}
    assert site.engine.excluded == [(), (GUARDED,)]
    # What lies between the two is older than something that was there, too.
    assert site.deploy("new") == 0
    assert "left as it is today, and not as in that release: gate CheckApproval" in capsys.readouterr().out


def test_a_release_that_is_no_rollback_may_not_change_a_gate(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("old") == 0
    record = site.record()
    site.engine.planned = (guarded(),)
    for reason in ("Manual", "ResourceTrigger"):
        monkeypatch.setenv("BUILD_REASON", reason)
        assert site.deploy("new") == 1
        assert f"pulumi up --stack prod --target '{GUARDED}'" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"old"}, record)


def test_a_rollback_is_refused_where_the_engine_would_change_a_gate_all_the_same(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("new") == 0
    record = newer(site)
    site.engine.planned, site.engine.obeys = (guarded(),), False
    assert site.deploy("old") == 1
    assert "it changes the gate" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"new"}, record)


def by_hand(site: Site, path: str) -> None:
    site.workspace().client.workspace.upload(f"{FOLDER}/{path}", b"by hand", format=ImportFormat.RAW, overwrite=True)


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
    by_hand(site, "data/stations.csv")
    by_hand(site, "mine.csv")
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
    by_hand(site, "data/stations.csv")
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
    by_hand(site, "data/stations.csv")
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


def test_a_gate_that_has_drifted_does_not_keep_the_rest_from_being_put_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("old") == 0
    by_hand(site, "data/stations.csv")
    token = "databricks:index/permissions:Permissions"
    urn = f"urn:pulumi:prod::databricks-cicd::databricks-cicd:databricks:FolderPermissions${token}::access"
    site.engine.planned = (guarded(), Step(operation="update", urn=urn, type=token, name="access"))
    assert site.drift("--repair", "--artifact", str(site.releases["old"])) == 0
    assert site.engine.excluded == [(), [GUARDED]]
    told = capsys.readouterr().err
    assert "not put back: CheckApproval the-checkapproval: it changes the gate" in told
    assert f"an administrator does it: pulumi up --stack prod --target '{GUARDED}' --refresh" in told
    site.engine.obeys = False
    by_hand(site, "data/stations.csv")
    assert site.drift("--repair", "--artifact", str(site.releases["old"])) == 0
    assert len(site.engine.excluded) == 2
