"""Runs of pipelines as other parts of the interface look them up: by their number, with the user's rights."""

from rehearsal.azuredevops import build, permissions
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.permissions import BUILD
from rehearsal.store import Document


def find_run(call: Call, project: Document, id_: int, action: str = "ViewBuilds") -> Document:
    """The run, if the user may do `action` with it.

    Raises:
        ServiceError: 404, when there is none; 403, when the action is refused.
    """
    found = call.store.get("run", build.key(project["id"], id_))
    if found is None:
        raise ServiceError(404, f"The requested build {id_} could not be found.", "BuildNotFoundException")
    permissions.demand(call.store, call.user, BUILD, f"{project['id']}/{found['definition']}", action)
    return found


def run_of(call: Call, project: Document, action: str = "ViewBuilds") -> Document:
    """The run that the path names as `{buildId}`; see `find_run`."""
    return find_run(call, project, call.number("buildId"), action)
