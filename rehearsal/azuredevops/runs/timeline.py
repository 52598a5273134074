"""The timeline of a run: what it consists of, and how each part stands.

https://learn.microsoft.com/rest/api/azure/devops/build/timeline/get. Stages, checkpoints, phases and jobs are made from
the run's graph whenever somebody asks; only the records of steps, which the agent sends, are kept.
"""

from typing import Any

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.errors import invalid
from rehearsal.azuredevops.runs import documents, hand_out
from rehearsal.store import Document, Store

_STATES = {"pending": "pending", "checking": "pending", "queued": "pending", "running": "inProgress"}


def keep(service: Service, job_id: str, records: list[Any]) -> None:
    """Keeps what an agent says about the steps of its job. A record that is there already gets what is new in it.

    Raises:
        ServiceError: 404, the job is not known; 400, a record without an id.
    """
    with service.store.transaction():
        there, _, _ = hand_out.find(service, job_id)
        for each in records:
            if not isinstance(each, dict) or not each.get("id"):
                raise invalid("A record of the timeline has an id.")
            place = f"{build.key(there['project'], there['run'])}/{job_id}/{each['id']}"
            before = service.store.get("timeline", place) or {"parentId": job_id, "type": "Task"}
            given = {name: value for name, value in each.items() if value is not None or name not in before}
            service.store.put("timeline", place, before | given | {"lastModified": now()})


def of_run(store: Store, project_id: str, run_id: int, *, timeline_id: str | None = None) -> list[Document]:
    """The records of a run's timeline.

    Args:
        store, project_id, run_id: which run.
        timeline_id: of an earlier attempt at a stage, from a record's `previousAttempts`; None: how things are now.
    """
    known = documents.graph_of(store, project_id, run_id)
    stages = known["stages"]
    if timeline_id is not None:
        stages = [old for each in stages for old in each["previous"] if old["id"] == timeline_id]
    prefix = f"{build.key(project_id, run_id)}/"
    logs = {place.removeprefix(prefix): each["log"] for place, each in store.items("log-of", prefix)}
    steps: dict[str, list[Document]] = {}
    for each in store.all("timeline", prefix):
        steps.setdefault(each["parentId"], []).append(each)
    records = []
    for order, stage in enumerate(stages, 1):
        records += _of_stage(stage, order, steps)
    for record in records:
        number = logs.get(record["id"])
        record["log"] = {"id": number, "type": "Container"} if number is not None else None
    return records


def _of_stage(stage: Document, order: int, steps: dict[str, list[Document]]) -> list[Document]:
    name = stage["name"]
    before = [
        {"attempt": each["attempt"], "timelineId": each["id"], "recordId": each["id"]} for each in stage["previous"]
    ]
    records = [_record(stage, "Stage", None, order, name) | {"previousAttempts": before}]
    if stage["checks"] or stage["state"] != "pending":
        passed = stage["state"] in ("running", "completed") and stage["startTime"]
        over = stage["state"] != "checking"
        checkpoint = {
            "id": stage["checkpoint"],
            "name": "Checkpoint",
            "state": "completed" if over else "running",
            "result": ("succeeded" if passed else stage["result"]) if over else None,
            "startTime": next((each.get("startTime") for each in stage["checks"]), None),
            "finishTime": stage["startTime"] or stage["finishTime"],
            "attempt": stage["attempt"],
        }
        records.append(_record(checkpoint, "Checkpoint", stage["id"], 1, f"{name}.Checkpoint"))
        for number, check in enumerate(stage["checks"], 1):
            records.append(_blank() | {"parentId": stage["checkpoint"], "order": number, "attempt": 1} | check)
    for number, job in enumerate(stage["jobs"], 1):
        identifier = f"{name}.{job['name']}"
        records.append(_record(job, "Phase", stage["id"], number, identifier))
        for position, leg in enumerate(job["legs"], 1):
            shown = f"{job['displayName']} {leg['leg']}" if leg["leg"] else job["displayName"]
            own = f"{identifier}.{leg['leg'] or '__default'}"
            record = _record(leg | {"name": shown}, "Job", job["id"], position, own) | {"workerName": leg["agent"]}
            records.append(record)
            for step in sorted(steps.get(leg["id"], ()), key=lambda each: each.get("order") or 0):
                records.append(_blank() | {"attempt": leg["attempt"]} | step | {"parentId": leg["id"]})
    for record in records:
        issues = record["issues"] or []
        record["errorCount"] = sum(each.get("type") == "error" for each in issues)
        record["warningCount"] = sum(each.get("type") == "warning" for each in issues)
    return records


def _blank() -> Document:
    return {
        "previousAttempts": [],
        "id": None,
        "parentId": None,
        "type": None,
        "name": None,
        "startTime": None,
        "finishTime": None,
        "currentOperation": None,
        "percentComplete": None,
        "state": "pending",
        "result": None,
        "resultCode": None,
        "changeId": None,
        "lastModified": None,
        "workerName": None,
        "order": None,
        "details": None,
        "errorCount": 0,
        "warningCount": 0,
        "url": None,
        "log": None,
        "task": None,
        "attempt": 1,
        "identifier": None,
        "issues": [],
    }


def _record(node: Document, kind: str, parent: str | None, order: int, identifier: str) -> Document:
    state = _STATES.get(node["state"], "completed")
    return _blank() | {
        "id": node["id"],
        "parentId": parent,
        "type": kind,
        "name": node.get("displayName") or node["name"],
        "identifier": identifier,
        "order": order,
        "state": state,
        "result": node["result"] if state == "completed" else None,
        "startTime": node["startTime"],
        "finishTime": node["finishTime"],
        "attempt": node["attempt"],
        "issues": node.get("issues") or [],
    }
