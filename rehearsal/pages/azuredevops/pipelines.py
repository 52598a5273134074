"""Pipelines: what each is, its newest runs, and a run queued by hand with what its YAML lets somebody choose."""

from typing import Any

import yaml

from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops.addresses import PROJECT, Document, api, page
from rehearsal.pages.site import Done, Page, Place, Visit


async def _pipelines(visit: Visit) -> Page:
    project = visit.route["project"]
    id_ = visit.query.get("definitionId")
    if id_:
        return await _pipeline(visit, project, id_)
    definitions = await visit.api.get(api(project, "build", "definitions"))
    runs = await visit.api.get(api(project, "build", "builds"), **{"$top": 50})
    newest: Document = {}
    for run in runs:
        newest.setdefault(run["definition"]["id"], run)
    content = {"project": project, "definitions": definitions, "newest": newest, "runs": runs[:50]}
    return Page("azuredevops/pipelines.html.j2", content)


async def _pipeline(visit: Visit, project: str, id_: str) -> Page:
    definition = await visit.api.get(api(project, "build", "definitions", id_))
    runs = await visit.api.get(api(project, "build", "builds"), definitions=id_, **{"$top": 100})
    file, branches = await visit.api.gather(_file(visit, project, definition), _branches(visit, project, definition))
    resources = [
        {"alias": each["pipeline"], "runs": await _choices(visit, project, each)}
        for each in _listed(file, "resources", "pipelines")
        if "pipeline" in each
    ]
    content = {
        "project": project,
        "definition": definition,
        "overrides": _overrides(definition),
        "runs": runs[:100],
        "branches": branches,
        "default": (definition.get("repository") or {}).get("defaultBranch") or "refs/heads/main",
        "resources": resources,
        "parameters": [_parameter(each) for each in _listed(file, "parameters") if "name" in each],
    }
    return Page("azuredevops/pipeline.html.j2", content)


def _overrides(definition: Document) -> list[str]:
    """What the pipeline's settings say about its starts, whatever stands in the YAML."""
    triggers = definition.get("triggers") or []
    told = []
    if not any(each.get("settingsSourceType") == 2 for each in triggers):
        told.append("No push starts this pipeline: its settings override the trigger of the YAML.")
    if any(each.get("schedules") for each in triggers):
        told.append("Schedules are those of its settings: they override the schedules of the YAML.")
    return told


async def _file(visit: Visit, project: str, definition: Document) -> Any:
    """The pipeline's YAML in the default branch: what somebody can choose for a run stands in it."""
    repository = (definition.get("repository") or {}).get("id")
    name = (definition.get("process") or {}).get("yamlFilename")
    try:
        text = await visit.api.bytes(api(project, "git", "repositories", repository, "items"), path=name)
        return yaml.safe_load(text)
    except (Refused, yaml.YAMLError):
        return None  # a run will say what is wrong with it


async def _branches(visit: Visit, project: str, definition: Document) -> list[str]:
    repository = (definition.get("repository") or {}).get("id")
    found = await visit.api.either(api(project, "git", "repositories", repository, "refs"), [], filter="heads/")
    return [each["name"] for each in found]


def _listed(file: Any, *names: str) -> list[Document]:
    """A list in the YAML, where there is one."""
    for name in names:
        file = file.get(name) if isinstance(file, dict) else None
    return [each for each in file if isinstance(each, dict)] if isinstance(file, list) else []


async def _choices(visit: Visit, project: str, resource: Document) -> list[Document]:
    """The runs whose artifact a new run can take."""
    source = str(resource.get("source", ""))
    definitions = await visit.api.either(api(project, "build", "definitions"), [], name=source.rpartition("\\")[2])
    if not definitions:
        return []
    found = await visit.api.get(
        api(project, "build", "builds"), definitions=definitions[0]["id"], resultFilter="succeeded", **{"$top": 50}
    )
    return [each for each in found if each.get("result") == "succeeded"][:50]


def _parameter(given: Document) -> Document:
    default = given.get("default", "")
    kind = str(given.get("type", "string"))
    return {
        "name": given["name"],
        "title": given.get("displayName") or given["name"],
        "kind": kind,
        "values": [str(each) for each in given.get("values") or []],
        "default": str(default).lower() if isinstance(default, bool) else default,
        # What is more than a word is written as YAML.
        "text": yaml.safe_dump(default) if isinstance(default, dict | list) else "",
    }


async def _queue(visit: Visit) -> Done:
    project, id_ = visit.route["project"], visit.query.get("definitionId", "")
    resources: Document = {"repositories": {"self": {"refName": visit.form.get("branch", "")}}}
    chosen = {
        name.removeprefix("resource."): {"version": value}
        for name, value in visit.form.items()
        if name.startswith("resource.") and value
    }
    if chosen:
        resources["pipelines"] = chosen
    body: Document = {"resources": resources}
    parameters = {
        name.removeprefix("parameter."): value for name, value in visit.form.items() if name.startswith("parameter.")
    }
    if parameters:
        body["templateParameters"] = parameters
    made = await visit.api.send("POST", api(project, "pipelines", id_, "runs"), body)
    return Done(page(project, "_build", "results", buildId=made["id"]), "The run is queued.")


PLACES = [Place(f"{PROJECT}/_build(?:/definition)?/?", _pipelines, {"queue": _queue})]
