"""Runs: started, shown, cancelled, repaired.

docs.databricks.com/api/workspace/jobs, the versions 2.0, 2.1 and 2.2. The service drops fields that it doesn't know;
the stand-in refuses them by name, because a run that silently does something else is worse than none.
"""

import functools
import shutil
from typing import Any

from rehearsal.databricks import job_rights, run_documents, run_shapes, run_starts
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import denied, invalid
from rehearsal.databricks.run_states import NEVER_RUN
from rehearsal.store import Document

_MAX_LIST = 26  # "less than 25" in the documentation, 26 in the service's message; 0 stands for the most
_MAX_OUTPUT = 5 * 1024 * 1024  # bytes, documented with `get-output`
_REPAIR_FIELDS = (
    "run_id", "latest_repair_id", "rerun_tasks", "rerun_all_failed_tasks", "rerun_dependent_tasks", "job_parameters",
    "notebook_params", "performance_target",
)  # fmt: skip


def get(version: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_VIEW")
    if attempt is not None:
        # The service shows the whole run of a task run with that one task in it.
        shown = run_shapes.as_run(call.store, run, attempt)
        return shown | {"tasks": [run_shapes.task(run, attempt, resolved=False)]}
    shown = run_shapes.run(
        call.store, run, history=call.flag("include_history"), resolved=call.flag("include_resolved_values")
    )
    if version == "2.2":
        first = call.number("page_token", default=0)
        tasks = shown["tasks"]
        shown["tasks"] = tasks[first : first + run_shapes.PAGE]
        if first + run_shapes.PAGE < len(tasks):
            shown["next_page_token"] = str(first + run_shapes.PAGE)
        if first:
            for name in ("job_clusters", "job_parameters", "repair_history"):
                shown.pop(name, None)
    return shown


def list_runs(version: str, call: Call) -> Document:
    active, completed = call.flag("active_only"), call.flag("completed_only")
    if active and completed:
        raise invalid("Only one of active_only and completed_only can be true")
    limit = call.number("limit", default=20) or _MAX_LIST
    if not 1 <= limit <= _MAX_LIST:
        raise invalid(f"Invalid limit: {limit}; it must be between 1 and {_MAX_LIST}")
    first = call.number("page_token", default=call.number("offset", default=0))
    job_id = call.number("job_id", default=0)
    run_type = call.text("run_type", default="")
    since, until = call.number("start_time_from", default=0), call.number("start_time_to", default=2**63)
    runs = [
        each
        for each in call.store.all("run")
        if (not job_id or each["job_id"] == job_id)
        and (not run_type or each["run_type"] == run_type)
        and since <= each["start_time"] <= until
        and not (active and each["phase"] == "TERMINATED")
        and not (completed and each["phase"] != "TERMINATED")
        and may(call, each, "CAN_VIEW")
    ]
    runs.sort(key=lambda each: (each["start_time"], each["run_id"]), reverse=True)
    expand = call.flag("expand_tasks")
    page = [run_shapes.listed(call.store, each, expand=expand) for each in runs[first : first + limit]]
    answer: Document = {"runs": page} if page else {}
    answer["has_more"] = first + limit < len(runs)
    if version != "2.0" and answer["has_more"]:
        answer["next_page_token"] = str(first + limit)
    if version != "2.0" and first:
        answer["prev_page_token"] = str(max(first - limit, 0))
    return answer


def cancel(_: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_MANAGE_RUN")
    _cancel(call, run, attempt)
    return {}


def cancel_all(_: str, call: Call) -> Document:
    job_id = call.number("job_id", default=0)
    queued = call.flag("all_queued_runs")
    if not job_id and not queued:
        raise invalid("Missing required field: job_id")
    if job_id:
        job = call.store.get("job", str(job_id))
        if not (job_rights.may(call.caller, job, "CAN_MANAGE_RUN") if job else call.caller.is_admin):
            raise denied(run_starts.refusal(call, job_id))
    for key, _active in call.store.items("active"):
        run = call.store.get("run", key)
        if run is None or (job_id and run["job_id"] != job_id) or (queued and run["phase"] != "QUEUED"):
            continue
        if may(call, run, "CAN_MANAGE_RUN"):
            _cancel(call, run, None)
    return {}


def _cancel(call: Call, run: Document, attempt: Document | None) -> None:
    if run["phase"] == "TERMINATED":
        return  # the service takes that for done
    if attempt is not None:
        attempt["cancelled"] = call.caller.name
    else:
        run["cancelled"] = call.caller.name
        run["phase"] = run["phase"] if run["phase"] == "QUEUED" else "TERMINATING"
    run_documents.keep(call.store, run)


def delete(_: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_MANAGE_RUN")
    if attempt is not None:
        raise invalid(f"Run {attempt['run_id']} is a task run; only job runs can be deleted.")
    if run["phase"] != "TERMINATED":
        raise invalid(f"Cannot delete active run {run['run_id']}")
    run_documents.remove(call.store, run)
    shutil.rmtree(call.compute.runs / str(run["run_id"]), ignore_errors=True)
    for key, _notice in call.store.items("notice", f"{run['run_id']}-"):
        call.store.delete("notice", key)
        call.store.delete("outbox", key)
    return {}


def repair(_: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_MANAGE_RUN")
    run_starts.check_fields(call.body, _REPAIR_FIELDS, "runs/repair")
    if attempt is not None:
        raise invalid("Only job runs can be repaired.")
    if run["phase"] != "TERMINATED":
        raise invalid(f"Run {run['run_id']} is in progress and cannot be repaired.")
    before = run["repairs"][-1]["id"]
    if before and call.number("latest_repair_id", default=0) != before:
        raise invalid(f"latest_repair_id must be the ID of the latest repair, {before}.")
    chosen = _chosen(call, run)
    job = call.store.get("job", str(run["job_id"]))
    if job is not None:
        # "They use the current job and task settings."
        missing = chosen - {each["task_key"] for each in job["settings"].get("tasks") or []}
        if missing:
            raise invalid(f"The job has no task {sorted(missing)[0]} any more.")
        run["settings"] = job["settings"]
    run_starts.check_runnable(run["settings"], chosen)
    given = call.body.get("job_parameters") or {}
    if given:
        run["job_parameters"] = run_starts.job_parameters(run["settings"], given, before=run["job_parameters"])
        run["overriding"]["job_parameters"] = given
    if call.body.get("notebook_params"):
        run["overriding"]["notebook_params"] = run_starts.texts(call.body["notebook_params"], "notebook_params")
    number, at = run_documents.next_repair(call.store), run_documents.now()
    run["repairs"].append({"id": number, "type": "REPAIR", "start_time": at, "end_time": 0, "ending": None})
    run |= {"phase": "RUNNING", "cancelled": None, "timed_out": False, "end_time": 0, "running_since": at}
    run.pop("ending", None)
    run["disabled"] = [each for each in run["disabled"] if each not in chosen]
    present = run_documents.latest(run)
    for task in run["settings"]["tasks"]:
        if task["task_key"] in chosen or task["task_key"] not in present:
            run_documents.add_attempt(call.store, run, task["task_key"])
    known = {each["task_key"] for each in run["settings"]["tasks"]}
    run["attempts"] = [each for each in run["attempts"] if each["task_key"] in known]
    run_documents.keep(call.store, run)
    return {"repair_id": number}


def _chosen(call: Call, run: Document) -> set[str]:
    """The tasks that a repair runs again."""
    latest = run_documents.latest(run)
    tasks, failed = call.body.get("rerun_tasks") or [], call.flag("rerun_all_failed_tasks")
    if bool(tasks) == failed:
        raise invalid("Exactly one of rerun_tasks and rerun_all_failed_tasks must be given.")
    if not isinstance(tasks, list) or not all(isinstance(each, str) for each in tasks):
        raise invalid("Could not parse request object: field rerun_tasks must be a list of strings")
    unknown = sorted(set(tasks) - set(latest))
    if unknown:
        raise invalid(f"Run {run['run_id']} has no task {unknown[0]}.")
    untouched = NEVER_RUN - {"UPSTREAM_FAILED", "UPSTREAM_CANCELED"} | {"SUCCESS"}
    chosen = set(tasks)
    if failed:
        chosen = {key for key, each in latest.items() if each["ending"]["result"] not in untouched}
    if not chosen:
        raise invalid("There is no failed task to repair.")
    if call.flag("rerun_dependent_tasks"):
        chosen |= run_starts.downstream(run["settings"]["tasks"], chosen)
    return chosen


def get_output(_: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_VIEW")
    if attempt is None:
        if len(run["settings"]["tasks"]) > 1:
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. "
                "Please retrieve the output of each individual task run instead."
            )
        attempt = run["attempts"][-1]
    output = attempt["output"]
    answer: Document = {"metadata": run_shapes.as_run(call.store, run, attempt)}
    if attempt["phase"] == "TERMINATED" and not output.get("error"):
        notebook: Document = {"truncated": bool(output.get("truncated"))}
        if output.get("result") is not None:
            data = str(output["result"]).encode()
            cut = data[:_MAX_OUTPUT].decode(errors="ignore")
            notebook = {"result": cut, "truncated": notebook["truncated"] or len(data) > _MAX_OUTPUT}
        answer["notebook_output"] = notebook
    for name in ("error", "error_trace"):
        if output.get(name):
            answer[name] = output[name]
    # The service has no logs of a notebook task here; these are what its process wrote.
    logs = _logs(call, attempt)
    if logs:
        answer |= {"logs": logs[-_MAX_OUTPUT:].decode(errors="replace"), "logs_truncated": len(logs) > _MAX_OUTPUT}
    return answer


def _logs(call: Call, attempt: Document) -> bytes:
    found = b""
    for name in ("stdout", "stderr"):
        file = call.compute.runs / attempt["folder"] / name
        if file.is_file():
            found += file.read_bytes()
    return found


def export(_: str, call: Call) -> Document:
    run, attempt = find(call, "CAN_VIEW")
    views = call.text("views_to_export", default="CODE")
    if views not in ("CODE", "ALL"):
        raise invalid(f"The rehearsal exports the views CODE and ALL, not {views}: it has no dashboards")
    if attempt is None:
        if len(run["settings"]["tasks"]) > 1:
            raise invalid("Exporting a run with multiple tasks is not supported; export each task run instead.")
        attempt = run["attempts"][-1]
    page = call.compute.runs / attempt["folder"] / "page.html"
    if not page.is_file():
        never = attempt["phase"] == "TERMINATED"
        raise invalid(f"Run {attempt['run_id']} has nothing to export{': it was never started' if never else ' yet'}.")
    path = run_documents.task_of(run, attempt)["notebook_task"]["notebook_path"]
    name = path.rpartition("/")[2]
    return {"views": [{"content": page.read_text(), "name": name, "type": "NOTEBOOK"}]}


def may(call: Call, run: Document, wanted: str) -> bool:
    """Whether the caller has this level on the run: that of its job, or, where there is none, of the run itself."""
    if call.caller.is_admin:
        return True
    job = call.store.get("job", str(run["job_id"])) if run["run_type"] == "JOB_RUN" else None
    if job is not None:
        return job_rights.may(call.caller, job, wanted)
    return job_rights.may(call.caller, run, wanted)


def find(call: Call, wanted: str) -> tuple[Document, Document | None]:
    """The run, or the run and the attempt, that the request names.

    Raises:
        ApiError: 400, there is none (the SDK has a rule for these words, errors/overrides.py); 403, the caller may not.
    """
    number = call.number("run_id")
    found = run_documents.get(call.store, number)
    if found is None:
        raise invalid(f"Run {number} does not exist.")
    if not may(call, found[0], wanted):
        words = "View or Manage Run or Admin or Owner" if wanted == "CAN_VIEW" else "Manage Run or Admin or Owner"
        raise denied(f"User {call.caller.name} does not have {words} permissions on run {number}")
    return found


def _endpoints() -> list[Endpoint]:
    handlers: tuple[tuple[str, str, Any], ...] = (
        ("POST", "run-now", run_starts.run_now),
        ("POST", "runs/submit", run_starts.submit),
        ("GET", "runs/get", get),
        ("GET", "runs/list", list_runs),
        ("POST", "runs/cancel", cancel),
        ("POST", "runs/cancel-all", cancel_all),
        ("POST", "runs/delete", delete),
        ("POST", "runs/repair", repair),
        ("GET", "runs/get-output", get_output),
        ("GET", "runs/export", export),
    )
    return [
        Endpoint(method, f"/api/{version}/jobs/{path}", functools.partial(handler, version))
        for version in ("2.0", "2.1", "2.2")
        for method, path, handler in handlers
    ]


ENDPOINTS = tuple(_endpoints())
