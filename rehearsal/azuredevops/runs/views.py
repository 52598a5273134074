"""Runs as the REST interface shows them: as builds, and as runs of pipelines."""

import json

from rehearsal.azuredevops import build, identities, projects
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.runs import sources
from rehearsal.store import Document

_RESULTS = {"partiallySucceeded": "succeeded"}  # the newer interface knows succeeded, failed and canceled only


def definition_of(call: Call, project: Document, run: Document) -> Document | None:
    """The short form of the run's definition, if there still is one."""
    kept = call.store.get("definition", build.key(project["id"], run["definition"]))
    return build.reference(call, project, kept) if kept else None


def _identity(call: Call, id_: str) -> Document | None:
    who = call.store.get("identity", id_)
    return identities.reference(who, call.vssps) if who else None


def _repository(call: Call, project: Document, run: Document) -> Document | None:
    definition = call.store.get("definition", build.key(project["id"], run["definition"]))
    found = sources.repository_of(call.store, definition) if definition else None
    if found is None:
        return None
    owner = call.store.get("project", found["project"]) or project
    url = call.url(owner["name"], "_git", found["name"])
    return {"id": found["id"], "type": "TfsGit", "name": found["name"], "url": url, "clean": None}


def _trigger_info(run: Document) -> dict[str, str]:
    pull_request = run.get("pullRequest")
    if pull_request:
        return {
            "pr.number": str(pull_request["id"]),
            "pr.sourceBranch": str(pull_request["sourceBranch"]),
            "pr.sourceSha": str(pull_request.get("sourceCommit") or ""),
        }
    info = {}
    if run["reason"] in ("individualCI", "batchedCI"):
        info = {"ci.sourceBranch": run["branch"], "ci.sourceSha": run["sourceVersion"] or ""}
    for alias, each in run["pipelines"].items():
        if each["triggered"]:
            info |= {"alias": alias, "pipelineId": str(each["run"]), "version": str(each["number"])}
            info |= {"definitionId": str(each["definition"]), "projectId": each["project"]}
    return info


def variables(run: Document) -> Document:
    """The variables that were given when the run was queued. Secret values never leave the service."""
    return {
        name: {"value": None, "isSecret": True} if each.get("isSecret") else {"value": each.get("value")}
        for name, each in run["variables"].items()
    }


def as_build(call: Call, project: Document, run: Document) -> Document:
    """The run as a build."""
    url = call.url(project["id"], "_apis", "build", "Builds", run["id"])
    definition = definition_of(call, project, run)
    shown = {name: each["value"] for name, each in variables(run).items() if each.get("value") is not None}
    document = {
        "_links": {
            "self": {"href": url},
            "web": {"href": call.url(project["name"], "_build", "results") + f"?buildId={run['id']}"},
            "timeline": {"href": f"{url}/Timeline"},
        },
        "id": run["id"],
        "buildNumber": str(run["number"]),
        "status": run["status"],
        "queueTime": run["queuedAt"],
        "sourceBranch": run["branch"],
        "sourceVersion": run["sourceVersion"],
        "reason": run["reason"],
        "definition": definition,
        "project": projects.reference(call, project),
        "queue": (definition or {}).get("queue"),
        "repository": _repository(call, project, run),
        "requestedFor": _identity(call, run["requestedFor"]),
        "requestedBy": _identity(call, run["requestedBy"]),
        "lastChangedDate": run["finishTime"] or run["startTime"] or run["queuedAt"],
        "priority": "normal",
        "parameters": json.dumps(shown) if shown else None,
        "templateParameters": {name: _text(value) for name, value in run["templateParameters"].items()},
        "triggerInfo": _trigger_info(run),
        "tags": run["tags"],
        "plans": [{"planId": run["plan"]}],
        "orchestrationPlan": {"planId": run["plan"]},
        "logs": {"id": 0, "type": "Container", "url": f"{url}/logs"},
        "validationResults": [{"result": "error", "message": message} for message in run["errors"]],
        "properties": {},
        "keepForever": bool(run.get("keepForever")),
        "retainedByRelease": False,
        "uri": f"vstfs:///Build/Build/{run['id']}",
        "url": url,
    }
    source = next((each for each in run["pipelines"].values() if each["triggered"]), None)
    if source is not None:
        document["triggeredByBuild"] = {
            "id": source["run"],
            "buildNumber": str(source["number"]),
            "definition": {"id": source["definition"]},
            "project": {"id": source["project"]},
            "sourceBranch": source["branch"],
            "sourceVersion": source["commit"],
        }
    # A run that hasn't begun, or ended, has no such times, and no result.
    return document | {name: run[name] for name in ("startTime", "finishTime", "result") if run[name]}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_run(call: Call, project: Document, run: Document) -> Document:
    """The run as one of a pipeline."""
    definition = definition_of(call, project, run) or {}
    url = call.url(project["id"], "_apis", "pipelines", run["definition"], "runs", run["id"])
    # This interface has no word for a run that waits for its first job.
    state = {"completed": "completed", "cancelling": "canceling"}.get(run["status"], "inProgress")
    own = {"refName": run["branch"], "version": run["sourceVersion"]}
    repository = _repository(call, project, run)
    if repository is not None:
        own["repository"] = {"id": repository["id"], "type": "azureReposGit"}
    resources: Document = {"repositories": {"self": own}}
    if run["pipelines"]:
        resources["pipelines"] = {alias: _pipeline(call, each) for alias, each in run["pipelines"].items()}
    document = {
        "_links": {
            "self": {"href": url},
            "web": {"href": call.url(project["name"], "_build", "results") + f"?buildId={run['id']}"},
        },
        "id": run["id"],
        "name": str(run["number"]),
        "state": state,
        "createdDate": run["queuedAt"],
        "pipeline": {
            "id": run["definition"],
            "name": definition.get("name"),
            "folder": definition.get("path"),
            "revision": definition.get("revision"),
            "url": call.url(project["id"], "_apis", "pipelines", run["definition"]),
        },
        "templateParameters": run["templateParameters"],
        "variables": variables(run),
        "resources": resources,
        "url": url,
    }
    if run["status"] == "completed":
        document |= {"finishedDate": run["finishTime"], "result": _RESULTS.get(run["result"], run["result"])}
    return document


def _pipeline(call: Call, chosen: Document) -> Document:
    kept = call.store.get("definition", build.key(chosen["project"], chosen["definition"])) or {"body": {}}
    body = kept["body"]
    return {
        "pipeline": {"id": chosen["definition"], "name": body.get("name"), "folder": body.get("path")},
        "version": str(chosen["number"]),
        "runId": chosen["run"],
    }
