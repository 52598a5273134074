"""The release as `pulumi up` delivers it to the test stack: its files in the workspace of a stand-in, and its jobs.

What is delivered where is read from the committed settings by the program's own code. Jobs and rights are those that
its components declare, recorded, with every field: what the engine and the provider make of them, `tests/tour` shows.
"""

import base64
import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from databricks.sdk.service.jobs import JobSettings, Run
from databricks.sdk.service.workspace import ImportFormat, Language

from components import naming
from components.folder_permissions import FolderPermissions, FolderPermissionsArgs
from components.jobs import Jobs, JobsArgs
from components.release_commit import commit_of
from components.settings import NAMESPACE, Settings, parse
from components.settings_model import Job
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs
from rehearsal.databricks import create_app, processes
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.service import Background
from release_files import ReleaseFile
from tests.components.conftest import Program
from tests.components.recording import Recording
from tests.rehearsal.databricks import run_helpers
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

ROOT = Path(__file__).resolve().parents[2]
STACK = "test"
RESULTS = "/Volumes/test/bike_sharing/results"
PATIENCE = 900.0
"""Seconds after which a test gives up waiting for a run, on a machine that does other work."""
COMPARE = "/Shared/compare"
# Outside of the release's folder, which stays as it was deployed; uses the modules of the suites.
_COMPARE = """# Databricks notebook source
import json
import sys

sys.path[:0] = ["../bike-sharing-test", "../bike-sharing-test/tests"]
from bike_sharing_data import expected
from comparing import differences, written

prefix = "test.bike_sharing"
wrong = differences(spark, prefix, expected(rows=2000, seed=1))
dbutils.notebook.exit(json.dumps({"wrong": wrong, "written": written(spark, prefix)}))
"""
# The provider's names of lists, which Pulumi puts into the plural where the Jobs API doesn't.
_PLURALS = {
    "dependsOns": "depends_on",
    "onFailures": "on_failure",
    "onDurationWarningThresholdExceededs": "on_duration_warning_threshold_exceeded",
    "accessControls": "access_control_list",
}
_FREE = ("tags", "baseParameters")  # their keys are the user's own


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the word for it, that of each task by key, and what each failed task says."""

    run: Run
    result: str
    tasks: Mapping[str, str]
    errors: Mapping[str, str]
    seconds: float


class Release:
    """The release in a workspace: delivered by `deliver`, or by a deployment."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._settings = settings()
        self._jobs: dict[str, int] = {}

    def deliver(self) -> None:
        """Import everything that the test stack delivers, and give the rights that it gives."""
        delivered = [(self._settings.notebooks, "")]
        if self._settings.tests:
            delivered.append((self._settings.tests, f"{naming.TESTS}/"))
        for those, below in delivered:
            for file in those.release.files:
                self._import(file, below + file.workspace_path, (ROOT / those.folder / file.source).read_bytes())
        declared = _declared(self._settings, {})
        folder = self.workspace.object_id(self._settings.workspace.folder)
        self._permit(f"directories/{folder}", declared.named("permissions-access").inputs)

    def _permit(self, what: str, inputs: Mapping[str, Any]) -> None:
        body = {"access_control_list": _as_the_api(inputs)["access_control_list"]}
        answer = self.workspace.call("PUT", f"2.0/permissions/{what}", json=body)
        assert answer.status_code == 200, answer.text

    def _import(self, file: ReleaseFile, place: str, content: bytes) -> None:
        path = naming.workspace_path(self._settings.workspace.folder, place)
        api = self.workspace.sdk().workspace
        api.mkdirs(path.rpartition("/")[0])
        if file.kind == "notebook":
            assert file.format is not None
            assert file.language is not None
            form, language = ImportFormat(file.format), Language(file.language)
        else:
            # As the provider does for workspace files: the service tells by the name, and this is no notebook.
            form, language = ImportFormat.AUTO, None
        encoded = base64.b64encode(content).decode()
        api.import_(path, content=encoded, format=form, language=language, overwrite=True)

    def put(self, path: str, text: str) -> None:
        """Write a file of a volume."""
        files = self.workspace.sdk().files
        files.create_directory(path.rpartition("/")[0])
        files.upload(path, io.BytesIO(text.encode()), overwrite=True)

    @contextmanager
    def with_file(self, source: str, content: str) -> Iterator[None]:
        """The release with another content of one of its files, until the end of the block."""
        notebooks = self._settings.notebooks
        [file] = [each for each in notebooks.release.files if each.source == source]
        self._import(file, file.workspace_path, content.encode())
        try:
            yield
        finally:
            self._import(file, file.workspace_path, (ROOT / notebooks.folder / source).read_bytes())

    def job(self, key: str) -> int:
        """The id of the job, which is made when it is asked for first."""
        if key not in self._jobs:
            self._jobs[key] = self.create(key, self._settings.jobs[key])
        return self._jobs[key]

    def create(self, key: str, job: Job) -> int:
        """Make a job with its rights; gives its id."""
        declared = _declared(self._settings, {key: job})
        # Through the SDK's types, which drop what isn't a field of the Jobs API.
        given = _as_the_api(declared.one("Job").inputs)
        made = JobSettings.from_dict(given).as_dict()
        assert made == given
        job_id = run_helpers.create(self.workspace, made.pop("tasks"), **made)
        self._permit(f"jobs/{job_id}", declared.named(naming.logical_name("job", key, "permissions")).inputs)
        return job_id

    def run(self, key: str) -> Outcome:
        """Run the job of the stack to its end."""
        return self.run_job(self.job(key))

    def run_job(self, job_id: int, *, only: Sequence[str] = ()) -> Outcome:
        """Run a job to its end: all its tasks, or `only` these."""
        jobs = self.workspace.sdk().jobs
        begun = time.monotonic()
        run_id = run_helpers.start(self.workspace, job_id, only=list(only) or None)
        while run_helpers.state(run := jobs.get_run(run_id)) != "TERMINATED":
            assert time.monotonic() - begun < PATIENCE, f"run {run_id} didn't end within {PATIENCE:.0f} s"
            time.sleep(0.1)
        tasks = run_helpers.results(run)
        errors = {
            key: str(run_helpers.output(self.workspace, run, key).error)
            for key, result in tasks.items()
            if result == "FAILED"
        }
        return Outcome(run, run_helpers.result(run), tasks, errors, time.monotonic() - begun)

    def exit_of(self, path: str) -> str:
        """Run a notebook as a job of its own; what it exits with."""
        outcome = self.run_job(run_helpers.create(self.workspace, [run_helpers.task("it", path)]))
        assert outcome.errors == {}
        return str(run_helpers.output(self.workspace, outcome.run, "it").notebook_output.result)

    def looked_at(self) -> dict[str, Any]:
        """What is wrong with the daily chain's tables, and what tells of a write to them."""
        self.workspace.notebook(COMPARE, _COMPARE.encode())
        found: dict[str, Any] = json.loads(self.exit_of(COMPARE))
        return found

    def summary(self, outcome: Outcome, suite: str) -> dict[str, Any]:
        """What a suite has left in the volume."""
        contents = self.workspace.sdk().files.download(f"{RESULTS}/{suite}/{outcome.run.run_id}/summary.json").contents
        assert contents is not None
        found: dict[str, Any] = json.loads(contents.read())
        return found


