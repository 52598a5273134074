"""Users, groups and service identities: who there is, and who belongs to what.

An identity has three names. Its *id* (storage key) is a GUID; policies, approvals and reviewers use it. Its *subject
descriptor* (`aad.…`, `vssgp.…`, `svc.…`) is what the graph uses, its *identity descriptor*
(`Microsoft.TeamFoundation.Identity;S-1-9-…`) what access control lists use.
"""

import base64
import uuid
from collections.abc import Iterable

from rehearsal.azuredevops import users
from rehearsal.azuredevops.context import ORGANIZATION, fixed_id, is_id, new_id
from rehearsal.store import Document, Store

HOST_ID = fixed_id("organization")
TENANT_ID = fixed_id("tenant")

COLLECTION_ADMINISTRATORS = fixed_id("group", "Project Collection Administrators")
COLLECTION_BUILD_ACCOUNTS = fixed_id("group", "Project Collection Build Service Accounts")
ENTRA_GROUP = fixed_id("entra", "Data Platform")

_COLLECTION_GROUPS = {
    "Project Collection Administrators": "Members of this application group can perform all privileged operations on "
    "the project collection.",
    "Project Collection Build Service Accounts": "Members of this group should include the service accounts used by "
    "the build services set up for this project collection.",
    "Project Collection Valid Users": "This application group contains all users and groups that have access to the "
    "project collection.",
}
PROJECT_GROUPS = {
    "Project Administrators": "Members of this group can perform all operations in the team project.",
    "Build Administrators": "Members of this group can create, modify and delete build definitions and manage queued "
    "and completed builds.",
    "Contributors": "Members of this group can add, modify, and delete items within the team project.",
    "Readers": "Members of this group have access to the team project.",
    "Endpoint Administrators": "Members of this group should include those who can administer all the service "
    "connections.",
    "Endpoint Creators": "Members of this group should include those who can create service connections.",
    "Release Administrators": "Members of this group can perform all operations on Release Management.",
    "Project Valid Users": "Members of this group have access to the team project.",
}


def encoded(kind: str, name: str) -> str:
    """A subject descriptor: its kind, and the name in base64 without padding."""
    return f"{kind}.{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}"


def scope_descriptor(project_id: str) -> str:
    """The subject descriptor of a project, which is the scope of its groups."""
    return encoded("scp", project_id)


def _sid(group_id: str) -> str:
    number = uuid.UUID(group_id).int
    parts = [str((number >> shift) & 0xFFFFFFFF) for shift in (96, 64, 32, 0)]
    return "S-1-9-1551374245-" + "-".join(parts)


def keep(store: Store, identity: Document) -> Document:
    """Keeps an identity, to be found under its id and both descriptors."""
    store.put("identity", identity["id"], identity)
    for name in (identity["descriptor"], identity["identityDescriptor"]):
        store.put("descriptor", name, {"id": identity["id"]})
    return identity


def add_user(store: Store, user: users.User) -> Document:
    """A person who signs in with Microsoft Entra ID."""
    id_ = fixed_id("user", user.key)
    identity = {
        "id": id_,
        "kind": "user",
        "subjectType": "aad",
        "descriptor": encoded("aad", fixed_id("subject", user.key)),
        "identityDescriptor": f"Microsoft.IdentityModel.Claims.ClaimsIdentity;{TENANT_ID}\\{user.principal_name}",
        "displayName": user.display_name,
        "principalName": user.principal_name,
        "mailAddress": user.principal_name,
        "domain": TENANT_ID,
        "origin": "aad",
        "originId": fixed_id("entra", user.key),
        "description": "",
        "project": None,
    }
    return keep(store, identity)


def add_group(store: Store, name: str, description: str, project: Document | None, id_: str | None = None) -> Document:
    """A group of a project, or of the organisation where there is no project."""
    id_ = id_ or new_id()
    sid = _sid(id_)
    domain = (
        f"vstfs:///Classification/TeamProject/{project['id']}"
        if project
        else f"vstfs:///Framework/IdentityDomain/{HOST_ID}"
    )
    identity = {
        "id": id_,
        "kind": "group",
        "subjectType": "vssgp",
        "descriptor": encoded("vssgp", sid),
        "identityDescriptor": f"Microsoft.TeamFoundation.Identity;{sid}",
        "displayName": name,
        "principalName": "",
        "mailAddress": None,
        "domain": domain,
        "origin": "vsts",
        "originId": id_,
        "description": description,
        "project": project["id"] if project else None,
    }
    return keep(store, identity)


def add_build_service(store: Store, project: Document | None) -> Document:
    """The identity with which pipelines sign in: the organisation's (no project), or one project's.

    It belongs to no group. "Project Collection Build Service Accounts" is left over from XAML builds: it holds none of
    them, so a right given to it reaches no pipeline (https://github.com/MicrosoftDocs/azure-devops-docs/issues/4502).
    """
    if project is None:
        id_, name, display = (
            fixed_id("user", users.BUILD_SERVICE),
            HOST_ID,
            f"Project Collection Build Service ({ORGANIZATION})",
        )
    else:
        id_, name, display = new_id(), project["id"], f"{project['name']} Build Service ({ORGANIZATION})"
    identity = {
        "id": id_,
        "kind": "user",
        "subjectType": "svc",
        "descriptor": encoded("svc", f"{HOST_ID}:Build:{name}"),
        "identityDescriptor": f"Microsoft.TeamFoundation.ServiceIdentity;{HOST_ID}:Build:{name}",
        "displayName": display,
        "principalName": name,
        "mailAddress": "",
        "domain": "Build",
        "origin": "vsts",
        "originId": id_,
        "description": "",
        "project": project["id"] if project else None,
    }
    return keep(store, identity)


