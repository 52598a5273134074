"""What jobs attach to their run, e.g. a summary in Markdown.

https://learn.microsoft.com/rest/api/azure/devops/build/attachments/list
"""

from starlette.responses import Response

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Call, Service
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import run_of
from rehearsal.azuredevops.runs import hand_out
from rehearsal.store import Document, Store

of_type = location(
    "build",
    "attachments",
    "{project}/_apis/{area}/builds/{buildId}/{resource}/{type}",
    "f2192269-89fa-4f94-baf6-8fb128c55159",
    complete=True,
)
single = location(
    "build",
    "attachments",
    "{project}/_apis/{area}/builds/{buildId}/{timelineId}/{recordId}/{resource}/{type}/{name}",
    "af5122d3-3438-485e-a25a-2dbbfde84ee6",
    complete=True,
)


def keep(service: Service, job_id: str, kind: str, name: str, content: bytes) -> None:
    """Keeps an attachment; one of the same type and name makes way.

    Raises:
        ServiceError: 404, the job is not known; 400, type or name are missing.
    """
    if not kind or not name:
        raise invalid("An attachment has a type and a name.")
    with service.store.transaction():
        there, _, _ = hand_out.find(service, job_id)
        place = f"{build.key(there['project'], there['run'])}/{kind}/{name}"
        service.store.put("attachment", place, {"type": kind, "name": name, "record": job_id})
        service.store.put_bytes("attachment", place, content)


def of_run(store: Store, project_id: str, run_id: int, kind: str) -> list[tuple[str, bytes]]:
    """The attachments of a type: names and contents."""
    prefix = f"{build.key(project_id, run_id)}/{kind}/"
    return [
        (each["name"], store.get_bytes("attachment", place) or b"") for place, each in store.items("attachment", prefix)
    ]


def _shown(call: Call, project: Document, run: Document, each: Document) -> Document:
    where = (
        "_apis",
        "build",
        "builds",
        run["id"],
        run["plan"],
        each["record"],
        "attachments",
        each["type"],
        each["name"],
    )
    return {"name": each["name"], "_links": {"self": {"href": call.url(project["id"], *where)}}}


@of_type.on("GET")
def get_all(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    prefix = f"{build.key(project['id'], run['id'])}/{call.route['type']}/"
    return [_shown(call, project, run, each) for each in call.store.all("attachment", prefix)]


@single.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    place = f"{build.key(project['id'], run['id'])}/{call.route['type']}/{call.route['name']}"
    content = call.store.get_bytes("attachment", place)
    if content is None:
        message = f"The attachment {call.route['name']} of build {run['id']} could not be found."
        raise ServiceError(404, message, "AttachmentNotFoundException")
    return Response(content, media_type="application/octet-stream")
