"""Runs of pipelines, as builds and as runs: asked for, looked at, changed, cancelled.

https://learn.microsoft.com/rest/api/azure/devops/build/builds and …/pipelines/runs, …/pipelines/preview.
"""

import json
from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse

from rehearsal.azuredevops import build, git_store, permissions
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import invalid
from rehearsal.azuredevops.git_commits import described
from rehearsal.azuredevops.git_store import GitError
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import find_run, run_of
from rehearsal.azuredevops.runs import documents, logs, machine, queueing, sources, timeline, views
from rehearsal.azuredevops.runs.queueing import Request
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


preview = location(
    "pipelines",
    "preview",
    "{project}/_apis/pipelines/{pipelineId}/{resource}",
    "53df2d18-29ea-46a9-bee0-933540f80abf",
    complete=True,
)
timelines = location(
    "build",
    "Timeline",
    "{project}/_apis/{area}/builds/{buildId}/{resource}/{timelineId}",
    "8baac422-4c6e-4de5-8532-db96d92acffa",
)
changes = location(
    "build",
    "changes",
    "{project}/_apis/{area}/builds/{buildId}/{resource}",
    "54572c7b-bbd3-45d4-80dc-28be08941620",
    complete=True,
)


_PAGE = 1000  # runs in one answer, when nothing is said


def _asked(call: Call, body: Document) -> Request:
    """What a request for a run of a pipeline says."""
    resources = body.get("resources") or {}
    own = (resources.get("repositories") or {}).get("self") or {}
    chosen = {
        alias: each["version"] for alias, each in (resources.get("pipelines") or {}).items() if each.get("version")
    }
    return Request(
        reason="manual",
        user=call.user,
        branch=own.get("refName"),
        commit=own.get("version"),
        parameters=body.get("templateParameters"),
        variables=body.get("variables"),
        pipelines=chosen,
        skip_stages=tuple(body.get("stagesToSkip") or ()),
    )


def _queue(call: Call, project: Document, definition_id: int, asked: Request) -> Document:
    build.find(call, project, definition_id, "QueueBuilds")
    return queueing.queue(call.service, project, definition_id, asked)


@builds.on("POST")
def queue_build(call: Call) -> Answer:
    project = project_of(call)
    body = call.document()
    id_ = (body.get("definition") or {}).get("id")
    if not isinstance(id_, int):
        raise invalid("The definition of the build is missing.", "DefinitionNotFoundException")
    try:
        given = json.loads(body.get("parameters") or "{}")
    except ValueError:
        raise invalid("The parameters of the build are no JSON object.") from None
    asked = Request(
        reason="manual",
        user=call.user,
        branch=body.get("sourceBranch"),
        commit=body.get("sourceVersion"),
        parameters=body.get("templateParameters"),
        variables={name: {"value": value} for name, value in given.items()},
    )
    return views.as_build(call, project, _queue(call, project, id_, asked))


_FILTERS: Mapping[str, Callable[[Document], object]] = {
    "definitions": lambda run: run["definition"],
    "buildids": lambda run: run["id"],
    "statusfilter": lambda run: run["status"],
    "resultfilter": lambda run: run["result"],
    "reasonfilter": lambda run: run["reason"],
    "branchname": lambda run: run["branch"],
    "buildnumber": lambda run: run["number"],
    "requestedfor": lambda run: run["requestedFor"],
}


@builds.on("GET")
def get_builds(call: Call) -> Answer:
    project = project_of(call)
    if "buildId" in call.route:
        return views.as_build(call, project, find_run(call, project, call.number("buildId")))
    permissions.demand(call.store, call.user, BUILD, project["id"], "ViewBuilds")
    found = list(reversed(call.store.all("run", f"{project['id']}/")))
    for name, value_of in _FILTERS.items():
        given = call.query.get(name, "")
        # These filters are lists in text; "all" and "none" stand for every run.
        wanted = {each.strip().casefold() for each in given.split(",") if each.strip()}
        if wanted and not wanted & {"all", "none"}:
            found = [each for each in found if str(value_of(each)).casefold() in wanted]
    tags = {each for each in call.query.get("tagfilters", "").split(",") if each}
    found = [each for each in found if tags <= set(each["tags"])]
    if call.query.get("queryorder", "").lower().endswith("ascending"):
        found.reverse()
    most = call.whole_number("maxBuildsPerDefinition", len(found))
    counted: dict[int, int] = {}
    shown = []
    for each in found:
        counted[each["definition"]] = counted.get(each["definition"], 0) + 1
        if counted[each["definition"]] <= most:
            shown.append(each)
    # A page begins with the run that the token names. In between newer ones may have come: they are on no later page.
    ids = [each["id"] for each in shown]
    token = call.whole_number("continuationToken", -1)
    start = ids.index(token) if token in ids else 0
    end = start + call.whole_number("$top", _PAGE)
    page = [views.as_build(call, project, each) for each in shown[start:end]]
    more = {"x-ms-continuationtoken": str(ids[end])} if end < len(ids) else None
    return JSONResponse({"count": len(page), "value": page}, headers=more)


