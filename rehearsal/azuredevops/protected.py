"""What checks protect and what pipelines are allowed to use: environments, queues, repositories, variable groups …"""

from rehearsal.azuredevops import agents, environments, permissions, service_endpoints, variable_groups
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.permissions import GIT, PROJECT
from rehearsal.store import Document

KINDS = ("environment", "queue", "repository", "endpoint", "variablegroup", "securefile")


def demand(call: Call, project: Document, kind: str, id_: str, *, administer: bool) -> str:
    """Goes on only when the resource is there and the user may see it, or administer it.

    Returns:
        The resource's name.

    Raises:
        ServiceError: 400 for an unknown kind, 404 for an unknown resource, 403 without the rights.
    """
    match kind:
        case "environment" if id_.isdigit():
            name = environments.find(call, project, int(id_), "Administer" if administer else "View")["name"]
        case "queue" if id_.isdigit():
            queue = agents.queue_of(call.store, project["id"], id_=int(id_))
            name = queue["name"] if queue else None
            _demand_project(call, project, administer=administer)
        case "repository":
            # The id of a repository is `{project}.{repository}` here.
            repository_id = id_.rpartition(".")[2].lower()
            repository = call.store.get("repository", f"{project['id']}/{repository_id}")
            name = repository["name"] if repository else None
            token = permissions.git_token(project["id"], repository_id)
            permissions.demand(call.store, call.user, GIT, token, "Administer" if administer else "GenericRead")
        case "endpoint":
            endpoint = service_endpoints.find(call, project["id"], id_)
            name = endpoint["body"]["name"] if endpoint else None
            _demand_project(call, project, administer=administer)
        case "variablegroup" if id_.isdigit():
            group = variable_groups.find(call, project, int(id_), "Administer" if administer else "View")
            name = group["name"] if group else None
        case _ if kind in KINDS:
            # Secure files: the stand-in has none.
            name = None
        case _:
            raise invalid(f"The resource type '{kind}' is not supported.")
    if name is None:
        message = f"The resource with id {id_} of type {kind} does not exist or you do not have permission to view it."
        raise ServiceError(404, message, "ResourceNotFoundException")
    return str(name)


def _demand_project(call: Call, project: Document, *, administer: bool) -> None:
    if administer:
        permissions.demand(call.store, call.user, PROJECT, permissions.project_token(project["id"]), "GENERIC_WRITE")
