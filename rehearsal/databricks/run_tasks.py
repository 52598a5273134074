"""An attempt of a task before it begins: its identity, its parameters, its folder and its environment."""

import json
import shutil
from pathlib import Path

from rehearsal.databricks import notifications, processes, run_documents, run_export
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.databricks.principals import Caller
from rehearsal.databricks.run_parameters import BadReferenceError, context, effective, resolve
from rehearsal.databricks.run_states import ending
from rehearsal.store import Document, Store


class RefusedError(Exception):
    """A task can't be started; `ending` says how it ends."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.ending = ending("FAILED", message, code=code, broken=True)


def checked(store: Store, run: Document, attempt: Document) -> tuple[Caller, dict[str, str]]:
    """The identity of a task and its parameters.

    Raises:
        RefusedError: the identity is gone, may not run the notebook, or a parameter refers to nothing.
    """
    task = run_documents.task_of(run, attempt)
    who = run_documents.identity(store, run)
    if who is None:
        raise RefusedError("The identity used to run this job does not exist any more.", "UNAUTHORIZED_ERROR")
    path = notebook_path(task)
    if not run_export.may_run(store, who, path):
        # The service's own words (community.databricks.com), the same for both cases on purpose.
        raise RefusedError(
            f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run this '
            f"job, {who.name}, lacks the required permissions.",
            "RESOURCE_NOT_FOUND",
        )
    given = effective(
        task["notebook_task"].get("base_parameters") or {},
        run["overriding"].get("notebook_params") or {},
        {each["name"]: each["value"] for each in run["job_parameters"]},
    )
    try:
        known = context(run, attempt, {"id": str(notifications.ORG_ID), "url": run["host"]})
        return who, {name: resolve(value, known) for name, value in given.items()}
    except BadReferenceError as error:
        raise RefusedError(str(error), "INVALID_RUN_CONFIGURATION") from error


def prepare(
    store: Store,
    compute: Compute,
    run: Document,
    attempt: Document,
    *,
    who: Caller,
    parameters: dict[str, str],
    kind: str,
    cluster: Path | None,
) -> Path:
    """Makes the folder of an attempt, with the exported workspace and `task.json`.

    Args:
        store: holds the workspace.
        compute: the folders.
        run, attempt: what is to begin.
        who: the identity; the tree holds what this one may read.
        parameters: of the notebook.
        kind: `serverless` or `classic`.
        cluster: the folder of the cluster, if there is one.
    """
    folder = compute.runs / str(attempt["folder"])
    shutil.rmtree(folder, ignore_errors=True)  # of a start that a kill cut short
    folder.mkdir(mode=0o700, parents=True)
    compute.data.mkdir(parents=True, exist_ok=True)
    run_export.write(run_export.read(store, who), folder / "workspace")
    given = {
        "notebook": notebook_path(run_documents.task_of(run, attempt)),
        "workspace": str(folder / "workspace"),
        "parameters": parameters,
        "data": str(compute.data),
        "cluster": str(cluster) if cluster else None,
        "kind": kind,
        "shell": compute.shell,
        "user": who.name,
        "host": run["host"],
        "context": {
            "jobId": str(run["job_id"]),
            "jobName": run["name"],
            "jobRunId": str(run["run_id"]),
            "runId": str(attempt["run_id"]),
            "taskKey": attempt["task_key"],
            "attempt": str(attempt["attempt_number"]),
        },
        # What the tasks before this one set; `dbutils.jobs.taskValues.get` reads it.
        "task_values": {key: each["values"] for key, each in run_documents.latest(run).items() if each["values"]},
    }
    (folder / "task.json").write_text(json.dumps(given, indent=1))
    return folder


def environment(compute: Compute, folder: Path, run: Document, token: str) -> dict[str, str]:
    """What the process of a task finds in its environment besides the server's own variables."""
    return {
        "DATABRICKS_TOKEN": token,
        "DATABRICKS_HOST": run["host"],
        MARKER: str(compute.runs),
        processes.TASK: str(folder),
        "PYTHONUNBUFFERED": "1",
    }


def notebook_path(task: Document) -> str:
    """Where the task's notebook is, without the alias `/Workspace`."""
    path: str = task["notebook_task"]["notebook_path"]
    return path.removeprefix("/Workspace")
