"""Retention leases: runs that nobody can delete for some time; and the deletion of runs.

https://learn.microsoft.com/rest/api/azure/devops/build/leases and
https://learn.microsoft.com/azure/devops/pipelines/build/run-retention. The stand-in deletes no run because of its age.
"""

import json
from datetime import UTC, datetime, timedelta

from rehearsal.azuredevops import artifacts, build, permissions
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import find_run, run_of
from rehearsal.azuredevops.runs.rest import builds
from rehearsal.store import Document, Store

leases = location(
    "build",
    "leases",
    "{project}/_apis/{area}/retention/{resource}/{leaseId}",
    "272051e4-9af1-45b5-ae22-8d960a5539d4",
)
of_run = location(
    "build",
    "leases",
    "{project}/_apis/{area}/builds/{buildId}/{resource}",
    "3da19a6a-f088-45c4-83ce-2ad3a87be6c4",
)
_OF_A_RUN = ("run", "run-graph", "active-run", "timeline", "log", "log-of", "attachment")
_FOR_EVER = 365_000  # days: what the service's own pages ask for when a run is retained


def _key(project: Document, id_: int) -> str:
    return f"{project['id']}/{id_:09}"


def holding(store: Store, project: Document, run_id: int) -> list[Document]:
    """The leases that keep a run at this time."""
    time = datetime.now(UTC)
    found = store.all("lease", f"{project['id']}/")
    return [each for each in found if each["runId"] == run_id and datetime.fromisoformat(each["validUntil"]) > time]


def _valid_until(days: object) -> str:
    if not isinstance(days, int) or days < 1:
        raise invalid(f"The value '{days}' is not valid for daysValid.", "InvalidRetentionLeaseException")
    return (
        (datetime.now(UTC) + timedelta(days=min(days, _FOR_EVER)))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _demand(call: Call, project: Document, definition_id: int) -> None:
    """The documentation's example adds a lease with `System.AccessToken`, so what a build identity has from the first
    day on suffices; which of its rights it is, isn't said. The right to retain runs suffices in any case.
    """
    token = f"{project['id']}/{definition_id}"
    if not permissions.may(call.store, call.user, BUILD, token, "UpdateBuildInformation"):
        permissions.demand(call.store, call.user, BUILD, token, "RetainIndefinitely")


@leases.on("POST")
def add(call: Call) -> Answer:
    project, body = project_of(call), call.json()
    if not isinstance(body, list) or not body:
        raise missing_value("newLeases")
    made = []
    for each in body:
        run_id, definition_id = each.get("runId"), each.get("definitionId")
        if not isinstance(run_id, int) or not isinstance(definition_id, int):
            raise invalid("A lease names its run and its definition by number.", "InvalidRetentionLeaseException")
        run = find_run(call, project, run_id)
        if run["definition"] != definition_id:
            message = f"The run {run_id} is not one of the definition {definition_id}."
            raise invalid(message, "InvalidRetentionLeaseException")
        _demand(call, project, definition_id)
        if not each.get("ownerId"):
            raise missing_value("ownerId")
        id_ = call.store.next_number("lease")
        lease = {
            "leaseId": id_,
            "ownerId": str(each["ownerId"]),
            "runId": run_id,
            "definitionId": definition_id,
            "createdOn": now(),
            "validUntil": _valid_until(each.get("daysValid")),
            "protectPipeline": bool(each.get("protectPipeline")),
        }
        call.store.put("lease", _key(project, id_), lease)
        made.append(lease)
    return made


def _find(call: Call, project: Document, id_: int) -> Document:
    found = call.store.get("lease", _key(project, id_))
    if found is None:
        raise ServiceError(404, f"Retention lease {id_} could not be found.", "RetentionLeaseNotFoundException")
    return found


@leases.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "leaseId" in call.route:
        return _find(call, project, call.number("leaseId"))
    permissions.demand(call.store, call.user, BUILD, project["id"], "ViewBuilds")
    found = call.store.all("lease", f"{project['id']}/")
    query = call.query
    if query.get("leasestofetch"):
        wanted = [_minimal(each) for each in query["leasestofetch"].split("|")]
        found = [each for each in found if _identified(each) in wanted]
    if query.get("ownerid"):
        found = [each for each in found if each["ownerId"] == query["ownerid"]]
    if query.get("userownerid"):
        # The service's pages retain a run for a user under this name.
        found = [each for each in found if each["ownerId"] == f"User:{query['userownerid']}"]
    for parameter, name in (("definitionid", "definitionId"), ("runid", "runId")):
        if query.get(parameter):
            found = [each for each in found if str(each[name]) == query[parameter]]
    return found


def _identified(lease: Document) -> tuple[object, ...]:
    return lease.get("ownerId"), lease.get("definitionId"), lease.get("runId")


def _minimal(given: str) -> tuple[object, ...]:
    try:
        return _identified(json.loads(given))
    except (ValueError, AttributeError):
        raise invalid(f"The value '{given}' is not valid for leasesToFetch.") from None


@leases.on("PATCH")
def update(call: Call) -> Answer:
    project = project_of(call)
    lease = _find(call, project, call.number("leaseId"))
    _demand(call, project, lease["definitionId"])
    body = call.document()
    if body.get("daysValid") is not None:
        lease["validUntil"] = _valid_until(body["daysValid"])
    if body.get("protectPipeline") is not None:
        lease["protectPipeline"] = bool(body["protectPipeline"])
    call.store.put("lease", _key(project, lease["leaseId"]), lease)
    return lease


@leases.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    for given in filter(None, call.query.get("ids", "").split(",")):
        if not given.strip().isdigit():
            raise invalid(f"The value '{given}' is not valid for ids.")
        lease = _find(call, project, int(given))
        _demand(call, project, lease["definitionId"])
        call.store.delete("lease", _key(project, lease["leaseId"]))
    return None


@of_run.on("GET")
def get_of_run(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    return [each for each in call.store.all("lease", f"{project['id']}/") if each["runId"] == run["id"]]


@builds.on("DELETE")
def delete_run(call: Call) -> Answer:
    """Deletes a run with its logs and artifacts. Records of deployments and of tests stay."""
    project = project_of(call)
    run = run_of(call, project, "DeleteBuilds")
    if run["status"] != "completed":
        message = f"The build {run['id']} cannot be deleted: it has not completed."
        raise invalid(message, "BuildNotCompletedException")
    if holding(call.store, project, run["id"]):
        message = f"The build {run['id']} cannot be deleted: it is retained by a lease."
        raise invalid(message, "CannotDeleteRetainedBuildException")
    artifacts.forget(call.service, project["id"], run["id"])
    place = build.key(project["id"], run["id"])
    for kind in _OF_A_RUN:
        for key, _ in call.store.items(kind, place):
            call.store.delete(kind, key)
    return None
