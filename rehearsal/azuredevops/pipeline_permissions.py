"""Which pipelines may use a resource: https://learn.microsoft.com/rest/api/azure/devops/approvalsandchecks/pipeline-permissions."""

from rehearsal.azuredevops import identities, protected
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

of_resource = location(
    "pipelinePermissions",
    "pipelinePermissions",
    "{project}/_apis/pipelines/{resource}/{resourceType}/{resourceId}",
    "b5b9a4a4-e6cd-4096-853c-ab7d8b0c4eb2",
)


def _key(project: Document, kind: str, id_: str) -> str:
    return f"{project['id']}/{kind}/{id_.lower()}"


def allowed(call: Call, project: Document, kind: str, id_: str, pipeline: int) -> bool:
    """Whether a pipeline may use a resource without asking."""
    kept = call.store.get("pipeline-permission", _key(project, kind, id_)) or {}
    return bool(kept.get("allPipelines")) or str(pipeline) in kept.get("pipelines", {})


def _shown(call: Call, project: Document, kind: str, id_: str) -> Document:
    kept = call.store.get("pipeline-permission", _key(project, kind, id_)) or {"allPipelines": None, "pipelines": {}}

    def permission(given: Document) -> Document:
        by = call.store.get("identity", given["by"])
        who = identities.reference(by, call.vssps) if by else None
        return {"authorized": True, "authorizedBy": who, "authorizedOn": given["on"]}

    shown: Document = {"resource": {"type": kind, "id": id_}}
    if kept["allPipelines"]:
        shown["allPipelines"] = permission(kept["allPipelines"])
    shown["pipelines"] = [{"id": int(number)} | permission(given) for number, given in kept["pipelines"].items()]
    return shown


@of_resource.on("GET")
def get(call: Call) -> Answer:
    # For what doesn't exist the answer is an empty list, as far as is known: nobody may use it, and the provider takes
    # that for "gone", while it takes a 404 for a failure.
    kind, id_ = call.route.get("resourceType", "").lower(), call.route.get("resourceId", "")
    return _shown(call, project_of(call), kind, id_)


@of_resource.on("PATCH")
def update(call: Call) -> Answer:
    project = project_of(call)
    kind, id_ = call.route.get("resourceType", "").lower(), call.route.get("resourceId", "")
    protected.demand(call, project, kind, id_, administer=True)
    body = call.document()
    place = _key(project, kind, id_)
    kept = call.store.get("pipeline-permission", place) or {"allPipelines": None, "pipelines": {}}
    given = {"by": call.user["id"], "on": now()}
    everybody = body.get("allPipelines")
    if everybody is not None:
        kept["allPipelines"] = given if everybody.get("authorized") else None
    for each in body.get("pipelines") or []:
        number = each.get("id")
        if not isinstance(number, int):
            raise invalid("A pipeline is named by its number.")
        # Taking a permission back is fine for a pipeline that is gone.
        if each.get("authorized"):
            if call.store.get("definition", f"{project['id']}/{number:09}") is None:
                message = f"Pipeline with id {number} does not exist or you do not have permission to view it."
                raise ServiceError(404, message, "PipelineNotFoundException")
            kept["pipelines"].setdefault(str(number), given)
        else:
            kept["pipelines"].pop(str(number), None)
    call.store.put("pipeline-permission", place, kept)
    return _shown(call, project, kind, id_)
