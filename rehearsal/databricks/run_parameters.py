"""What a task gets as its parameters, and the references in double braces that are replaced in them.

docs.databricks.com/jobs/dynamic-value-references and docs.databricks.com/jobs/job-parameters: job parameters are pushed
down to every task and win over a task's own parameter of the same name. What `notebook_params` of `run-now` do then is
documented for jobs without job parameters only: they win over `base_parameters`; job parameters win over them here.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rehearsal.store import Document

_REFERENCE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PART = re.compile(r"`([^`]*)`|([\w-]+)")
_NAMESPACES = ("job", "task", "tasks", "workspace")
_TIMES: Mapping[str, Callable[[datetime], str]] = {
    "iso_date": lambda at: at.strftime("%Y-%m-%d"),
    "iso_datetime": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S"),
    "iso_weekday": lambda at: str(at.isoweekday()),
    "is_weekday": lambda at: str(at.isoweekday() <= 5).lower(),
    "timestamp_ms": lambda at: str(int(at.timestamp() * 1000)),
    "year": lambda at: str(at.year),
    "month": lambda at: str(at.month),
    "day": lambda at: str(at.day),
    "hour": lambda at: str(at.hour),
    "minute": lambda at: str(at.minute),
    "second": lambda at: str(at.second),
}


class BadReferenceError(Exception):
    """A reference of a known namespace that names nothing; the message is for people."""


def effective(
    base: Mapping[str, str], notebook_params: Mapping[str, str], job_parameters: Mapping[str, str]
) -> dict[str, str]:
    """The parameters of one task: those of the task, then of `run-now`, then of the job; the later one wins."""
    return {**base, **notebook_params, **job_parameters}


def resolve(text: str, known: Document) -> str:
    """The text with its references replaced.

    Args:
        text: a parameter's value.
        known: what can be referred to, as nested maps; see `context`.

    Raises:
        BadReferenceError: it refers to something that isn't there in a namespace that is. Anything else in double
            braces stays as it stands: so it is documented.
    """

    def replace(found: re.Match[str]) -> str:
        names = path(found[1])
        if names is None or names[0] not in _NAMESPACES:
            legacy = known.get("legacy", {}).get(found[1])
            return found[0] if legacy is None else str(legacy)
        value: Any = known
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                raise BadReferenceError(f"Invalid reference {found[0]}: there is no {found[1]}")
            value = value[name]
        if isinstance(value, Mapping) and names[:3:2] != ["tasks", "values"]:
            raise BadReferenceError(f"Invalid reference {found[0]}: {found[1]} is not a value")
        return value if isinstance(value, str) else json.dumps(value)

    return _REFERENCE.sub(replace, text)


def path(reference: str) -> list[str] | None:
    """The names in a reference, `tasks.a.values.b`; None when it isn't written as one. Backticks quote a name."""
    names, at = [], 0
    while True:
        found = _PART.match(reference, at)
        if found is None:
            return None
        names.append(found[1] if found[1] is not None else found[2])
        at = found.end()
        if at == len(reference):
            return names
        if reference[at] != ".":
            return None
        at += 1


def context(run: Document, attempt: Document | None, workspace: Mapping[str, str]) -> Document:
    """What the parameters of a run, or of one attempt of a task, can refer to.

    Args:
        run: the run's document.
        attempt: of the task; None for the values of the job's parameters.
        workspace: `id` and `url`.
    """
    started = datetime.fromtimestamp(run["start_time"] / 1000, UTC)
    job: Document = {
        "id": str(run["job_id"]),
        "run_id": str(run["run_id"]),
        "name": run["name"],
        "repair_count": str(max(len(run["repairs"]) - 1, 0)),
        "start_time": {name: form(started) for name, form in _TIMES.items()},
        "trigger": {"type": "one_time"},
    }
    known: Document = {"job": job, "workspace": dict(workspace)}
    # The names of before, which the service still takes: docs.databricks.com/jobs/dynamic-value-references, deprecated.
    known["legacy"] = {
        "job_id": job["id"],
        "start_date": job["start_time"]["iso_date"],
        "start_time": job["start_time"]["timestamp_ms"],
        "parent_run_id": job["run_id"],
    }
    if attempt is None:
        return known
    job["parameters"] = {each["name"]: each["value"] for each in run["job_parameters"]}
    task = next(each for each in run["settings"]["tasks"] if each["task_key"] == attempt["task_key"])
    known["task"] = {
        "name": attempt["task_key"],
        "run_id": str(attempt["run_id"]),
        "execution_count": str(attempt["attempt_number"] + 1),
        "notebook_path": (task.get("notebook_task") or {}).get("notebook_path", ""),
    }
    known["legacy"] |= {
        "run_id": str(attempt["run_id"]),
        "task_key": attempt["task_key"],
        "task_retry_count": str(attempt["attempt_number"]),
    }
    latest = {each["task_key"]: each for each in run["attempts"]}
    known["tasks"] = {
        key: {
            "run_id": str(each["run_id"]),
            "result_state": (each.get("ending") or {}).get("result", "").lower(),
            "execution_count": str(each["attempt_number"] + 1),
            "values": each.get("values") or {},
        }
        for key, each in latest.items()
        if key != attempt["task_key"]
    }
    return known
