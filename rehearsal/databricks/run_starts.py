"""What starts a run: `run-now` of a job, and `runs/submit` of tasks without one."""

import importlib.metadata
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rehearsal.databricks import job_rights, job_settings, notifications, principals, run_documents
from rehearsal.databricks.calls import Call
from rehearsal.databricks.errors import ApiError, denied, invalid, missing
from rehearsal.databricks.run_parameters import BadReferenceError, context, resolve
from rehearsal.databricks.run_states import RUN_IF
from rehearsal.store import Document

_FIRST_SUBMIT = 700_000_000_000_001
_MAX_TOKEN = 64  # characters, documented with `run-now`
_MAX_PARAMETERS = 10_000  # bytes of JSON, likewise
_ONLY = re.compile(r"(\+?)([\w-]+)(\+?)")
_RUN_NOW = (
    "job_id", "idempotency_token", "job_parameters", "notebook_params", "only", "performance_target", "queue",
)  # fmt: skip
_SUBMIT = (
    "run_name", "tasks", "timeout_seconds", "idempotency_token", "run_as", "queue", "email_notifications",
    "webhook_notifications", "notification_settings", "health", "environments", "performance_target",
)  # fmt: skip


def run_now(version: str, call: Call) -> Document:
    check_fields(call.body, _RUN_NOW, "run-now")
    job = _job(call, version)
    again = _same_request(call)
    if again is not None:
        return {"run_id": again, "number_in_job": again}
    settings = job["settings"]
    keys = {task["task_key"] for task in settings.get("tasks") or []}
    if not keys:
        raise _unsupported("The rehearsal runs jobs with tasks only, not those in the form of API 2.0")
    disabled = keys - _only(settings["tasks"], call.body.get("only"))
    check_runnable(settings, keys - disabled)
    overriding: Document = {}
    for name in ("job_parameters", "notebook_params"):
        if call.body.get(name):
            overriding[name] = texts(call.body[name], name)
    run = _create(
        call,
        job_id=job["job_id"],
        run_type="JOB_RUN",
        name=settings["name"],
        run_as=_run_as(call, settings, job),
        settings=settings,
        parameters=job_parameters(settings, overriding.get("job_parameters") or {}),
        overriding=overriding,
        disabled=disabled,
        queue=_queue(call.body.get("queue"), settings.get("queue")),
    )
    return {"run_id": run["run_id"], "number_in_job": run["run_id"]}


def submit(version: str, call: Call) -> Document:
    check_fields(call.body, _SUBMIT, "runs/submit")
    again = _same_request(call)
    if again is not None:
        return {"run_id": again}
    given = {name: value for name, value in call.body.items() if name not in ("run_name", "idempotency_token")}
    name = call.text("run_name", default="Untitled")
    if "tasks" not in given:
        raise _unsupported("The rehearsal runs submitted tasks only, not the form of API 2.0")
    settings = job_settings.checked(given | {"name": name}, version)
    check_runnable(settings, {task["task_key"] for task in settings["tasks"]})
    run = _create(
        call,
        job_id=call.store.next_number("submit", _FIRST_SUBMIT),
        run_type="SUBMIT_RUN",
        name=name,
        run_as=_run_as(call, settings, None),
        settings=settings,
        parameters=[],
        overriding={},
        disabled=set(),
        queue=True,
    )
    return {"run_id": run["run_id"]}


def _create(
    call: Call,
    *,
    job_id: int,
    run_type: str,
    name: str,
    run_as: Document,
    settings: Document,
    parameters: list[Document],
    overriding: Document,
    disabled: Iterable[str],
    queue: bool,
) -> Document:
    run = run_documents.create(
        call.store,
        job_id=job_id,
        run_type=run_type,
        name=name,
        creator=call.caller.name,
        run_as=run_as,
        acl=[job_rights.owner_entry(call.caller)],
        settings=settings,
        job_parameters=parameters,
        overriding=overriding,
        disabled=disabled,
        queue=queue,
        host=call.host,
    )
    known = context(run, None, {"id": str(notifications.ORG_ID), "url": call.host})
    try:
        for each in run["job_parameters"]:
            each["value"] = resolve(each.get("value", each["default"]), known)
    except BadReferenceError as error:
        raise invalid(str(error)) from error
    run_documents.keep(call.store, run)
    token = call.text("idempotency_token", default="")
    if token:
        call.store.put("idempotency", token, {"run_id": run["run_id"]})
    return run


