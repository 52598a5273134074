"""Pipelines as definitions, their settings, and runs that are accepted and wait.

https://learn.microsoft.com/rest/api/azure/devops/build and https://learn.microsoft.com/rest/api/azure/devops/pipelines.
"""

import re

from rehearsal.azuredevops import agents, identities, permissions, projects
from rehearsal.azuredevops.context import Call, new_id, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.gates_time_zones import IANA_NAMES
from rehearsal.azuredevops.permissions import BUILD, PROJECT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

definitions = location(
    "build", "Definitions", "{project}/_apis/{area}/{resource}/{definitionId}", "dbeaf647-6167-421a-bda9-c9327b25e2e6"
)
revisions = location(
    "build",
    "Revisions",
    "{project}/_apis/{area}/Definitions/{definitionId}/{resource}",
    "7c116775-52e5-453e-8c5d-914d9762d8c4",
)
general_settings = location(
    "build", "generalsettings", "{project}/_apis/{area}/{resource}", "c4aefd19-30ff-405b-80ad-aca021e7242a"
)
authorized_resources = location(
    "build", "authorizedresources", "{project}/_apis/{area}/{resource}", "398c85bc-81aa-4822-947c-a194a05f0fef"
)
folders = location(
    "build", "folders", "{project}/_apis/{area}/{resource}/{*path}", "a906531b-d2da-4f55-bda7-f3e676cc50d9"
)

# What a new project's pipelines may do. https://learn.microsoft.com/azure/devops/pipelines/security/overview
_SETTINGS = {
    "enforceReferencedRepoScopedToken": True,
    "disableClassicPipelineCreation": True,
    "disableClassicBuildPipelineCreation": True,
    "disableClassicReleasePipelineCreation": True,
    "disableImpliedYAMLCiTrigger": False,
    "forkProtectionEnabled": True,
    "buildsEnabledForForks": True,
    "enforceJobAuthScopeForForks": True,
    "enforceNoAccessToSecretsFromForks": True,
    "isCommentRequiredForPullRequest": False,
    "requireCommentsForNonTeamMembersOnly": False,
    "requireCommentsForNonTeamMemberAndNonContributors": False,
    "enableShellTasksArgsSanitizing": False,
    "enableShellTasksArgsSanitizingAudit": False,
    "enforceJobAuthScope": True,
    "enforceJobAuthScopeForReleases": True,
    "enforceSettableVar": True,
    "auditEnforceSettableVar": False,
    "publishPipelineMetadata": False,
    "statusBadgesArePrivate": True,
}


def key(project_id: str, id_: int) -> str:
    return f"{project_id}/{id_:09}"


def find(call: Call, project: Document, id_: int, action: str = "ViewBuildDefinition") -> Document:
    """The definition, if the user may do `action` with it.

    Raises:
        ServiceError: 404, when there is none; 403, when the action is refused.
    """
    found = call.store.get("definition", key(project["id"], id_))
    if found is None:
        message = f"Definition {id_} was not found."
        raise ServiceError(404, message, "DefinitionNotFoundException")
    permissions.demand(call.store, call.user, BUILD, f"{project['id']}/{id_}", action)
    return found


def _queue(call: Call, project: Document, given: Document | None) -> Document | None:
    if not given:
        return None
    queue = agents.queue_of(call.store, project["id"], name=given.get("name"), id_=given.get("id"))
    if queue is None:
        named = given.get("name") or given.get("id")
        raise invalid(f"Could not find a queue with name or id {named}.", "QueueNotFoundException")
    return queue


def _checked(call: Call, project: Document, mine: int | None = None) -> Document:
    body = call.document()
    name, path = str(body.get("name") or "").strip(), str(body.get("path") or "\\")
    if not name or len(name) > 260 or re.search(r'[\\/:*?"<>|]', name):
        raise invalid(f"The definition name '{name}' is not valid.", "DefinitionNameInvalidException")
    if not path.startswith("\\"):
        path = "\\" + path
    for each in call.store.all("definition", f"{project['id']}/"):
        same = (each["body"]["name"].casefold(), each["body"]["path"].casefold()) == (name.casefold(), path.casefold())
        if same and each["id"] != mine:
            raise ServiceError(
                409,
                f"Build definition {name} already exists in project {project['name']}.",
                "DefinitionExistsException",
            )
    process, repository = body.get("process") or {}, body.get("repository") or {}
    if not process.get("yamlFilename"):
        # A classic definition has phases instead; a new organisation does not allow to make one.
        raise invalid("Creation of classic build pipelines is disabled.", "ClassicPipelinesDisabledException")
    if repository.get("type") == "TfsGit":
        _check_repository(call, str(repository.get("id", "")))
    _queue(call, project, body.get("queue"))
    for schedule in schedules(body):
        _check_schedule(schedule)
        schedule["scheduleJobId"] = new_id()  # "filled in when a definition is added or updated", whatever is sent
    return body | {"name": name, "path": path}


