"""Runs as the API shows them. docs.databricks.com/api/workspace/jobs/getrun."""

from rehearsal.databricks import principals, run_documents, run_states
from rehearsal.databricks.clusters import SERVERLESS
from rehearsal.store import Document, Store

PAGE = 100  # tasks in one answer of 2.2, documented there

# What a task's settings say of notifications and policies comes back with each attempt; so does its type.
_LEFT_OUT = ("max_retries", "min_retry_interval_millis", "retry_on_timeout", "health")


def run(store: Store, document: Document, *, history: bool, resolved: bool) -> Document:
    """The answer of `runs/get`, with all tasks.

    Args:
        store: knows the names of principals.
        document: the run.
        history: whether the repairs are listed.
        resolved: whether the parameters are shown as the tasks got them.
    """
    shown = listed(store, document, expand=True)
    shown["tasks"] = [task(document, each, resolved=resolved) for each in _in_order(document)]
    if history and len(document["repairs"]) > 1:
        shown["repair_history"] = [_repair(document, number) for number in range(len(document["repairs"]))]
    return shown


def listed(store: Store, document: Document, *, expand: bool) -> Document:
    """The run as `runs/list` shows it."""
    settings = document["settings"]
    at = document["end_time"]
    shown: Document = {
        "job_id": document["job_id"],
        "run_id": document["run_id"],
        "job_run_id": document["run_id"],
        "number_in_job": document["run_id"],
        "original_attempt_run_id": document["run_id"],
        "attempt_number": 0,
        "creator_user_name": document["creator"],
        "run_as_user_name": run_as(store, document),
        "run_name": document["name"],
        "run_type": document["run_type"],
        "run_page_url": page_url(document),
        "trigger": "ONE_TIME",
        "format": "MULTI_TASK",
        "start_time": document["start_time"],
        "end_time": at,
        "run_duration": at - document["start_time"] if at else 0,
        "queue_duration": (document["running_since"] or at or run_documents.now()) - document["start_time"],
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
    } | run_states.shown(document)
    for name in ("description", "tags", "performance_target", "git_source"):
        if settings.get(name):
            shown[name] = settings[name]
    if document["job_parameters"]:
        shown["job_parameters"] = document["job_parameters"]
    if document["overriding"]:
        shown["overriding_parameters"] = document["overriding"]
    if settings.get("job_clusters"):
        shown["job_clusters"] = settings["job_clusters"]
    if expand:
        shown["tasks"] = [task(document, each, resolved=False) for each in _in_order(document)][:PAGE]
        shown["has_more"] = len(document["attempts"]) > PAGE
    return shown


def task(document: Document, attempt: Document, *, resolved: bool) -> Document:
    """An attempt of a task."""
    settings = run_documents.task_of(document, attempt)
    kept = {name: value for name, value in settings.items() if name not in _LEFT_OUT}
    start, since, end = attempt["start_time"], attempt["running_since"], attempt["end_time"]
    shown: Document = (
        kept
        | {
            "run_id": attempt["run_id"],
            "attempt_number": attempt["attempt_number"],
            "original_attempt_run_id": attempt["original_attempt_run_id"],
            "run_page_url": page_url(document),
            "start_time": start,
            "end_time": end,
            "setup_duration": (since or end or run_documents.now()) - start if start else 0,
            "execution_duration": (end - since if end else 0) if since else 0,
            "cleanup_duration": 0,
            "queue_duration": start - attempt["queued_at"] if start and attempt.get("queued_at") else 0,
        }
        | run_states.shown(attempt)
    )
    if attempt["cluster"] and attempt["cluster"] != SERVERLESS:
        shown["cluster_instance"] = {"cluster_id": attempt["cluster"], "spark_context_id": str(attempt["run_id"])}
    if resolved and attempt["parameters"] is not None:
        shown["resolved_values"] = {"notebook_task": {"base_parameters": attempt["parameters"]}}
    return shown


def as_run(store: Store, document: Document, attempt: Document) -> Document:
    """An attempt as `runs/get` and `get-output` show it where its own number is asked for."""
    whole = listed(store, document, expand=False)
    names = ("job_id", "number_in_job", "creator_user_name", "run_type", "trigger", "format", "job_parameters")
    shown = {name: whole[name] for name in (*names, "overriding_parameters") if name in whole}
    return (
        task(document, attempt, resolved=False)
        | shown
        | {
            "job_run_id": document["run_id"],
            "run_name": attempt["task_key"],
            "run_duration": attempt["end_time"] - attempt["start_time"] if attempt["end_time"] else 0,
        }
    )


def page_url(document: Document) -> str:
    """Where people look at the run."""
    return f"{document['host']}/jobs/{document['job_id']}/runs/{document['run_id']}"


def run_as(store: Store, document: Document) -> str:
    """The name of the one as whom the run acts."""
    who = document["run_as"]
    found = store.get(who["kind"], who["id"])
    return principals.name_of(who["kind"], found) if found else ""


def _in_order(document: Document) -> list[Document]:
    """The attempts by task, the tasks in the order of the settings."""
    order = {each["task_key"]: number for number, each in enumerate(document["settings"]["tasks"])}
    return sorted(document["attempts"], key=lambda each: (order[each["task_key"]], each["attempt_number"]))


def _repair(document: Document, number: int) -> Document:
    repair = document["repairs"][number]
    mine = [each["run_id"] for each in document["attempts"] if each["repair"] == number]
    state = {"phase": "TERMINATED" if repair["ending"] else document["phase"], "ending": repair["ending"]}
    shown: Document = {
        "type": repair["type"],
        "start_time": repair["start_time"],
        "end_time": repair["end_time"],
        "task_run_ids": mine,
    } | run_states.shown(state)
    return shown | ({"id": repair["id"]} if repair["id"] else {})
