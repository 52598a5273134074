"""The documents of runs and of the attempts of their tasks in the store.

A run is one document, its attempts in it: what belongs together changes together. `active` holds a key for each run
that has not ended, so that the scheduler needn't read the others.
"""

import time
from collections.abc import Iterable

from rehearsal.databricks import principals
from rehearsal.databricks.principals import Caller
from rehearsal.store import Document, Store

_FIRST_RUN = 800_000_000_000_001
_FIRST_REPAIR = 900_000_000_000_001


def now() -> int:
    """Milliseconds since 1970, as the service gives times."""
    return time.time_ns() // 1_000_000


def create(
    store: Store,
    *,
    job_id: int,
    run_type: str,
    name: str,
    creator: str,
    run_as: Document,
    acl: list[Document],
    settings: Document,
    job_parameters: list[Document],
    overriding: Document,
    disabled: Iterable[str],
    queue: bool,
    host: str,
) -> Document:
    """Makes a run that waits for its start.

    Args:
        store: keeps it.
        job_id: of the job; of a submitted run a number of its own.
        run_type: `JOB_RUN` or `SUBMIT_RUN`.
        name: of the job or the run.
        creator: who started it.
        run_as: kind and id of the one whose rights it has.
        acl: who may see and cancel it where there is no job to say so.
        settings: the job's, as they are now.
        job_parameters: `name`, `default` and, where it was given, `value`.
        overriding: the parameters of the request, as `runs/get` shows them.
        disabled: tasks that are not to run.
        queue: whether it waits when too many of the job run already.
        host: the workspace's address.
    """
    number = store.next_number("run", _FIRST_RUN)
    at = now()
    run: Document = {
        "run_id": number,
        "job_id": job_id,
        "run_type": run_type,
        "name": name,
        "creator": creator,
        "run_as": run_as,
        "acl": acl,
        "settings": settings,
        "job_parameters": job_parameters,
        "overriding": overriding,
        "disabled": sorted(disabled),
        "queue": queue,
        "host": host,
        "phase": "QUEUED",
        "queue_reason": None,
        "start_time": at,
        "running_since": None,
        "end_time": 0,
        "cancelled": None,
        "warned": [],
        "repairs": [{"id": 0, "type": "ORIGINAL", "start_time": at, "end_time": 0, "ending": None}],
        "attempts": [],
    }
    for task in settings["tasks"]:
        add_attempt(store, run, task["task_key"])
    keep(store, run)
    return run


def add_attempt(store: Store, run: Document, key: str, *, retry: bool = False, not_before: int = 0) -> Document:
    """Adds an attempt of a task to the run's document; the caller keeps that.

    Args:
        store: gives the number.
        run: the run.
        key: of the task.
        retry: whether the one before failed within the same repair.
        not_before: milliseconds since 1970.
    """
    before = latest(run).get(key)
    number = store.next_number("run", _FIRST_RUN)
    attempt: Document = {
        "run_id": number,
        "task_key": key,
        "attempt_number": before["attempt_number"] + 1 if before else 0,
        "original_attempt_run_id": before["original_attempt_run_id"] if before else number,
        "tries": before["tries"] + 1 if before and retry else 0,
        "repair": len(run["repairs"]) - 1,
        "phase": "WAITING" if retry else "BLOCKED",
        "not_before": not_before,
        "start_time": 0,
        "running_since": None,
        "end_time": 0,
        "process": None,
        "kill": None,
        "cluster": None,
        "folder": f"{run['run_id']}/{key}-{before['attempt_number'] + 1 if before else 0}",
        "parameters": None,
        "values": {},
        "output": {},
    }
    run["attempts"].append(attempt)
    store.put("attempt", str(number), {"run_id": run["run_id"]})
    return attempt


def keep(store: Store, run: Document) -> None:
    """Keeps the run, and whether the scheduler has to look at it."""
    key = str(run["run_id"])
    store.put("run", key, run)
    if run["phase"] == "TERMINATED":
        store.delete("active", key)
    else:
        store.put("active", key, {"job_id": run["job_id"]})


def get(store: Store, run_id: int) -> tuple[Document, Document | None] | None:
    """A run, or the run of an attempt with that attempt."""
    run = store.get("run", str(run_id))
    if run is not None:
        return run, None
    pointer = store.get("attempt", str(run_id))
    run = store.get("run", str(pointer["run_id"])) if pointer else None
    if run is None:
        return None
    return run, next(each for each in run["attempts"] if each["run_id"] == run_id)


def remove(store: Store, run: Document) -> None:
    """Forgets a run."""
    for each in run["attempts"]:
        store.delete("attempt", str(each["run_id"]))
    store.delete("run", str(run["run_id"]))
    store.delete("active", str(run["run_id"]))


def next_repair(store: Store) -> int:
    """The number of a repair."""
    return store.next_number("repair", _FIRST_REPAIR)


def latest(run: Document) -> dict[str, Document]:
    """The last attempt of each task, in the order of the tasks."""
    found = {each["task_key"]: each for each in run["attempts"]}
    return {task["task_key"]: found[task["task_key"]] for task in run["settings"]["tasks"] if task["task_key"] in found}


def task_of(run: Document, attempt: Document) -> Document:
    """The task's settings."""
    task: Document = next(each for each in run["settings"]["tasks"] if each["task_key"] == attempt["task_key"])
    return task


def leaves(run: Document) -> list[str]:
    """The tasks on which no other depends."""
    wanted = {each["task_key"] for task in run["settings"]["tasks"] for each in task.get("depends_on") or []}
    return [task["task_key"] for task in run["settings"]["tasks"] if task["task_key"] not in wanted]


def identity(store: Store, run: Document) -> Caller | None:
    """The one as whom the run acts; None when there is no such principal any more."""
    who = run["run_as"]
    document = store.get(who["kind"], who["id"])
    return principals.caller(store, who["kind"], document) if document and document["active"] else None