def check_fields(body: Document, known: Collection[str], what: str) -> None:
    """Refuses by name what isn't understood.

    Raises:
        ApiError: 400.
    """
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise invalid(f"The rehearsal does not know {', '.join(unknown)} in {what}")


def check_runnable(settings: Document, keys: Collection[str]) -> None:
    """Refuses by name what the rehearsal can't run.

    Raises:
        ApiError: 400, FEATURE_DISABLED: so the service refuses what isn't switched on.
    """
    _check_numbers("the job", settings, ("timeout_seconds",))
    clusters = {each.get("job_cluster_key") for each in settings.get("job_clusters") or []}
    for task in settings["tasks"]:
        key = task["task_key"]
        if key not in keys:
            continue
        kind = next((name for name in job_settings.TASK_TYPES if task.get(name) is not None), "none")
        if kind != "notebook_task":
            raise _unsupported(f"Task {key}: the rehearsal runs notebook tasks only, not {kind}")
        if task["notebook_task"].get("source", "WORKSPACE") != "WORKSPACE":
            raise _unsupported(f"Task {key}: the rehearsal runs notebooks of the workspace only, none from git")
        if task["notebook_task"].get("warehouse_id"):
            raise _unsupported(f"Task {key}: the rehearsal has no SQL warehouses (warehouse_id)")
        if task.get("existing_cluster_id"):
            raise _unsupported(f"Task {key}: the rehearsal has no all-purpose clusters (existing_cluster_id)")
        if task.get("job_cluster_key") and task["job_cluster_key"] not in clusters:
            raise invalid(f"Task {key} refers to the unknown job cluster {task['job_cluster_key']}")
        if (task.get("run_if") or "ALL_SUCCESS") not in RUN_IF:
            raise invalid(f"Task {key}: unknown run_if: {task['run_if']}; allowed: {', '.join(RUN_IF)}")
        _check_numbers(f"task {key}", task, ("timeout_seconds", "max_retries", "min_retry_interval_millis"))
        _check_libraries(settings, task)
        texts(task["notebook_task"].get("base_parameters") or {}, "base_parameters")


def _check_numbers(what: str, settings: Document, names: Iterable[str]) -> None:
    wrong = [name for name in names if not isinstance(settings.get(name) or 0, int)]
    rules = (settings.get("health") or {}).get("rules") or []
    wrong += ["health"] if not all(isinstance(each.get("value"), int) for each in rules) else []
    if wrong:
        raise invalid(f"{wrong[0]} of {what} must be a number")


def _check_libraries(settings: Document, task: Document) -> None:
    """Accepts libraries that are installed: nothing is installed for a run."""
    wanted = [(each.get("pypi") or {}).get("package") or str(each) for each in task.get("libraries") or []]
    if task.get("environment_key"):
        found = [
            each for each in settings.get("environments") or [] if each["environment_key"] == task["environment_key"]
        ]
        if not found:
            raise invalid(f"Task {task['task_key']} refers to the unknown environment {task['environment_key']}")
        wanted += (found[0].get("spec") or {}).get("dependencies") or []
    for each in wanted:
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(each))
        try:
            importlib.metadata.version(name[0] if name else str(each))
        except importlib.metadata.PackageNotFoundError:
            raise _unsupported(
                f"Task {task['task_key']}: the rehearsal installs no libraries, and {each} is not there"
            ) from None


def job_parameters(
    settings: Document, given: Mapping[str, str], *, before: list[Document] | None = None
) -> list[Document]:
    """The parameters of a run: the job's with their defaults, and what the request says.

    That a request may bring parameters that the job doesn't have is what the service's form for it allows.
    """
    given = texts(given, "job_parameters")
    known: dict[str, Document] = {
        str(each["name"]): {"name": each["name"], "default": str(each.get("default", ""))}
        for each in settings.get("parameters") or []
    }
    for each in before or []:
        known.setdefault(each["name"], {"name": each["name"], "default": each["default"]})["value"] = each["value"]
    for name, value in given.items():
        known.setdefault(name, {"name": name, "default": ""})["value"] = value
    return list(known.values())


def texts(given: Any, name: str) -> dict[str, str]:
    """A map from names to texts.

    Raises:
        ApiError: 400, it is something else, or too long.
    """
    if not isinstance(given, Mapping) or not all(isinstance(each, str) for each in given.values()):
        raise invalid(f"Could not parse request object: field {name} must be a map from strings to strings")
    if sum(len(key.encode()) + len(value.encode()) + 6 for key, value in given.items()) > _MAX_PARAMETERS:
        raise invalid(f"The JSON representation of {name} cannot exceed {_MAX_PARAMETERS} bytes")
    return dict(given)


