"""Projects, teams, processes, project features and long-running operations.

https://learn.microsoft.com/rest/api/azure/devops/core and
https://learn.microsoft.com/rest/api/azure/devops/operations.
"""

import re
import time

from starlette.responses import JSONResponse

from rehearsal.azuredevops import agents, artifacts, git_store, identities, permissions, users
from rehearsal.azuredevops.context import Call, by_name, fixed_id, new_id, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import COLLECTION, PROJECT
from rehearsal.azuredevops.projects import find_project, reference
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document, Store

projects = location("core", "projects", "_apis/{resource}/{*projectId}", "603fe2ac-9723-48b9-88ad-09305aa6c6e1")
properties = location(
    "core", "properties", "_apis/projects/{projectId}/{resource}", "4976a71a-4487-49aa-8aab-a1eda469037a"
)
teams = location(
    "core", "teams", "_apis/projects/{projectId}/{resource}/{*teamId}", "d30a3dd1-f8ba-442a-b86a-bd0c0c383e59"
)
all_teams = location("core", "teams", "_apis/{resource}", "7a4d9ee9-3433-4347-b47a-7a80f1cf307e")
team_members = location(
    "core", "members", "_apis/projects/{projectId}/teams/{teamId}/{resource}", "294c494c-2600-4d7e-b76c-3dd50c3c95be"
)
processes = location(
    "core", "processes", "_apis/process/{resource}/{processId}", "93878975-88c5-4e6a-8abb-7ddd77a8a7d8"
)
collections = location(
    "core", "projectCollections", "_apis/{resource}/{collectionId}", "8031090f-ef1d-4af6-85fc-698cd75d42bf"
)
operations = location(
    "operations", "operations", "_apis/{resource}/{operationId}", "9a1b74b4-2ca8-4a9f-8470-c2f2e6fdc949"
)
feature_state = location(
    "FeatureManagement",
    "FeatureStates",
    "_apis/{area}/{resource}/{userScope}/{scopeName}/{scopeValue}/{featureId}",
    "dd291e43-aa9f-4cee-8465-a93c78e414a4",
)
feature_query = location(
    "FeatureManagement", "FeatureStatesQuery", "_apis/{area}/{resource}", "2b4486ad-122b-400c-ae65-17b6672c1f9d"
)

PROCESSES = {
    "adcc42ab-9882-485e-a3ed-7678f01f66bc": "Agile",
    "6b724908-ef14-45cf-84f8-768b5384da45": "Scrum",
    "27450541-8e31-4150-9947-dc59f998fc01": "CMMI",
    "b8a3a935-7e91-48b8-a94c-606d37c3e9f2": "Basic",
}
# Seconds from the acceptance of an operation to its next states. The real service takes some ten seconds.
_STARTS, _ENDS = 0.05, 0.15
# What a deleted project takes with it: all kinds whose keys begin with the project's id.
_OF_A_PROJECT = [
    "repository",
    "push",
    "pull-request",
    "pull-request-thread",
    "pull-request-status",
    "policy-evaluation",
    "policy",
    "policy-revision",
    "definition",
    "definition-revision",
    "run",
    "run-graph",
    "active-run",
    "batched-push",
    "timeline",
    "log",
    "log-of",
    "attachment",
    "environment",
    "endpoint",
    "check",
    "pipeline-permission",
    "queue",
    "general-settings",
    "feature",
    "resource-authorization",
    "variable-group",
    "gate",
    "approval",
    "lock",
    "lock-waiter",
    "artifact",
    "lease",
    "test-run",
    "test-result",
    "deployment-record",
]


def _full(call: Call, project: Document) -> Document:
    team = call.store.get("identity", project["defaultTeam"])
    shown = reference(call, project)
    shown["_links"] = {
        "self": {"href": shown["url"]},
        "web": {"href": call.url(project["name"])},
        "collection": {"href": call.url("_apis", "projectCollections", identities.HOST_ID)},
    }
    if call.flag("includeCapabilities"):
        shown["capabilities"] = {
            "processTemplate": {"templateName": PROCESSES[project["process"]], "templateTypeId": project["process"]},
            "versioncontrol": {"sourceControlType": "Git", "gitEnabled": "True", "tfvcEnabled": "False"},
        }
    if team is not None:
        shown["defaultTeam"] = {
            "id": team["id"],
            "name": team["displayName"],
            "url": call.url("_apis", "projects", project["id"], "teams", team["id"]),
        }
    return shown


def _check_name(store: Store, name: str, mine: str | None = None) -> None:
    # https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions#project-names
    if not name or len(name) > 64 or re.search(r'[\\/:*?"<>;#${},+=\[\]|]', name) or name[0] in "._" or name[-1] == ".":
        raise invalid(
            f"TF50316: The following name is not valid: {name}. Verify that the name does not exceed the maximum "
            "character limit, only contains valid characters, and is not a reserved name.",
            "InvalidProjectNameException",
        )
    taken = by_name(store.all("project"), name)
    if taken is not None and taken["id"] != mine:
        raise ServiceError(
            409,
            f"TF200019: The following project already exists on the Azure DevOps Server: {name}. You cannot create a "
            "new project with the same name as an existing project. Provide a different name for the project.",
            "ProjectAlreadyExistsException",
        )


