"""A workspace, two releases, and an engine that only pretends, for the tests of `deploy` and `drift`."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.workspace import ImportFormat

from delivery import deploy, deploy_engine, drift
from delivery.__main__ import main
from delivery.console import Progress, UnusableError
from delivery.pace import Kind
from delivery.plan import Plan, Step, is_guarded
from delivery.stack import read_stack
from delivery.workspace import Workspace
from delivery.workspace_objects import objects_of
from rehearsal.databricks.users import USER_KEYS
from tests.delivery.repository import FILES, Repository, packaged

TOKENS = {key: f"token-{key}-{secrets.token_hex(8)}" for key in USER_KEYS}
FOLDER = "/bikes"
PROD = b"config:\n  databricks-cicd:environment: production\n  databricks-cicd:workspace:\n    folder: /bikes\n"
PROD += b"  databricks-cicd:services:\n    databricksRequestsPerSecond: 1000\n"


class KilledError(BaseException):
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
    locks: list[str] = field(default_factory=list)  # what it says instead of a preview, one after the other
    interrupted: bool = False

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


@dataclass(frozen=True)
class Update:
    """One `up` of it."""

    engine: Engine
    exclude: Sequence[str]

    def previewed(self, _: Progress) -> Plan:
        if self.engine.locks:
            raise UnusableError("pulumi preview", self.engine.locks.pop(0), "look")
        return self.engine.preview(exclude=self.exclude)

    def go_on(self, progress: Progress, *, after: Callable[[Mapping[str, Any]], None]) -> Plan:
        return self.engine.up(progress, exclude=self.exclude, after=after)

    def interrupt(self) -> None:
        self.engine.interrupted = True


@contextmanager
def update(engine: Engine, _: str, *, exclude: Sequence[str] = ()) -> Iterator[Update]:
    yield Update(engine, exclude)


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
        monkeypatch.setattr(deploy_engine, "Update", update)
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

    def by_hand(self, path: str) -> None:
        """Puts a file there, as a person does."""
        client = self.workspace().client.workspace
        client.mkdirs(f"{FOLDER}/{path}".rpartition("/")[0])
        client.upload(f"{FOLDER}/{path}", b"by hand", format=ImportFormat.RAW, overwrite=True)

    def dying_after(self, requests: int, error: BaseException | None = None) -> Callable[[], int]:
        """From this request on nothing is sent any more; what is given says how many there were."""
        asked = 0
        original = Workspace._ask

        def ask(workspace: Workspace, what: str, send: Callable[[], Any], kind: Kind = "other") -> Any:
            nonlocal asked
            asked += 1
            if asked > requests:
                raise error or KilledError
            return original(workspace, what, send, kind)

        self._monkeypatch.setattr(Workspace, "_ask", ask)
        return lambda: asked
