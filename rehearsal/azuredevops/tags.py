"""Tags of runs: https://learn.microsoft.com/rest/api/azure/devops/build/tags."""

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Call, Service
from rehearsal.azuredevops.errors import invalid, missing_value
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import run_of
from rehearsal.store import Document

of_run = location(
    "build",
    "tags",
    "{project}/_apis/{area}/builds/{buildId}/{resource}/{*tag}",
    "6e6114b2-8161-44c8-8f6c-c5505782427f",
)
of_project = location(
    "build", "tags", "{project}/_apis/{area}/{resource}/{*tag}", "d84ac5c6-edc7-43d5-adc9-1b34be5dea09"
)
_LIMIT = 256  # characters


def change(service: Service, project_id: str, run_id: int, *, add: list[str], remove: list[str]) -> list[str]:
    """Changes the tags of a run; adding one twice, in any case, does no harm.

    Returns:
        The tags that the run has then.

    Raises:
        ServiceError: 400, when a tag is empty or longer than 256 characters.
    """
    for tag in add:
        if not tag.strip() or len(tag) > _LIMIT:
            raise invalid(f"The tag '{tag}' is not valid.", "InvalidTagException")
    with service.store.transaction():
        place = build.key(project_id, run_id)
        run = service.store.get("run", place) or {}
        gone = {tag.casefold() for tag in remove}
        kept = {str(tag).casefold(): str(tag) for tag in run.get("tags") or [] if str(tag).casefold() not in gone}
        for tag in add:
            kept.setdefault(tag.strip().casefold(), tag.strip())
        tags = list(kept.values())
        service.store.put("run", place, run | {"tags": tags})
    return tags


def _texts(given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise missing_value("tags")
    return given


def _change(call: Call, add: list[str], remove: list[str]) -> Answer:
    project = project_of(call)
    run = run_of(call, project, "UpdateBuildInformation")
    return list(change(call.service, project["id"], run["id"], add=add, remove=remove))


def _tag(call: Call) -> list[str]:
    if "tag" not in call.route:
        raise missing_value("tag")
    return [call.route["tag"]]


@of_run.on("GET")
def get(call: Call) -> Answer:
    run = run_of(call, project_of(call))
    return list(run.get("tags") or [])


@of_run.on("PUT")
def add_one(call: Call) -> Answer:
    return _change(call, _tag(call), [])


@of_run.on("POST")
def add_several(call: Call) -> Answer:
    return _change(call, _texts(call.json()), [])


@of_run.on("PATCH")
def update(call: Call) -> Answer:
    body = call.document()
    return _change(call, _texts(body.get("tagsToAdd") or []), _texts(body.get("tagsToRemove") or []))


@of_run.on("DELETE")
def remove(call: Call) -> Answer:
    return _change(call, [], _tag(call))


@of_project.on("GET")
def get_all(call: Call) -> Answer:
    project = project_of(call)
    runs: list[Document] = call.store.all("run", f"{project['id']}/")
    return sorted({tag for run in runs for tag in run.get("tags") or []})