def schedules(body: Document) -> list[Document]:
    """The schedules of a definition's settings: https://learn.microsoft.com/rest/api/azure/devops/build/definitions."""
    of_kind = (each for each in body.get("triggers") or [] if each.get("triggerType") == "schedule")
    return [schedule for trigger in of_kind for schedule in trigger.get("schedules") or []]


def _check_schedule(given: Document) -> None:
    """What the real service says of a wrong one isn't known. This one wants all that the provider sends."""
    numbers = {"daysToBuild": range(1, 128), "startHours": range(24), "startMinutes": range(60)}
    for name, allowed in numbers.items():
        if given.get(name) not in allowed:
            raise invalid(f"The value '{given.get(name)}' is not valid for {name} of a schedule.")
    if given.get("timeZoneId") not in IANA_NAMES:
        raise invalid(f"The time zone '{given.get('timeZoneId')}' of a schedule is not known.")
    if not isinstance(given.get("scheduleOnlyWithChanges"), bool) or not given.get("branchFilters"):
        raise missing_value("branchFilters and scheduleOnlyWithChanges")


def _check_repository(call: Call, id_: str) -> None:
    if not any(each["id"] == id_.lower() for each in call.store.all("repository")):
        raise invalid(f"The repository {id_} could not be found.", "RepositoryNotFoundException")


def _repository(call: Call, given: Document) -> Document:
    kept = next((each for each in call.store.all("repository") if each["id"] == str(given.get("id", "")).lower()), None)
    if kept is None:
        return {"url": "", **given}
    project = call.store.get("project", kept["project"]) or {}
    url = call.url(project.get("name", ""), "_git", kept["name"])
    return {"clean": None, "checkoutSubmodules": False, **given, "name": kept["name"], "url": url}


def shown(call: Call, project: Document, definition: Document) -> Document:
    """A definition as the service answers it. Values of secret variables never leave it."""
    body, id_ = definition["body"], definition["id"]
    author = call.store.get("identity", definition["authoredBy"])
    url = call.url(project["id"], "_apis", "build", "Definitions", id_) + f"?revision={definition['revision']}"
    queue = _queue(call, project, body.get("queue"))
    document = {
        "options": [],
        "triggers": [],
        "variables": {},
        "variableGroups": [],
        "tags": [],
        "properties": {},
        "demands": [],
        "badgeEnabled": True,
        "jobTimeoutInMinutes": 60,
        "jobCancelTimeoutInMinutes": 5,
        "quality": "definition",
        "queueStatus": "enabled",
        "type": "build",
        **{name: value for name, value in body.items() if value is not None},
        # The scope is a setting of the project now, and whatever a client sends here, this is what comes back.
        "jobAuthorizationScope": body.get("jobAuthorizationScope") or "projectCollection",
        "id": id_,
        "revision": definition["revision"],
        "createdDate": definition["createdDate"],
        "authoredBy": identities.reference(author, call.vssps) if author else None,
        "url": url,
        "uri": f"vstfs:///Build/Definition/{id_}",
        "_links": {
            "self": {"href": url},
            "web": {"href": call.url(project["name"], "_build", "definition") + f"?definitionId={id_}"},
        },
        "project": projects.reference(call, project),
        "repository": _repository(call, body.get("repository") or {}),
        "process": {**(body.get("process") or {}), "type": 2},
    }
    if queue is not None:
        pool = agents.pool_reference(call.store, queue["pool"])
        queue_url = call.url("_apis", "build", "Queues", queue["id"])
        document["queue"] = {"id": queue["id"], "name": queue["name"], "url": queue_url, "pool": pool}
    document["variables"] = {
        name: variable | {"value": None} if variable.get("isSecret") else variable
        for name, variable in document["variables"].items()
    }
    return document


def reference(call: Call, project: Document, definition: Document) -> Document:
    """The short form of a definition."""
    full = shown(call, project, definition)
    names = [
        "id",
        "name",
        "path",
        "type",
        "queueStatus",
        "revision",
        "url",
        "uri",
        "createdDate",
        "authoredBy",
        "quality",
        "project",
        "queue",
        "_links",
    ]
    return {name: full[name] for name in names if name in full}


def _keep_secrets(before: Document, after: Document) -> None:
    """A secret variable that comes without a value keeps the one it has: clients never learn it."""
    kept = before.get("variables") or {}
    for name, variable in (after.get("variables") or {}).items():
        if variable.get("isSecret") and variable.get("value") is None and name in kept:
            variable["value"] = kept[name].get("value")


@definitions.on("POST")
def create(call: Call) -> Answer:
    project = project_of(call)
    permissions.demand(call.store, call.user, BUILD, project["id"], "CreateBuildDefinition")
    body = _checked(call, project)
    definition = {
        "id": call.store.next_number("definition"),
        "revision": 1,
        "createdDate": now(),
        "authoredBy": call.user["id"],
        "body": body,
    }
    _keep(call, project, definition, "add")
    return shown(call, project, definition)


