"""The release as `pulumi up` delivers it to the test stack: its files in the workspace of a stand-in, and its jobs.

What is delivered where, and what the jobs are, is read from the committed settings by the program's own code. The
jobs are made with the fields that `components/jobs.py` sets, but for second attempts of failed tasks.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from databricks.sdk.service.jobs import JobSettings, Run
from databricks.sdk.service.workspace import ImportFormat, Language

from components import naming
from components.settings import NAMESPACE, Settings, parse
from components.settings_model import Job, Task
from rehearsal.databricks import create_app, processes
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.service import Background
from release_files import ReleaseFile
from tests.rehearsal.databricks import run_helpers
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

ROOT = Path(__file__).resolve().parents[2]
STACK = "test"
RESULTS = "/Volumes/test/bike_sharing/results"
PATIENCE = 900.0
"""Seconds after which a test gives up waiting for a run, on a machine that does other work."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the word for it, that of each task by key, and what each failed task says."""

    run: Run
    result: str
    tasks: Mapping[str, str]
    errors: Mapping[str, str]
    seconds: float


class Release:
    """The release in a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._settings = settings()
        self._jobs: dict[str, int] = {}

    def deliver(self) -> None:
        """Import everything that the test stack delivers."""
        delivered = [(self._settings.notebooks, "")]
        if self._settings.tests:
            delivered.append((self._settings.tests, f"{naming.TESTS}/"))
        for those, below in delivered:
            for file in those.release.files:
                self._import(file, below + file.workspace_path, (ROOT / those.folder / file.source).read_bytes())

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
        """Make a job; gives its id."""
        made = job_settings(key, job, self._settings)
        return run_helpers.create(self.workspace, made.pop("tasks"), **made)

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


def job_settings(key: str, job: Job, of: Settings) -> dict[str, Any]:
    """The job as the Jobs API takes it."""
    hooks = [{"id": each} for each in sorted(job.notify.webhooks)]
    body: dict[str, Any] = {
        "name": naming.job(key, of.environment),
        "description": job.description,
        "parameters": [{"name": name, "default": value} for name, value in sorted(job.parameters.items())],
        "tasks": [_task(each, job.tasks[each], of.workspace.folder) for each in sorted(job.tasks)],
        "timeout_seconds": job.timeout_minutes * 60,
        "max_concurrent_runs": job.max_concurrent_runs,
        "queue": {"enabled": job.queue},
        "email_notifications": {"on_failure": list(job.notify.emails)},
        "webhook_notifications": {"on_failure": hooks},
    }
    # Through the SDK's types, which know the names of the fields.
    return JobSettings.from_dict(body).as_dict()


def _task(key: str, task: Task, folder: str) -> dict[str, Any]:
    assert task.compute is None, "the stack's jobs run on serverless compute"
    body: dict[str, Any] = {
        "task_key": key,
        "depends_on": [{"task_key": other} for other in sorted(task.after)],
        "notebook_task": {
            "notebook_path": naming.workspace_path(folder, task.notebook),
            "base_parameters": dict(task.parameters),
            "source": "WORKSPACE",
        },
        "max_retries": 0,  # five minutes after a failure would tell a test nothing more
        "timeout_seconds": (task.timeout_minutes or 0) * 60,
    }
    return body | ({"run_if": task.run_if} if task.after else {})