def _start_operation(call: Call) -> JSONResponse:
    id_ = new_id()
    call.store.put("operation", id_, {"id": id_, "acceptedAt": time.time()})
    url = call.url("_apis", "operations", id_)
    return JSONResponse({"id": id_, "status": "queued", "url": url}, 202)


@projects.on("POST")
def create_project(call: Call) -> Answer:
    permissions.demand(call.store, call.user, COLLECTION, "", "CREATE_PROJECTS")
    body = call.document()
    name = str(body.get("name") or "").strip()
    _check_name(call.store, name)
    capabilities = body.get("capabilities") or {}
    process = str((capabilities.get("processTemplate") or {}).get("templateTypeId", "")).lower()
    control = (capabilities.get("versioncontrol") or {}).get("sourceControlType")
    if process not in PROCESSES or control != "Git":
        # TFVC exists on the real service; this product has no use for it.
        raise invalid(f"The project needs capabilities: process template '{process}', version control '{control}'.")
    visibility = body.get("visibility", "private")
    if visibility not in ("private", "public"):
        raise invalid(f"The value '{visibility}' is not valid for visibility.")
    project = {
        "id": new_id(),
        "name": name,
        "description": body.get("description") or "",
        "visibility": visibility,
        "process": process,
        "revision": 11,
        "lastUpdateTime": now(),
        "readyAt": time.time() + _ENDS,
        "defaultTeam": None,
    }
    call.store.put("project", project["id"], project)
    for group, description in identities.PROJECT_GROUPS.items():
        identities.add_group(call.store, group, description, project)
    _add_default_team(call, project)
    permissions.seed_project(call.store, project)
    agents.seed_project(call.store, project["id"])
    git_store.create(call.service, project, name, call.user)
    return _start_operation(call)


def _add_default_team(call: Call, project: Document) -> None:
    store = call.store

    def group(name: str) -> str:
        return str(identities.group_named(store, project["id"], name)["id"])

    team = identities.add_group(store, f"{project['name']} Team", "The default project team.", project)
    identities.add_member(store, group("Contributors"), team["id"])
    identities.add_member(store, group("Project Administrators"), call.user["id"])
    for name in identities.PROJECT_GROUPS:
        if name != "Project Valid Users":
            identities.add_member(store, group("Project Valid Users"), group(name))
    identities.add_member(store, team["id"], call.user["id"])
    # The real service puts only the creator in the team. Here nobody is there to invite the others.
    for user in users.USERS:
        if user.role == "member":
            identities.add_member(store, team["id"], fixed_id("user", user.key))
    project["defaultTeam"] = team["id"]
    store.put("project", project["id"], project)


@projects.on("GET")
def get_projects(call: Call) -> Answer:
    if "projectId" in call.route:
        return _full(call, find_project(call, call.route["projectId"]))
    wanted = call.query.get("statefilter", "wellFormed").lower()
    seen = [
        reference(call, each)
        for each in call.store.all("project")
        if permissions.may(call.store, call.user, PROJECT, permissions.project_token(each["id"]), "GENERIC_READ")
    ]
    seen = sorted((each for each in seen if wanted in ("all", each["state"].lower())), key=lambda each: each["name"])
    start = call.whole_number("continuationToken", call.whole_number("$skip", 0))
    end = start + call.whole_number("$top", 100)
    more = {"X-MS-ContinuationToken": str(end)} if end < len(seen) else None
    page = seen[start:end]
    return JSONResponse({"count": len(page), "value": page}, headers=more)


@projects.on("PATCH")
def update_project(call: Call) -> Answer:
    body = call.document()
    project = find_project(call, call.route.get("projectId", ""), "GENERIC_WRITE")
    if body.get("name"):
        _check_name(call.store, body["name"], project["id"])
    if body.get("visibility", "private") not in ("private", "public"):
        raise invalid(f"The value '{body['visibility']}' is not valid for visibility.")
    changed = {key: body[key] for key in ("name", "description", "visibility") if body.get(key) is not None}
    project |= changed | {"revision": project["revision"] + 1, "lastUpdateTime": now()}
    call.store.put("project", project["id"], project)
    return _start_operation(call)


@projects.on("DELETE")
def delete_project(call: Call) -> Answer:
    project = find_project(call, call.route.get("projectId", ""), "DELETE")
    # The real service keeps a deleted project for 28 days, in state `deleted`; its name is free at once.
    store, prefix = call.store, f"{project['id']}/"
    for repository in store.all("repository", prefix):
        git_store.remove(call.service, repository)
    for artifact in store.all("artifact", prefix):
        artifacts.path(call.service, artifact).unlink(missing_ok=True)
    for kind in _OF_A_PROJECT:
        for key, _ in store.items(kind, prefix):
            store.delete(kind, key)
    for key, acl in store.items("acl"):
        if project["id"] in acl["token"]:
            store.delete("acl", key)
    identities.forget(store, [each for each in store.all("identity") if each["project"] == project["id"]])
    store.delete("project", project["id"])
    return _start_operation(call)