def _keep(call: Call, project: Document, definition: Document, change: str) -> None:
    place = key(project["id"], definition["id"])
    call.store.put("definition", place, definition)
    revision = {
        "revision": definition["revision"],
        "name": definition["body"]["name"],
        "changeType": change,
        "changedDate": now(),
        "changedBy": call.user["id"],
        "comment": definition["body"].get("comment"),
    }
    call.store.put("definition-revision", f"{place}/{definition['revision']:06}", revision)


@definitions.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "definitionId" in call.route:
        return shown(call, project, find(call, project, call.number("definitionId")))
    found = call.store.all("definition", f"{project['id']}/")
    if call.query.get("name"):
        wanted = re.escape(call.query["name"]).replace(r"\*", ".*")
        found = [each for each in found if re.fullmatch(wanted, each["body"]["name"], re.IGNORECASE)]
    if call.query.get("path"):
        found = [each for each in found if each["body"]["path"].casefold() == call.query["path"].casefold()]
    if call.query.get("definitionids"):
        ids = call.query["definitionids"].split(",")
        found = [each for each in found if str(each["id"]) in ids]
    if call.query.get("repositoryid"):
        wanted_id = call.query["repositoryid"].lower()
        found = [each for each in found if str((each["body"].get("repository") or {}).get("id")).lower() == wanted_id]
    form = shown if call.flag("includeAllProperties") else reference
    return [form(call, project, each) for each in found]


@definitions.on("PUT")
def update(call: Call) -> Answer:
    project = project_of(call)
    definition = find(call, project, call.number("definitionId"), "EditBuildDefinition")
    body = _checked(call, project, definition["id"])
    if body.get("revision") != definition["revision"]:
        raise ServiceError(
            409,
            f"The specified revision {body.get('revision')} of definition {definition['id']} is stale: it was changed "
            f"by somebody else and is at revision {definition['revision']}.",
            "DefinitionRevisionConflictException",
        )
    _keep_secrets(definition["body"], body)
    definition |= {"body": body, "revision": definition["revision"] + 1}
    # The answer's date is that of the newest revision, as the service has it.
    definition |= {"createdDate": now(), "authoredBy": call.user["id"]}
    _keep(call, project, definition, "update")
    return shown(call, project, definition)


@definitions.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    definition = find(call, project, call.number("definitionId"), "DeleteBuildDefinition")
    call.store.delete("definition", key(project["id"], definition["id"]))
    for place, kept in call.store.items("pipeline-permission", f"{project['id']}/"):
        if kept["pipelines"].pop(str(definition["id"]), None):
            call.store.put("pipeline-permission", place, kept)
    return None


@revisions.on("GET")
def get_revisions(call: Call) -> Answer:
    project = project_of(call)
    definition = find(call, project, call.number("definitionId"))
    kept = call.store.all("definition-revision", f"{key(project['id'], definition['id'])}/")
    shown_by = {each["changedBy"]: call.store.get("identity", each["changedBy"]) for each in kept}
    return [
        each | {"changedBy": identities.reference(by, call.vssps) if (by := shown_by[each["changedBy"]]) else None}
        for each in kept
    ]


@general_settings.on("GET")
def get_settings(call: Call) -> Answer:
    project = project_of(call)
    return _SETTINGS | (call.store.get("general-settings", f"{project['id']}/") or {})


@general_settings.on("PATCH")
def update_settings(call: Call) -> Answer:
    project = project_of(call)
    token = permissions.project_token(project["id"])
    permissions.demand(call.store, call.user, PROJECT, token, "GENERIC_WRITE")
    given = {name: value for name, value in call.document().items() if value is not None}
    for name, value in given.items():
        if name not in _SETTINGS or not isinstance(value, bool):
            raise invalid(f"The value '{value}' is not valid for {name}.")
    kept = _SETTINGS | (call.store.get("general-settings", f"{project['id']}/") or {}) | given
    call.store.put("general-settings", f"{project['id']}/", kept)
    return kept


@authorized_resources.on("GET")
def get_authorized(call: Call) -> Answer:
    project = project_of(call)
    found = call.store.all("resource-authorization", f"{project['id']}/")
    for parameter in ("type", "id"):
        if call.query.get(parameter):
            found = [each for each in found if str(each[parameter]) == call.query[parameter]]
    return found


@authorized_resources.on("PATCH")
def authorize(call: Call) -> Answer:
    project = project_of(call, "GENERIC_WRITE")
    body = call.json()
    if not isinstance(body, list):
        raise missing_value("resources")
    for each in body:
        place = f"{project['id']}/{each.get('type')}/{each.get('id')}"
        if each.get("authorized"):
            call.store.put("resource-authorization", place, each)
        else:
            call.store.delete("resource-authorization", place)
    return body


@folders.on("GET")
def get_folders(call: Call) -> Answer:
    project = project_of(call)
    paths = {"\\"} | {each["body"]["path"] for each in call.store.all("definition", f"{project['id']}/")}
    return [{"path": path, "project": projects.reference(call, project)} for path in sorted(paths)]
