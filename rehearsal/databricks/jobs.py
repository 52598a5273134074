"""Jobs as definitions, in the versions 2.0, 2.1 and 2.2 of the API.

docs.databricks.com/api/workspace/jobs. Their runs are in `runs` and `run_starts`.
Schedules and other triggers are kept as definitions; the rehearsal starts no run by itself.
"""

import functools
import time

from rehearsal.databricks import job_rights, job_settings, principals, run_documents
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import denied, invalid, missing
from rehearsal.store import Document

_FIRST_ID = 500_000_000_000_001
_VERSIONS = ("2.0", "2.1", "2.2")
_PAGE = 100  # tasks in one answer of `get` in 2.2, documented there
_MAX_LIST = 100
# What an answer of 2.2 repeats on each page of tasks, it shows on the first one only.
_PAGED = ("tasks", "job_clusters", "parameters", "environments")


def create(version: str, call: Call) -> Document:
    settings = {name: value for name, value in call.body.items() if name != "access_control_list"}
    if call.body.get("access_control_list"):
        raise invalid("The rehearsal sets the access list of a job through the permissions API only")
    settings = job_settings.checked(settings, version)
    number = call.store.next_number("job", _FIRST_ID)
    _check_run_as(call, settings)
    job = {
        "job_id": number,
        "creator_user_name": call.caller.name,
        "created_time": time.time_ns() // 1_000_000,
        "settings": settings,
        "acl": [job_rights.owner_entry(call.caller)],
    }
    call.store.put("job", str(number), job)
    return {"job_id": number}


def get(version: str, call: Call) -> Document:
    job = _job(call, version, "CAN_VIEW", "View or Admin or Manage Run or Owner")
    shown = _shown(job)
    if version == "2.2":
        shown = _page(shown, call.number("page_token", default=0))
    return shown


def list_jobs(version: str, call: Call) -> Document:
    limit = call.number("limit", default=20)
    if not 1 <= limit <= _MAX_LIST:
        raise invalid(f"Invalid limit: {limit}; it must be between 1 and {_MAX_LIST}")
    first = call.number("page_token", default=call.number("offset", default=0))
    name = call.query.get("name", "").casefold()
    jobs = [
        each
        for each in call.store.all("job")
        if job_rights.may(call.caller, each, "CAN_VIEW") and (not name or each["settings"]["name"].casefold() == name)
    ]
    jobs.sort(key=lambda each: int(each["job_id"]), reverse=True)
    page = [_listed(each, expand=call.flag("expand_tasks"), version=version) for each in jobs[first : first + limit]]
    answer: Document = {"jobs": page} if page else {}
    answer["has_more"] = first + limit < len(jobs)
    if answer["has_more"]:
        answer["next_page_token"] = str(first + limit)
    if first > 0:
        answer["prev_page_token"] = str(max(first - limit, 0))
    return answer


def reset(version: str, call: Call) -> Document:
    job = _job(call, version, "CAN_MANAGE", "Admin or Manage or Owner")
    settings = job_settings.checked(_settings(call, required=True), version)
    # Leaving out run_as doesn't clear it: so the service does, says databricks/cli's test server (libs/testserver).
    if "run_as" in job["settings"]:
        settings.setdefault("run_as", job["settings"]["run_as"])
    _keep_settings(call, job, settings)
    return {}


def update(version: str, call: Call) -> Document:
    job = _job(call, version, "CAN_MANAGE", "Admin or Manage or Owner")
    merged = dict(job["settings"])
    for name, value in _settings(call, required=False).items():
        # Tasks, clusters, parameters and environments are merged by their keys, the rest is replaced.
        merged[name] = _merged(name, merged.get(name), value)
    removed = call.body.get("fields_to_remove") or []
    if not isinstance(removed, list):
        raise invalid("Could not parse request object: field fields_to_remove must be a list")
    for path in removed:
        name, _, key = str(path).partition("/")
        if key and isinstance(merged.get(name), list):
            merged[name] = [each for each in merged[name] if each.get(_KEYS.get(name, "")) != key]
        else:
            merged.pop(name, None)
    _keep_settings(call, job, job_settings.checked(merged, version))
    return {}


def delete(version: str, call: Call) -> Document:
    job = _job(call, version, "CAN_MANAGE", "Admin or Owner")
    call.store.delete("job", str(job["job_id"]))
    # Whether the service lets active runs of a deleted job go on is not documented; here they end with it.
    for key, active in call.store.items("active"):
        run = call.store.get("run", key)
        if run is not None and active["job_id"] == job["job_id"]:
            run_documents.keep(call.store, run | {"cancelled": call.caller.name})
    return {}


