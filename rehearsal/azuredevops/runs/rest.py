"""Runs of pipelines: accepted, kept, and waiting. Nothing executes them here."""

from rehearsal.azuredevops import build, identities, permissions, projects
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

builds = location(
    "build", "Builds", "{project}/_apis/{area}/{resource}/{buildId}", "0cd358e1-9217-4d94-8269-1c1ee6f93dcf"
)
pipelines = location(
    "pipelines", "pipelines", "{project}/_apis/{resource}/{pipelineId}", "28e1305e-2afe-47bf-abaf-cbb0e6a91988"
)
runs = location(
    "pipelines",
    "runs",
    "{project}/_apis/pipelines/{pipelineId}/{resource}/{runId}",
    "7859261e-d2e9-4a68-b820-a5d84cc5bb3d",
)


def _start(call: Call, project: Document, definition_id: int, branch: str | None, variables: Document) -> Document:
    definition = build.find(call, project, definition_id, "QueueBuilds")
    if definition["body"].get("queueStatus") == "disabled":
        raise invalid(f"Definition {definition_id} is disabled.", "DefinitionDisabledException")
    if identities.build_service(call.store, project["id"]) is None:
        # The project's own build identity comes into being with its first run.
        made = identities.add_build_service(call.store, project)
        permissions.seed_build_service(call.store, project["id"], made)
    id_ = call.store.next_number("run")
    repository = definition["body"].get("repository") or {}
    run = {
        "id": id_,
        "definition": definition_id,
        "number": id_,
        "branch": branch or repository.get("defaultBranch") or "refs/heads/main",
        "queuedAt": now(),
        "requestedBy": call.user["id"],
        "variables": variables,
        "status": "notStarted",
    }
    call.store.put("run", build.key(project["id"], id_), run)
    return run


def _find(call: Call, project: Document, id_: int) -> Document:
    found = call.store.get("run", build.key(project["id"], id_))
    if found is None:
        raise ServiceError(404, f"The requested build {id_} could not be found.", "BuildNotFoundException")
    permissions.demand(call.store, call.user, BUILD, f"{project['id']}/{found['definition']}", "ViewBuilds")
    return found


def _definition(call: Call, project: Document, run: Document) -> Document | None:
    kept = call.store.get("definition", build.key(project["id"], run["definition"]))
    return build.reference(call, project, kept) if kept else None


def _as_build(call: Call, project: Document, run: Document) -> Document:
    who = call.store.get("identity", run["requestedBy"])
    person = identities.reference(who, call.vssps) if who else None
    return {
        "id": run["id"],
        "buildNumber": str(run["number"]),
        "status": run["status"],
        "queueTime": run["queuedAt"],
        "sourceBranch": run["branch"],
        "reason": "manual",
        "definition": _definition(call, project, run),
        "project": projects.reference(call, project),
        "requestedFor": person,
        "requestedBy": person,
        "uri": f"vstfs:///Build/Build/{run['id']}",
        "url": call.url(project["id"], "_apis", "build", "Builds", run["id"]),
    }


def _as_run(call: Call, project: Document, run: Document) -> Document:
    definition = _definition(call, project, run) or {}
    return {
        "id": run["id"],
        "name": str(run["number"]),
        "state": "inProgress",  # this interface has no word for a run that waits for its first job
        "createdDate": run["queuedAt"],
        "pipeline": {"id": run["definition"], "name": definition.get("name"), "folder": definition.get("path")},
        "resources": {"repositories": {"self": {"refName": run["branch"]}}},
        "url": call.url(project["id"], "_apis", "pipelines", run["definition"], "runs", run["id"]),
    }


@builds.on("POST")
def queue_build(call: Call) -> Answer:
    project = project_of(call)
    body = call.document()
    id_ = (body.get("definition") or {}).get("id")
    if not isinstance(id_, int):
        raise invalid("The definition of the build is missing.", "DefinitionNotFoundException")
    return _as_build(call, project, _start(call, project, id_, body.get("sourceBranch"), {}))


@builds.on("GET")
def get_builds(call: Call) -> Answer:
    project = project_of(call)
    if "buildId" in call.route:
        return _as_build(call, project, _find(call, project, call.number("buildId")))
    permissions.demand(call.store, call.user, BUILD, project["id"], "ViewBuilds")
    found = call.store.all("run", f"{project['id']}/")
    wanted = [each for each in call.query.get("definitions", "").split(",") if each]
    return [
        _as_build(call, project, each) for each in reversed(found) if not wanted or str(each["definition"]) in wanted
    ]


@runs.on("POST")
def run_pipeline(call: Call) -> Answer:
    project = project_of(call)
    body = call.json() or {}
    own = ((body.get("resources") or {}).get("repositories") or {}).get("self") or {}
    return _as_run(
        call, project, _start(call, project, call.number("pipelineId"), own.get("refName"), body.get("variables") or {})
    )


@runs.on("GET")
def get_runs(call: Call) -> Answer:
    project = project_of(call)
    definition = build.find(call, project, call.number("pipelineId"), "ViewBuilds")
    if "runId" in call.route:
        return _as_run(call, project, _find(call, project, call.number("runId")))
    found = call.store.all("run", f"{project['id']}/")
    return [_as_run(call, project, each) for each in reversed(found) if each["definition"] == definition["id"]]


def _as_pipeline(call: Call, project: Document, definition: Document) -> Document:
    body = definition["body"]
    return {
        "id": definition["id"],
        "name": body["name"],
        "folder": body["path"],
        "revision": definition["revision"],
        "url": call.url(project["id"], "_apis", "pipelines", definition["id"]),
        "configuration": {
            "type": "yaml",
            "path": body["process"]["yamlFilename"],
            "repository": {"id": (body.get("repository") or {}).get("id"), "type": "azureReposGit"},
        },
    }


@pipelines.on("GET")
def get_pipelines(call: Call) -> Answer:
    project = project_of(call)
    if "pipelineId" in call.route:
        return _as_pipeline(call, project, build.find(call, project, call.number("pipelineId")))
    return [_as_pipeline(call, project, each) for each in call.store.all("definition", f"{project['id']}/")]
