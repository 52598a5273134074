"""Environments: https://learn.microsoft.com/rest/api/azure/devops/environments."""

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call, Service, by_name, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import ENVIRONMENT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

environments = location(
    "distributedtask",
    "environments",
    "{project}/_apis/{area}/{resource}/{environmentId}",
    "8572b1fc-2482-47fa-8f74-7e3ed53ee54b",
)
deployments = location(
    "distributedtask",
    "environmentdeploymentrecords",
    "{project}/_apis/{area}/environments/{environmentId}/{resource}",
    "51bb5d21-4305-4ea6-9dbb-b7488af73334",
)


def key(project_id: str, id_: int) -> str:
    return f"{project_id}/{id_:09}"


def shown(call: Call, environment: Document) -> Document:
    """An environment as the service answers it."""
    by = {
        name: identities.reference(identity, call.vssps) if identity else None
        for name in ("createdBy", "lastModifiedBy")
        for identity in (call.store.get("identity", environment[name]),)
    }
    return {
        "id": environment["id"],
        "name": environment["name"],
        "description": environment["description"],
        "createdOn": environment["createdOn"],
        "lastModifiedOn": environment["lastModifiedOn"],
        **by,
        "resources": [],
        "project": {"id": environment["project"]},
    }


def find(call: Call, project: Document, id_: int, action: str = "View") -> Document:
    """The environment, if the user may do `action` with it.

    Raises:
        ServiceError: 404, when there is none or the user may not see it; 403, when the action is refused.
    """
    found = call.store.get("environment", key(project["id"], id_))
    token = permissions.environment_token(project["id"], id_)
    if found is None or not permissions.may(call.store, call.user, ENVIRONMENT, token, "View"):
        message = f"Environment with ID {id_} does not exist or you do not have permission to view it."
        raise ServiceError(404, message, "EnvironmentNotFoundException")
    if not permissions.may(call.store, call.user, ENVIRONMENT, token, action):
        raise ServiceError(
            403,
            f"Access denied. {call.user['displayName']} needs {action} permissions on environment {found['name']} to "
            "perform the action. For more information, contact the administrator of the environment.",
            "AccessDeniedException",
        )
    return found


def _checked(call: Call, project: Document, mine: int | None = None) -> Document:
    body = call.document()
    name = str(body.get("name") or "").strip()
    if not name:
        raise missing_value("name")
    if len(name) > 128 or any(character in name for character in '\\/:*?"<>;#${},+=[]|'):
        raise invalid(f"The environment name '{name}' is not valid.", "InvalidEnvironmentNameException")
    taken = by_name(call.store.all("environment", f"{project['id']}/"), name)
    if taken is not None and taken["id"] != mine:
        raise ServiceError(
            409, f"Environment with name {name} already exists in the project.", "EnvironmentExistsException"
        )
    return {"name": name, "description": body.get("description") or ""}


@environments.on("POST")
def create(call: Call) -> Answer:
    project = project_of(call)
    permissions.demand(call.store, call.user, ENVIRONMENT, permissions.environment_token(project["id"]), "Create")
    wanted = _checked(call, project)
    id_, time = call.store.next_number("environment"), now()
    environment = wanted | {
        "id": id_,
        "project": project["id"],
        "createdOn": time,
        "createdBy": call.user["id"],
        "lastModifiedOn": time,
        "lastModifiedBy": call.user["id"],
    }
    call.store.put("environment", key(project["id"], id_), environment)
    # Who makes an environment administers it.
    token = permissions.environment_token(project["id"], id_)
    permissions.set_entry(call.store, ENVIRONMENT, token, call.user, allow=ENVIRONMENT.everything)
    return shown(call, environment)


@environments.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "environmentId" in call.route:
        return shown(call, find(call, project, call.number("environmentId")))
    found = [
        each
        for each in call.store.all("environment", f"{project['id']}/")
        if permissions.may(
            call.store, call.user, ENVIRONMENT, permissions.environment_token(project["id"], each["id"]), "View"
        )
    ]
    if call.query.get("name"):
        # A trailing asterisk asks for names that begin so; without it the whole name is meant, in any case.
        wanted = call.query["name"].casefold()
        matches = str.startswith if wanted.endswith("*") else str.__eq__
        found = [each for each in found if matches(each["name"].casefold(), wanted.removesuffix("*"))]
    return [shown(call, each) for each in found[: call.whole_number("$top", 1000)]]


