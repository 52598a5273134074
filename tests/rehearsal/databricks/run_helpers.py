"""Jobs for tests: their notebooks are orders to `fake_runner.py`, their runs are waited for without long pauses."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from databricks.sdk.service.jobs import Run, RunTask

from rehearsal.databricks import create_app
from rehearsal.databricks.compute import Compute
from rehearsal.databricks.entra import Authority
from rehearsal.service import Background
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

FAKE_RUNNER = (sys.executable, "-S", str(Path(__file__).parent / "fake_runner.py"))
PATIENCE = 60.0
"""Seconds after which a test gives up waiting, on a machine that does other work."""

Orders = Mapping[str, str]


def fake_compute(folder: Path, **changes: Any) -> Compute:
    """Compute without Spark: every task is a run of `fake_runner.py`."""
    settings: dict[str, Any] = {"runner": FAKE_RUNNER, "cluster": (), "grace_seconds": 0.5, "retry_seconds": 0.05}
    return replace(Compute.below(folder), **(settings | changes))


@contextmanager
def served(state: Path, authority: Authority | None = None, **changes: Any) -> Iterator[Workspace]:
    """A stand-in whose runs are those of `fake_runner.py`, unless `changes` of its compute say otherwise."""
    app = create_app(
        state,
        control_token=CONTROL_TOKEN,
        credentials=CREDENTIALS,
        compute=fake_compute(state, **changes),
        authority=lambda: authority,
    )
    with Background(app) as url, Workspace(url, state) as clients:
        yield clients
    app.close()


def notebook(workspace: Workspace, name: str, orders: str, *, folder: str = "/Shared") -> str:
    """A notebook with these orders, one a line; gives its path."""
    lines = "".join(f"# {line.strip()}\n" for line in orders.split(";") if line.strip())
    workspace.notebook(f"{folder}/{name}", b"# Databricks notebook source\n" + lines.encode())
    return f"{folder}/{name}"


def task(key: str, path: str, **fields: Any) -> dict[str, Any]:
    """A task as JSON; `after` are the keys that it depends on, `parameters` its base parameters."""
    after = [{"task_key": each} for each in fields.pop("after", [])]
    notebook_task: dict[str, Any] = {"notebook_path": path}
    if "parameters" in fields:
        notebook_task["base_parameters"] = fields.pop("parameters")
    return {"task_key": key, "notebook_task": notebook_task, **({"depends_on": after} if after else {}), **fields}


def graph(workspace: Workspace, orders: Orders, edges: Mapping[str, Any], **settings: Any) -> int:
    """A job with a task for each entry of `orders`; `edges` has what differs from a plain task. Gives its id."""
    tasks = [task(key, notebook(workspace, key, each), **(edges.get(key) or {})) for key, each in orders.items()]
    return create(workspace, tasks, **settings)


def create(workspace: Workspace, tasks: list[dict[str, Any]], *, user: str = "administrator", **settings: Any) -> int:
    """A job; gives its id."""
    body = {"name": "job", "tasks": tasks} | settings
    answer = workspace.call("POST", "2.2/jobs/create", user=user, json=body)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["job_id"])


def start(workspace: Workspace, job_id: int, *, user: str = "administrator", **options: Any) -> int:
    """Starts a run of the job; gives its id."""
    return int(workspace.sdk(user).jobs.run_now(job_id, **options).run_id)


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Waits for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.03)
    return found


def finished(workspace: Workspace, run_id: int) -> Run:
    """The run when it has ended."""

    def ended() -> Run | None:
        run = workspace.sdk().jobs.get_run(run_id, include_history=True, include_resolved_values=True)
        assert run.status is not None
        assert run.status.state is not None
        return run if run.status.state.value == "TERMINATED" else None

    run: Run = until(ended, f"end of run {run_id}")
    return run


def run(workspace: Workspace, job_id: int, **options: Any) -> Run:
    """A run of the job, when it has ended."""
    return finished(workspace, start(workspace, job_id, **options))


def result(of: Run | RunTask) -> str:
    """The word for how it ended."""
    assert of.state is not None
    assert of.state.result_state is not None
    return of.state.result_state.value


def results(of: Run) -> dict[str, str]:
    """The word for how each task ended, of its last attempt."""
    return {each.task_key: result(each) for each in of.tasks or []}


def running(workspace: Workspace, run_id: int, key: str) -> RunTask:
    """The task's attempt once its process runs."""

    def found() -> RunTask | None:
        tasks = workspace.sdk().jobs.get_run(run_id).tasks or []
        return next((each for each in tasks if each.task_key == key and state(each) == "RUNNING"), None)

    attempt: RunTask = until(found, f"start of {key}")
    return attempt


def state(of: Run | RunTask) -> str:
    """Where it stands."""
    assert of.status is not None
    assert of.status.state is not None
    return of.status.state.value


def attempt_of(of: Run, key: str) -> RunTask:
    """The last attempt of a task."""
    return [each for each in of.tasks or [] if each.task_key == key][-1]


def output(workspace: Workspace, of: Run, key: str) -> Any:
    """What get-output says of the last attempt of a task."""
    run_id = attempt_of(of, key).run_id
    assert run_id is not None
    return workspace.sdk().jobs.get_run_output(run_id)


def printed(workspace: Workspace, of: Run, key: str) -> dict[str, Any]:
    """What the order `show` printed."""
    lines = output(workspace, of, key).logs.splitlines()
    shown: dict[str, Any] = json.loads(lines[0])
    return shown


def alive(pid: int) -> bool:
    """Whether there is such a process that isn't just waiting to be noticed."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