def seed(store: Store) -> None:
    """The identities of the first day."""
    for name, description in _COLLECTION_GROUPS.items():
        add_group(store, name, description, None, fixed_id("group", name))
    for user in users.USERS:
        identity = add_user(store, user)
        if user.role == "administrator":
            add_member(store, COLLECTION_ADMINISTRATORS, identity["id"])
    add_build_service(store, None)
    # A group that Entra ID owns: checks refuse it as an approver, so a rehearsal must have one.
    entra = add_group(store, "Data Platform", "", None, ENTRA_GROUP)
    theirs = {
        "subjectType": "aadgp",
        "descriptor": encoded("aadgp", fixed_id("subject", "Data Platform")),
        "identityDescriptor": f"Microsoft.TeamFoundation.Identity;S-1-12-1-{uuid.UUID(ENTRA_GROUP).int >> 96}",
        "domain": TENANT_ID,
        "origin": "aad",
        "originId": fixed_id("entra", "Data Platform"),
    }
    keep(store, entra | theirs)


def build_service(store: Store, project_id: str) -> Document | None:
    """The project's own build identity; it comes into being with the project's first run."""
    return next(
        (each for each in store.all("identity") if each["subjectType"] == "svc" and each["project"] == project_id), None
    )


def acting(store: Store, user: Document, project: Document) -> Document:
    """Who acts in a project: the token of a job is that of the project's own build identity, once there is one."""
    if user["id"] != fixed_id("user", users.BUILD_SERVICE):
        return user
    return build_service(store, project["id"]) or user


def find(store: Store, name: str) -> Document | None:
    """An identity by its id or by either descriptor."""
    if is_id(name):
        return store.get("identity", str(uuid.UUID(name)))
    known = store.get("descriptor", name)
    return store.get("identity", known["id"]) if known else None


def groups_of(store: Store, project_id: str) -> list[Document]:
    """The groups of a project."""
    return [each for each in store.all("identity") if each["kind"] == "group" and each["project"] == project_id]


def group_named(store: Store, project_id: str, name: str) -> Document:
    """A group that every project has from its first day."""
    return next(each for each in groups_of(store, project_id) if each["displayName"] == name)


def principal_name(store: Store, identity: Document) -> str:
    """The name with its scope, as people write it: `[project]\\group`, or the sign-in name."""
    if identity["kind"] != "group":
        return str(identity["principalName"])
    if identity["subjectType"] == "aadgp":
        return f"[TEAM FOUNDATION]\\{identity['displayName']}"
    project = store.get("project", identity["project"]) if identity["project"] else None
    return f"[{project['name'] if project else ORGANIZATION}]\\{identity['displayName']}"


def add_member(store: Store, group_id: str, member_id: str) -> None:
    """Makes one identity a member of a group; twice does no harm."""
    store.put("member", f"{group_id}/{member_id}", {"id": member_id})
    store.put("container", f"{member_id}/{group_id}", {"id": group_id})


def remove_member(store: Store, group_id: str, member_id: str) -> bool:
    """Ends a membership; says whether there was one."""
    store.delete("container", f"{member_id}/{group_id}")
    return store.delete("member", f"{group_id}/{member_id}")


def is_member(store: Store, group_id: str, member_id: str) -> bool:
    """Whether it is a direct member of the group."""
    return store.get("member", f"{group_id}/{member_id}") is not None


def members(store: Store, group_id: str) -> list[Document]:
    """The direct members of a group."""
    known = (store.get("identity", each["id"]) for each in store.all("member", f"{group_id}/"))
    return [identity for identity in known if identity is not None]


def containers(store: Store, member_id: str) -> list[Document]:
    """The groups of which it is a direct member."""
    known = (store.get("identity", each["id"]) for each in store.all("container", f"{member_id}/"))
    return [identity for identity in known if identity is not None]


def closure(store: Store, identity_id: str) -> set[str]:
    """The identity's id and those of all groups that hold it, directly or through others."""
    seen: set[str] = set()
    waiting = [identity_id]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting.extend(each["id"] for each in store.all("container", f"{current}/"))
    return seen


def forget(store: Store, gone: Iterable[Document]) -> None:
    """Removes identities with their memberships and what access control lists say about them."""
    gone = list(gone)
    for identity in gone:
        for group in containers(store, identity["id"]):
            remove_member(store, group["id"], identity["id"])
        for member in members(store, identity["id"]):
            remove_member(store, identity["id"], member["id"])
    for identity in gone:
        store.delete("identity", identity["id"])
        store.delete("descriptor", identity["descriptor"])
        store.delete("descriptor", identity["identityDescriptor"])
    names = {identity["identityDescriptor"] for identity in gone}
    for key, acl in store.items("acl"):
        kept = {name: entry for name, entry in acl["entries"].items() if name not in names}
        if kept != acl["entries"]:
            store.put("acl", key, acl | {"entries": kept})


def reference(identity: Document, vssps: str) -> Document:
    """The short form in which other things name an identity (IdentityRef)."""
    return {
        "displayName": identity["displayName"],
        "url": f"{vssps}/_apis/Identities/{identity['id']}",
        "id": identity["id"],
        "uniqueName": identity["mailAddress"]
        or identity["principalName"]
        or f"vstfs:///Framework/IdentityDomain/{identity['id']}",
        "descriptor": identity["descriptor"],
    }