_KEYS = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "parameters": "name",
    "environments": "environment_key",
}


def _merged(name: str, before: object, given: object) -> object:
    key = _KEYS.get(name)
    if key is None or not isinstance(before, list) or not isinstance(given, list):
        return given
    if not all(isinstance(each, dict) for each in given):
        raise invalid(f"Could not parse request object: field {name} must be a list of objects")
    return list(({str(each.get(key)): each for each in before} | {str(each.get(key)): each for each in given}).values())


def _settings(call: Call, *, required: bool) -> Document:
    settings = call.body.get("new_settings")
    if settings is None and required:
        raise invalid("Missing required field: new_settings")
    if settings is not None and not isinstance(settings, dict):
        raise invalid("Could not parse request object: field new_settings must be an object")
    return settings or {}


def _keep_settings(call: Call, job: Document, settings: Document) -> None:
    _check_run_as(call, settings)
    call.store.put("job", str(job["job_id"]), job | {"settings": settings})


def _job(call: Call, version: str, wanted: str, words: str) -> Document:
    """The job that the request names. The service looks at the rights before it looks whether the job exists.

    The words are those of databricks/cli's test server and of github.com/databricks/databricks-sdk-py/issues/953.
    """
    number = call.number("job_id")
    job = call.store.get("job", str(number))
    if not (job_rights.may(call.caller, job, wanted) if job else call.caller.is_admin):
        raise denied(f"User {call.caller.name} does not have {words} permissions on job {number}")
    if job is None:
        message = f"Job {number} does not exist."
        # 400 in the older versions: the SDK has a rule for it (errors/overrides.py). 404 in the newest.
        raise missing(message) if version == "2.2" else invalid(message)
    return job


def _check_run_as(call: Call, settings: Document) -> None:
    """Whether there is such a one. To run as somebody else takes an administrator here.

    In the service it takes a role on that service principal, which the rehearsal doesn't have.
    """
    run_as = settings.get("run_as")
    if run_as is None:
        return
    if not isinstance(run_as, dict):
        raise invalid("Could not parse request object: field run_as must be an object")
    kinds = {"user_name": principals.USER, "service_principal_name": principals.SERVICE_PRINCIPAL}
    named = [(kind, run_as[field]) for field, kind in kinds.items() if run_as.get(field)]
    if len(named) != 1:
        raise invalid("run_as must have exactly one of user_name and service_principal_name")
    kind, name = named[0][0], str(named[0][1])
    if principals.find(call.store, kind, name) is None:
        raise invalid(f"run_as: principal {name} does not exist.")
    if name != call.caller.name and not call.caller.is_admin:
        raise denied(f"User {call.caller.name} is not allowed to set run_as to {name}")


def _owner(job: Document) -> str:
    # A job whose owner was deleted has none (github.com/databrickslabs/ucx/issues/73).
    return next((str(each["name"]) for each in job["acl"] if each["level"] == "IS_OWNER"), "")


def _shown(job: Document) -> Document:
    shown = {name: value for name, value in job.items() if name != "acl"}
    run_as = job["settings"].get("run_as") or {}
    named = run_as.get("user_name") or run_as.get("service_principal_name")
    return shown | {"run_as_user_name": named or _owner(job), "run_as_owner": named is None}


def _page(shown: Document, first: int) -> Document:
    settings = dict(shown["settings"])
    tasks = settings.get("tasks", [])
    if len(tasks) <= _PAGE:
        return shown
    if first:
        settings = {name: value for name, value in settings.items() if name not in _PAGED}
    settings["tasks"] = tasks[first : first + _PAGE]
    page = shown | {"settings": settings}
    if first + _PAGE < len(tasks):
        page |= {"has_more": True, "next_page_token": str(first + _PAGE)}
    return page


def _listed(job: Document, *, expand: bool, version: str) -> Document:
    shown = {name: job[name] for name in ("job_id", "creator_user_name", "created_time")}
    settings = job["settings"]
    if not expand and version != "2.0":
        settings = {name: value for name, value in settings.items() if name not in ("tasks", "job_clusters")}
    return shown | {"settings": settings}


def _endpoints() -> list[Endpoint]:
    return [
        Endpoint(method, f"/api/{version}/jobs/{path}", functools.partial(handler, version))
        for version in _VERSIONS
        for method, path, handler in (
            ("POST", "create", create),
            ("GET", "get", get),
            ("GET", "list", list_jobs),
            ("POST", "reset", reset),
            ("POST", "update", update),
            ("POST", "delete", delete),
        )
    ]


ENDPOINTS = tuple(_endpoints())
