"""What the service accepts as a job's settings, and what it adds to them.

docs.databricks.com/api/workspace/jobs. Unknown fields are dropped by the service; the stand-in keeps them, so
that a field that is newer than this file doesn't show up as a difference. The words for a self-reference are the
service's (github.com/apache/airflow/issues/47983), and so is the form of "Missing required field"
(github.com/databricks/terraform-provider-databricks/issues/1527); the other messages are assumed.
"""

import re
from graphlib import CycleError, TopologicalSorter
from typing import Any
from zoneinfo import available_timezones

from rehearsal.databricks.errors import invalid
from rehearsal.store import Document

TASK_TYPES = (
    "notebook_task",
    "spark_python_task",
    "spark_jar_task",
    "spark_submit_task",
    "python_wheel_task",
    "pipeline_task",
    "sql_task",
    "dbt_task",
    "run_job_task",
    "condition_task",
    "for_each_task",
    "clean_rooms_notebook_task",
    "dashboard_task",
    "power_bi_task",
    "gen_ai_compute_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "python_operator_task",
    "alert_task",
)
_TASK_KEY = re.compile(r"[\w-]{1,100}", re.ASCII)
_MAX_TASKS = {"2.0": 100, "2.1": 100, "2.2": 1000}
_MAX_CONCURRENT_RUNS = 1000
_PAUSED = ("PAUSED", "UNPAUSED")

# One field of a Quartz expression: values, ranges, steps, L, W and #, names of months and days
# (quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html).
_CRON_PART = r"(?:\*|\?|L(?:-\d+)?W?|\d*[LW]|\w{1,4}(?:-\w{1,4})?|\w{1,3}#[1-5]|\w{3}L)(?:/\d+)?"
_CRON_FIELD = re.compile(rf"{_CRON_PART}(?:,{_CRON_PART})*")


def checked(settings: Document, version: str) -> Document:
    """The settings with what the service adds.

    Args:
        settings: as the client gave them.
        version: of the API, `2.0`, `2.1` or `2.2`.

    Raises:
        ApiError: 400, they are not those of a job.
    """
    completed = dict(settings)
    tasks = settings.get("tasks")
    if tasks is not None:
        completed["tasks"] = _tasks(tasks, version)
        completed["format"] = "MULTI_TASK"
    elif any(name in settings for name in TASK_TYPES):
        # The form of API 2.0: one task, spread over the job itself.
        if version != "2.0":
            raise invalid("Missing required field: settings.tasks")
        completed["format"] = "SINGLE_TASK"
    else:
        raise invalid("Job settings must specify at least one task")
    for name in ("schedule", "continuous", "trigger"):
        if name in settings:
            completed[name] = _trigger(name, settings[name])
    name = _string(settings.get("name", "Untitled"), "name")
    limit = settings.get("max_concurrent_runs", 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= _MAX_CONCURRENT_RUNS:
        raise invalid(f"max_concurrent_runs must be between 0 and {_MAX_CONCURRENT_RUNS}")
    _check_git_source(settings.get("git_source"))
    return {
        "name": name,
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
    } | completed


def _objects(value: Any, name: str) -> list[Document]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(f"Could not parse request object: field {name} must be a list of objects")
    return value


def _object(value: Any, name: str) -> Document:
    if not isinstance(value, dict):
        raise invalid(f"Could not parse request object: field {name} must be an object")
    return value


def _string(value: Any, name: str) -> str:
    if not value:
        raise invalid(f"Missing required field: settings.{name}")
    if not isinstance(value, str):
        raise invalid(f"Could not parse request object: field {name} must be a string")
    return value


def _tasks(given: Any, version: str) -> list[Document]:
    tasks = _objects(given, "tasks")
    if not tasks:
        raise invalid("Job settings must specify at least one task")
    if len(tasks) > _MAX_TASKS[version]:
        raise invalid(f"The number of tasks ({len(tasks)}) exceeds the limit of {_MAX_TASKS[version]}")
    keys = [_task_key(each) for each in tasks]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise invalid(f"Task keys must be unique within a job, found duplicates: {', '.join(repeated)}")
    _check_dependencies(tasks)
    return [_task(each) for each in tasks]


def _task_key(task: Document) -> str:
    key = _string(task.get("task_key"), "tasks.task_key")
    if not _TASK_KEY.fullmatch(key):
        raise invalid(f"Invalid task key '{key}': only letters, digits, - and _ are allowed, at most 100 of them")
    return key


def _check_dependencies(tasks: list[Document]) -> None:
    graph: dict[str, list[str]] = {}
    for task in tasks:
        before = _objects(task.get("depends_on") or [], "tasks.depends_on")
        graph[task["task_key"]] = [_string(each.get("task_key"), "tasks.depends_on.task_key") for each in before]
    for key, wanted in graph.items():
        if key in wanted:
            raise invalid(f"Invalid dependency graph, task '{key}' can not reference itself.")
        unknown = [each for each in wanted if each not in graph]
        if unknown:
            raise invalid(f"Invalid dependency graph, task '{key}' depends on unknown task '{unknown[0]}'.")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise invalid(f"Invalid dependency graph, cycle detected: {' -> '.join(error.args[1])}.") from None


def _task(task: Document) -> Document:
    found = [name for name in TASK_TYPES if task.get(name) is not None]
    if len(found) != 1:
        has = ", ".join(found) or "none"
        raise invalid(f"Task '{task['task_key']}' must have exactly one type of task; it has: {has}")
    completed: Document = {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}} | task
    if found == ["notebook_task"]:
        notebook = {"source": "WORKSPACE"} | _object(task["notebook_task"], "tasks.notebook_task")
        path = _string(notebook.get("notebook_path"), "tasks.notebook_task.notebook_path")
        completed["notebook_task"] = notebook
        if notebook["source"] == "WORKSPACE" and not path.startswith("/"):
            raise invalid("Only absolute paths are supported for notebooks in the workspace: notebook_path")
    return completed


def _trigger(name: str, given: Any) -> Document:
    completed = {"pause_status": "UNPAUSED"} | _object(given, name)
    if completed["pause_status"] not in _PAUSED:
        raise invalid(f"Unknown pause_status: {completed['pause_status']}; allowed: {', '.join(_PAUSED)}")
    if name == "schedule":
        expression = _string(given.get("quartz_cron_expression"), "schedule.quartz_cron_expression")
        zone = _string(given.get("timezone_id"), "schedule.timezone_id")
        if not valid_cron(expression):
            raise invalid(f"Invalid quartz cron expression: '{expression}'")
        if zone not in available_timezones():
            raise invalid(f"Invalid timezone id: '{zone}'")
    return completed


def valid_cron(expression: str) -> bool:
    """Whether this looks like a Quartz expression: six or seven fields, one of the two days a question mark."""
    fields = expression.upper().split()
    if len(fields) not in (6, 7) or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        return False
    limits = [(59, 0), (59, 1), (23, 2)]
    in_range = all(int(number) <= limit for limit, at in limits for number in re.findall(r"\d+", fields[at]))
    return in_range and [fields[3], fields[5]].count("?") == 1


def _check_git_source(git_source: Any) -> None:
    if git_source is not None and not _object(git_source, "git_source").get("git_provider"):
        raise invalid("git_source.git_provider must be specified")