@contextmanager
def released(state: Path) -> Iterator[Release]:
    """A stand-in with the release in it; everything that it started has ended afterwards."""
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, compute=Compute.below(state))
    try:
        with Background(app) as url, Workspace(url, state) as workspace:
            release = Release(workspace)
            release.deliver()
            yield release
    finally:
        app.close()
    assert processes.marked(MARKER, str(state / "runs")) == []


def of_stack() -> dict[str, Any]:
    """What the committed file of the test stack sets, by key; a copy of one's own."""
    stack = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))
    return {key.removeprefix(f"{NAMESPACE}:"): value for key, value in stack["config"].items()}


def settings(**changes: Any) -> Settings:
    """The committed settings of the test stack, those in `changes` replaced."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    values = {key: entry["default"] for key, entry in project["config"].items()} | of_stack()
    services = {"AZDO_ORG_SERVICE_URL": "http://127.0.0.1:8080/rehearsal", "DATABRICKS_HOST": "http://127.0.0.1:8081"}
    return parse(values | changes, stack=STACK, environment=services, root=ROOT)


def _declared(of: Settings, jobs: Mapping[str, Job]) -> Recording:
    """What the program's components declare of these jobs, and of the folder's rights."""

    def make(options: pulumi.ResourceOptions) -> None:
        path = of.workspace.folder
        folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder=path, protect=False), options)
        args = JobsArgs(
            environment=of.environment,
            folder=path,
            jobs=jobs,
            digest=of.notebooks.release.digest,
            commit=commit_of(ROOT, of.notebooks.folder),
            workspace_host=of.services.workspace_host,
            after=folder,
        )
        Jobs("jobs", args, options)
        rights = FolderPermissionsArgs(path=path, access=of.workspace.access, protect=False, after=[folder])
        FolderPermissions("permissions", rights, options)

    return Program().part(make)


def _as_the_api(inputs: Any) -> Any:
    """Inputs of a resource with the names of the API."""
    if isinstance(inputs, list):
        return [_as_the_api(each) for each in inputs]
    if not isinstance(inputs, Mapping):
        return inputs
    return {
        _PLURALS.get(name) or re.sub("([A-Z])", r"_\1", name).lower(): value if name in _FREE else _as_the_api(value)
        for name, value in inputs.items()
    }