@properties.on("GET")
def get_properties(call: Call) -> Answer:
    project = find_project(call, call.route["projectId"])
    return [
        {"name": "System.CurrentProcessTemplateId", "value": project["process"]},
        {"name": "System.Process Template", "value": PROCESSES[project["process"]]},
        {"name": "System.SourceControlGitEnabled", "value": "True"},
    ]


@operations.on("GET")
def get_operation(call: Call) -> Answer:
    id_ = call.route.get("operationId", "")
    operation = call.store.get("operation", id_.lower())
    if operation is None:
        raise ServiceError(404, f"The operation {id_} does not exist.", "OperationNotFoundException")
    age = time.time() - operation["acceptedAt"]
    status = "queued" if age < _STARTS else "inProgress" if age < _ENDS else "succeeded"
    url = call.url("_apis", "operations", id_)
    return {"id": id_, "status": status, "url": url, "_links": {"self": {"href": url}}}


def _process(call: Call, id_: str) -> Document:
    return {
        "id": id_,
        "name": PROCESSES[id_],
        "description": "",
        "isDefault": PROCESSES[id_] == "Agile",
        "type": "system",
        "url": call.url("_apis", "process", "processes", id_),
    }


@processes.on("GET")
def get_processes(call: Call) -> Answer:
    wanted = call.route.get("processId")
    if wanted is None:
        return [_process(call, id_) for id_ in PROCESSES]
    if wanted.lower() not in PROCESSES:
        message = f"VS402362: The process with type id {wanted} does not exist."
        raise ServiceError(404, message, "ProcessNotFoundByTypeIdException")
    return _process(call, wanted.lower())


@collections.on("GET")
def get_collections(call: Call) -> Answer:
    name = call.base.rpartition("/")[2]
    url = call.url("_apis", "projectCollections", identities.HOST_ID)
    shown = {"id": identities.HOST_ID, "name": name, "url": url}
    return shown | {"state": "Started"} if "collectionId" in call.route else [shown]


def _team(call: Call, project: Document, team: Document) -> Document:
    return {
        "id": team["id"],
        "name": team["displayName"],
        "description": team["description"],
        "url": call.url("_apis", "projects", project["id"], "teams", team["id"]),
        "identityUrl": f"{call.vssps}/_apis/Identities/{team['id']}",
        "projectId": project["id"],
        "projectName": project["name"],
    }


def _default_team(call: Call) -> tuple[Document, Document]:
    project = find_project(call, call.route["projectId"])
    team = call.store.get("identity", project["defaultTeam"])
    wanted = call.route.get("teamId") or str(project["defaultTeam"])
    if team is None or wanted.casefold() not in (team["id"], team["displayName"].casefold()):
        raise ServiceError(404, f"The team with id '{wanted}' does not exist.", "TeamNotFoundException")
    return project, team


# Only the default team: the product makes no others.
@teams.on("GET")
def get_team(call: Call) -> Answer:
    shown = _team(call, *_default_team(call))
    return shown if "teamId" in call.route else [shown]


@all_teams.on("GET")
def get_all_teams(call: Call) -> Answer:
    found = []
    for project in call.store.all("project"):
        team = call.store.get("identity", project["defaultTeam"])
        token = permissions.project_token(project["id"])
        if team and permissions.may(call.store, call.user, PROJECT, token, "GENERIC_READ"):
            found.append(_team(call, project, team))
    return found


@team_members.on("GET")
def get_team_members(call: Call) -> Answer:
    _, team = _default_team(call)
    return [
        {"identity": identities.reference(each, call.vssps), "isTeamAdmin": False}
        for each in identities.members(call.store, team["id"])
    ]


@feature_state.on("GET", "PATCH")
def feature(call: Call) -> Answer:
    # On unless switched off: https://learn.microsoft.com/azure/devops/organizations/settings/set-services
    if call.route["scopeName"].lower() != "project":
        raise invalid(f"The scope '{call.route['scopeName']}' is not valid for this feature.")
    action = "GENERIC_WRITE" if call.content else "GENERIC_READ"
    project = find_project(call, call.route["scopeValue"], action)
    name = call.route.get("featureId", "")
    if call.content:
        body = call.document()
        call.store.put("feature", f"{project['id']}/{name}", {"state": body.get("state", "enabled")})
    return {
        "featureId": name,
        "scope": {"settingScope": "project", "userScoped": False},
        "state": _state(call, project, name),
    }


def _state(call: Call, project: Document, feature_id: str) -> str:
    kept = call.store.get("feature", f"{project['id']}/{feature_id}")
    return str(kept["state"]) if kept else "enabled"


@feature_query.on("POST")
def query_features(call: Call) -> Answer:
    body = call.document()
    scopes = body.get("scopeValues") or {}
    project = find_project(call, str(scopes.get("project", "")))
    ids = body.get("featureIds") or []
    states = {id_: {"featureId": id_, "state": _state(call, project, id_)} for id_ in ids}
    return {"featureIds": ids, "featureStates": states, "scopeValues": scopes}