@builds.on("PATCH")
def update_build(call: Call) -> Answer:
    """Cancels a run, names it anew, or keeps it: what a client sends besides that has no effect."""
    project = project_of(call)
    body = call.document()
    run = find_run(call, project, call.number("buildId"))
    token = f"{project['id']}/{run['definition']}"
    if call.flag("retry"):
        raise invalid("A run as a whole cannot be retried; its stages can.")
    if str(body.get("status", "")).lower() in ("cancelling", "4"):
        permissions.demand(call.store, call.user, BUILD, token, "StopBuilds")
        machine.cancel(call.service, project, run)
    if body.get("buildNumber"):
        permissions.demand(call.store, call.user, BUILD, token, "UpdateBuildInformation")
        run["number"] = str(body["buildNumber"])
    if isinstance(body.get("keepForever"), bool):
        permissions.demand(call.store, call.user, BUILD, token, "RetainIndefinitely")
        run["keepForever"] = body["keepForever"]
    documents.keep(call.store, project["id"], run)
    call.service.wake()
    return views.as_build(call, project, run)


@timelines.on("GET")
def get_timeline(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    wanted = call.route.get("timelineId")
    earlier = wanted if wanted and wanted != run["plan"] else None
    records = timeline.of_run(call.store, project["id"], run["id"], timeline_id=earlier)
    for record in records:
        if record["log"]:
            record["log"] |= {"url": logs.url(call, project["id"], run["id"], record["log"]["id"])}
    base = call.url(project["id"], "_apis", "build", "builds", run["id"], "Timeline")
    id_ = earlier or run["plan"]
    # `changeId` grows with every change; how many records have one is all that clients make of it.
    return {
        "records": records,
        "lastChangedBy": "00000002-0000-8888-8000-000000000000",
        "lastChangedOn": run["finishTime"] or run["startTime"] or run["queuedAt"],
        "id": id_,
        "changeId": len(records),
        "url": f"{base}/{id_}",
    }


@changes.on("GET")
def get_changes(call: Call) -> Answer:
    """The commits since the last run of the pipeline on the branch that went well; for the first run its own commit."""
    project = project_of(call)
    run = run_of(call, project)
    definition = sources.definition_of(call.store, project["id"], run["definition"])
    repository = sources.repository_of(call.store, definition) if definition else None
    if repository is None or not run["sourceVersion"]:
        return []
    here = git_store.git(call.service, repository)
    last = next(
        (
            each["sourceVersion"]
            for each in documents.of_definition(call.store, project["id"], run["definition"])
            if each["id"] < run["id"] and each["branch"] == run["branch"]
            if each["result"] in ("succeeded", "partiallySucceeded")
        ),
        None,
    )
    most = call.whole_number("$top", 50)
    try:
        listed = here.text("rev-list", f"--max-count={most}", run["sourceVersion"], *([f"^{last}"] if last else []))
    except GitError:
        return []
    shown = []
    for commit in listed.splitlines() if last else listed.splitlines()[:1]:
        full = described(call, repository, here, commit)
        shown.append(
            {
                "id": commit,
                "message": full["comment"],
                "type": "TfsGit",
                "author": {"displayName": full["author"]["name"], "uniqueName": full["author"]["email"]},
                "timestamp": full["author"]["date"],
                "location": full["url"],
            }
        )
    return shown


@runs.on("POST")
def run_pipeline(call: Call) -> Answer:
    project = project_of(call)
    body = call.json() or {}
    if body.get("previewRun"):
        return _preview(call, project, body)
    run = _queue(call, project, call.number("pipelineId"), _asked(call, body))
    return views.as_run(call, project, run)


@preview.on("POST")
def preview_pipeline(call: Call) -> Answer:
    return _preview(call, project_of(call), call.json() or {})


def _preview(call: Call, project: Document, body: Document) -> Document:
    """Looks whether a run could start; the YAML that the real service answers with isn't put together here."""
    definition = build.find(call, project, call.number("pipelineId"), "QueueBuilds")
    asked = _asked(call, body)
    draft = queueing.draft(call.service, project, definition["id"], asked)
    queueing.prepared(call.service, project, draft, asked)
    return {"finalYaml": ""}


@runs.on("GET")
def get_runs(call: Call) -> Answer:
    project = project_of(call)
    definition = build.find(call, project, call.number("pipelineId"), "ViewBuilds")
    if "runId" in call.route:
        return views.as_run(call, project, find_run(call, project, call.number("runId")))
    found = documents.of_definition(call.store, project["id"], definition["id"])
    return [views.as_run(call, project, each) for each in found]


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