def downstream(tasks: list[Document], keys: Collection[str]) -> set[str]:
    """The tasks that depend on these, directly or through others."""
    found = set(keys)
    while True:
        more = {
            task["task_key"]
            for task in tasks
            if task["task_key"] not in found and any(each["task_key"] in found for each in task.get("depends_on") or [])
        }
        if not more:
            return found - set(keys)
        found |= more


def refusal(call: Call, job_id: int) -> str:
    """The service's words to one who may not start or cancel runs of a job."""
    return f"User {call.caller.name} does not have Manage Run or Admin or Owner permissions on job {job_id}"


def _upstream(tasks: list[Document], key: str) -> set[str]:
    before = {task["task_key"]: {each["task_key"] for each in task.get("depends_on") or []} for task in tasks}
    found, waiting = set(), set(before[key])
    while waiting:
        found |= waiting
        waiting = {each for one in waiting for each in before[one]} - found
    return found


def _only(tasks: list[Document], given: Any) -> set[str]:
    """The tasks that a run is restricted to; `+` before or after a key takes in what stands before or after it."""
    keys = {task["task_key"] for task in tasks}
    if given is None or given == []:
        return keys
    if not isinstance(given, list):
        raise invalid("Could not parse request object: field only must be a list of strings")
    chosen: set[str] = set()
    for each in given:
        found = _ONLY.fullmatch(str(each))
        if found is None or found[2] not in keys:
            raise invalid(f"only: the job has no task {each}")
        chosen.add(found[2])
        chosen |= _upstream(tasks, found[2]) if found[1] else set()
        chosen |= downstream(tasks, {found[2]}) if found[3] else set()
    return chosen


def _job(call: Call, version: str) -> Document:
    number = call.number("job_id")
    job = call.store.get("job", str(number))
    if not (job_rights.may(call.caller, job, "CAN_MANAGE_RUN") if job else call.caller.is_admin):
        raise denied(refusal(call, number))
    if job is None:
        message = f"Job {number} does not exist."
        raise missing(message) if version == "2.2" else invalid(message)
    return job


def _same_request(call: Call) -> int | None:
    """The run that a request with the same token has started before."""
    token = call.text("idempotency_token", default="")
    if len(token) > _MAX_TOKEN:
        raise invalid(f"idempotency_token must have at most {_MAX_TOKEN} characters")
    known = call.store.get("idempotency", token) if token else None
    if known is None:
        return None
    if call.store.get("run", str(known["run_id"])) is None:
        raise invalid(f"The run with the idempotency token {token} was deleted")
    return int(known["run_id"])


def _run_as(call: Call, settings: Document, job: Document | None) -> Document:
    """The one as whom the run acts: what the job says, else its owner, else who submits it."""
    named = settings.get("run_as") or {}
    kinds = {"user_name": principals.USER, "service_principal_name": principals.SERVICE_PRINCIPAL}
    for field, kind in kinds.items():
        if not named.get(field):
            continue
        found = principals.find(call.store, kind, str(named[field]))
        if found is None:
            raise invalid(f"run_as: principal {named[field]} does not exist.")
        if job is None and named[field] != call.caller.name and not call.caller.is_admin:
            raise denied(f"User {call.caller.name} is not allowed to set run_as to {named[field]}")
        return {"kind": kind, "id": found["id"]}
    if job is None:
        return {"kind": call.caller.kind, "id": call.caller.id}
    owner = next((each for each in job["acl"] if each["level"] == "IS_OWNER"), None)
    kind = next((kind for kind, field in principals.FIELDS.items() if owner and field == owner["field"]), "")
    found = principals.find(call.store, kind, owner["name"]) if owner else None
    if found is None:
        raise invalid(f"Job {job['job_id']} has no owner; set run_as or an owner first.")
    return {"kind": kind, "id": found["id"]}


def _queue(given: Any, of_job: Any) -> bool:
    settings = given if given is not None else of_job
    if settings is None:
        return False
    if not isinstance(settings, dict) or not isinstance(settings.get("enabled"), bool):
        raise invalid("Missing required field: queue.enabled")
    return bool(settings["enabled"])


def _unsupported(message: str) -> ApiError:
    return ApiError(400, "FEATURE_DISABLED", message)
