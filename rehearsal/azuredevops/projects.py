"""Finding the project that a request is about, and naming it in answers."""

import time

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call, by_name, is_id
from rehearsal.azuredevops.errors import missing_value, project_not_found
from rehearsal.azuredevops.permissions import PROJECT
from rehearsal.store import Document


def find_project(call: Call, given: str, action: str = "GENERIC_READ") -> Document:
    """The project with this id or name, if the user may see it, and may do `action` in it.

    Raises:
        ServiceError: 404, when there is none or the user may not see it; 403, when the action is refused.
    """
    found = call.store.get("project", given.lower()) if is_id(given) else by_name(call.store.all("project"), given)
    if found is None:
        raise project_not_found(given, by_id=is_id(given))
    call.user = identities.acting(call.store, call.user, found)
    token = permissions.project_token(found["id"])
    if not permissions.may(call.store, call.user, PROJECT, token, "GENERIC_READ"):
        raise project_not_found(given, by_id=is_id(given))
    if action != "GENERIC_READ":
        permissions.demand(call.store, call.user, PROJECT, token, action)
    return found


def project_of(call: Call, action: str = "GENERIC_READ") -> Document:
    """The project that the path names; see `find_project`."""
    if "project" not in call.route:
        raise missing_value("project")
    return find_project(call, call.route["project"], action)


def state_of(project: Document) -> str:
    """`createPending` until the operation that makes the project has ended."""
    return "wellFormed" if time.time() >= project["readyAt"] else "createPending"


def reference(call: Call, project: Document) -> Document:
    """The short form of a project (TeamProjectReference), in which other things name it."""
    return {
        "id": project["id"],
        "name": project["name"],
        "description": project["description"],
        "url": call.url("_apis", "projects", project["id"]),
        "state": state_of(project),
        "revision": project["revision"],
        "visibility": project["visibility"],
        "lastUpdateTime": project["lastUpdateTime"],
    }