@environments.on("PATCH")
def update(call: Call) -> Answer:
    project = project_of(call)
    environment = find(call, project, call.number("environmentId"), "Manage")
    environment |= _checked(call, project, environment["id"])
    environment |= {"lastModifiedOn": now(), "lastModifiedBy": call.user["id"]}
    call.store.put("environment", key(project["id"], environment["id"]), environment)
    return shown(call, environment)


@environments.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    environment = find(call, project, call.number("environmentId"), "Administer")
    store, id_ = call.store, environment["id"]
    store.delete("environment", key(project["id"], id_))
    store.delete("acl", permissions.acl_key(ENVIRONMENT, permissions.environment_token(project["id"], id_)))
    store.delete("pipeline-permission", f"{project['id']}/environment/{id_}")
    for place, _ in store.items("deployment-record", f"{key(project['id'], id_)}/"):
        store.delete("deployment-record", place)
    for place, check in store.items("check", f"{project['id']}/"):
        if check["resource"] == {"type": "environment", "id": str(id_)}:
            store.delete("check", place)
    return None


def record(  # noqa: PLR0917 - which deployment of what to where: none goes without the others
    service: Service, project: Document, environment: Document, run: Document, stage: str, job: Document
) -> Document:
    """Keeps that a deployment job has ended.

    Args:
        service, project, environment: where.
        run: the run.
        stage: the stage's name.
        job: the job as it ended: `name`, `result`, and, where they are known, `attempt`, `startTime`, `finishTime` and
            `displayName`.
    """
    store, time = service.store, now()
    id_ = store.next_number("deployment-record")
    kept = {
        "id": id_,
        "environment": environment["id"],
        "run": run["id"],
        "number": str(run["number"]),
        "definition": run["definition"],
        "stage": stage,
        "job": job["name"],
        "attempt": job.get("attempt") or 1,
        "result": job["result"],
        "queueTime": run["queuedAt"],
        "startTime": job.get("startTime") or time,
        "finishTime": job.get("finishTime") or time,
    }
    store.put("deployment-record", f"{key(project['id'], environment['id'])}/{id_:09}", kept)
    return kept


# How the agents' side words a result (TaskResult), which a record has.
_RESULTS = {"succeededWithIssues": "succeededWithIssues", "succeeded": "succeeded", "canceled": "canceled"}
_RESULTS |= {"skipped": "skipped", "abandoned": "abandoned"}


def _shown_record(call: Call, project: Document, each: Document) -> Document:
    definition = call.store.get("definition", f"{project['id']}/{each['definition']:09}")
    name = definition["body"]["name"] if definition else ""
    web = call.url(project["name"], "_build", "results") + f"?buildId={each['run']}"
    pipeline = call.url(project["name"], "_build", "definition") + f"?definitionId={each['definition']}"
    return {
        "id": each["id"],
        "environmentId": each["environment"],
        "serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7",
        "scopeId": project["id"],
        "planType": "Build",
        "requestIdentifier": f"{each['stage']}.{each['job']}",
        "stageName": each["stage"],
        "jobName": each["job"],
        "stageAttempt": each["attempt"],
        "jobAttempt": 1,
        "definition": {"id": each["definition"], "name": name, "_links": {"web": {"href": pipeline}}},
        "owner": {"id": each["run"], "name": each["number"], "_links": {"web": {"href": web}}},
        "result": _RESULTS.get(each["result"], "failed"),
        "queueTime": each["queueTime"],
        "startTime": each["startTime"],
        "finishTime": each["finishTime"],
    }


@deployments.on("GET")
def get_deployments(call: Call) -> Answer:
    """The deployments of an environment, the newest first."""
    project = project_of(call)
    environment = find(call, project, call.number("environmentId"))
    kept = call.store.all("deployment-record", f"{key(project['id'], environment['id'])}/")
    newest = list(reversed(kept))[: call.whole_number("top", 1000)]
    return [_shown_record(call, project, each) for each in newest]
