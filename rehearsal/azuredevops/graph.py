"""The graph of users and groups: https://learn.microsoft.com/rest/api/azure/devops/graph."""

import re

from starlette.responses import JSONResponse, Response

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import IDENTITY, PROJECT
from rehearsal.azuredevops.routing import Answer, Location, location
from rehearsal.store import Document


def _location(resource: str, rest: str, id_: str) -> Location:
    return location("Graph", resource, f"_apis/{{area}}/{{resource}}{rest}", id_, host="vssps")


descriptors = _location("Descriptors", "/{storageKey}", "048aee0a-7072-4cde-ab73-7af77b1e0b4e")
storage_keys = _location("StorageKeys", "/{subjectDescriptor}", "eb85f8cc-f0f6-4264-a5b1-ffe2e4d4801f")
groups = _location("Groups", "/{groupDescriptor}", "ebbe6af8-0b91-4c13-8cf1-777c14858188")
membership = location(
    "Graph",
    "Memberships",
    "_apis/{area}/{resource}/{subjectDescriptor}/{containerDescriptor}",
    "3fd2e6ca-fb30-443a-b579-95b19ed0934c",
    complete=True,
    host="vssps",
)
memberships = _location("Memberships", "/{subjectDescriptor}", "e34b6394-6b30-4435-94a9-409a5eef3e31")
states = _location("MembershipStates", "/{subjectDescriptor}", "1ffe5c94-1144-4191-907b-d0211cad36a8")
people = _location("Users", "/{userDescriptor}", "005e26ec-6b77-4e4f-a986-b3827bf241f5")
lookup = _location("SubjectLookup", "", "4dd4d168-11f2-48c4-83e8-756fa0de027c")
subject_query = _location("SubjectQuery", "", "05942c89-006a-48ce-bb79-baeb8abf99c6")

_PAGE = 500


def _not_found(descriptor: str) -> ServiceError:
    return ServiceError(
        404,
        f"The graph subject with descriptor {descriptor} could not be found.",
        "GraphSubjectNotFoundException",
    )


def _find(call: Call, descriptor: str, kind: str | None = None) -> Document:
    """The identity, of this kind if one is named."""
    found = identities.find(call.store, descriptor)
    if found is None or kind not in (None, found["kind"]):
        raise _not_found(descriptor)
    return found


def shown(call: Call, identity: Document) -> Document:
    """The identity as a subject of the graph."""
    kind = "Groups" if identity["kind"] == "group" else "Users"
    url = f"{call.vssps}/_apis/Graph/{kind}/{identity['descriptor']}"
    document = {
        "subjectKind": identity["kind"],
        "domain": identity["domain"],
        "principalName": identities.principal_name(call.store, identity),
        "mailAddress": identity["mailAddress"],
        "origin": identity["origin"],
        "originId": identity["originId"],
        "displayName": identity["displayName"],
        "_links": {
            "self": {"href": url},
            "storageKey": {"href": f"{call.vssps}/_apis/Graph/StorageKeys/{identity['descriptor']}"},
        },
        "url": url,
        "descriptor": identity["descriptor"],
    }
    if kind == "Groups":
        document["description"] = identity["description"]
    elif identity["subjectType"] == "aad":
        document["metaType"] = "member"
    return document


def _page(call: Call, found: list[Document]) -> Response:
    found = sorted(found, key=lambda each: str(each["descriptor"]))
    start = call.whole_number("continuationToken", 0)
    more = {"X-MS-ContinuationToken": str(start + _PAGE)} if start + _PAGE < len(found) else None
    page = [shown(call, each) for each in found[start : start + _PAGE]]
    return JSONResponse({"count": len(page), "value": page}, headers=more)


@descriptors.on("GET")
def get_descriptor(call: Call) -> Answer:
    key = call.route.get("storageKey", "")
    project = call.store.get("project", key.lower())
    found = call.store.get("identity", key.lower())
    if project is None and found is None:
        message = f"The storage key {key} could not be resolved to a descriptor."
        raise ServiceError(404, message, "StorageKeyNotFoundException")
    value = identities.scope_descriptor(project["id"]) if project else (found or {})["descriptor"]
    url = f"{call.vssps}/_apis/Graph/Descriptors/{key}"
    return {"value": value, "_links": {"self": {"href": url}}}


@storage_keys.on("GET")
def get_storage_key(call: Call) -> Answer:
    descriptor = call.route.get("subjectDescriptor", "")
    scope = next(
        (each for each in call.store.all("project") if identities.scope_descriptor(each["id"]) == descriptor), None
    )
    url = f"{call.vssps}/_apis/Graph/StorageKeys/{descriptor}"
    return {"value": (scope or _find(call, descriptor))["id"], "_links": {"self": {"href": url}}}


def _scope(call: Call) -> Document | None:
    """The project that `scopeDescriptor` names, or None for the organisation."""
    descriptor = call.query.get("scopedescriptor")
    if not descriptor:
        return None
    for project in call.store.all("project"):
        if identities.scope_descriptor(project["id"]) == descriptor:
            return project
    raise _not_found(descriptor)


def _demand(call: Call, project_id: str | None, action: str) -> None:
    permissions.demand(call.store, call.user, IDENTITY, project_id or "", action)


@groups.on("GET")
def get_groups(call: Call) -> Answer:
    if "groupDescriptor" in call.route:
        return shown(call, _find(call, call.route["groupDescriptor"], "group"))
    scope = _scope(call)
    everything = [each for each in call.store.all("identity") if each["kind"] == "group"]
    if scope is not None:
        everything = [each for each in everything if each["project"] == scope["id"]]
        token = permissions.project_token(scope["id"])
        if not permissions.may(call.store, call.user, PROJECT, token, "GENERIC_READ"):
            everything = []
    if call.query.get("subjecttypes"):
        wanted = call.query["subjecttypes"].split(",")
        everything = [each for each in everything if each["subjectType"] in wanted]
    return _page(call, everything)


def _check_name(call: Call, name: str, project_id: str | None, mine: str | None = None) -> None:
    if not name or len(name) > 256 or re.search(r'[\\/"\[\]:|<>+=;?*,]', name):
        # https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions#groups
        raise invalid(f"The group name '{name}' is not valid.", "InvalidDisplayNameException")
    for each in call.store.all("identity"):
        same = each["displayName"].casefold() == name.casefold() and each["project"] == project_id
        if each["subjectType"] == "vssgp" and same and each["id"] != mine:
            raise ServiceError(
                409,
                f"The group name {name} already exists. Enter another name.",
                "GroupCreationException",
            )


@groups.on("POST")
def create_group(call: Call) -> Answer:
    scope = _scope(call)
    project_id = scope["id"] if scope else None
    _demand(call, project_id, "Write")
    body = call.document()
    if body.get("originId") or body.get("mailAddress"):
        # Both take up a group of Entra ID, which the rehearsal's organisation has no connection to.
        raise invalid("The group could not be found in the backing identity provider.", "GraphBadRequestException")
    name = str(body.get("displayName") or "").strip()
    _check_name(call, name, project_id)
    group = identities.add_group(call.store, name, body.get("description") or "", scope)
    if scope is not None:
        everybody = identities.group_named(call.store, scope["id"], "Project Valid Users")
        identities.add_member(call.store, everybody["id"], group["id"])
    for descriptor in filter(None, call.query.get("groupdescriptors", "").split(",")):
        identities.add_member(call.store, _find(call, descriptor)["id"], group["id"])
    return JSONResponse(shown(call, group), 201)


def _own_group(call: Call) -> Document:
    descriptor = call.route.get("groupDescriptor", "")
    group = _find(call, descriptor)
    if group["subjectType"] != "vssgp":
        raise _not_found(descriptor)
    return group


@groups.on("PATCH")
def update_group(call: Call) -> Answer:
    group = _own_group(call)
    _demand(call, group["project"], "Write")
    operations = call.json()
    if not isinstance(operations, list):
        raise missing_value("patchDocument")
    for operation in operations:
        field = str(operation.get("path", "")).strip("/")
        if operation.get("op") not in ("add", "replace") or field not in ("displayName", "description"):
            raise invalid(f"The patch operation '{operation.get('op')} /{field}' is not supported.")
        if field == "displayName":
            _check_name(call, str(operation.get("value") or ""), group["project"], group["id"])
        group[field] = operation.get("value") or ""
    call.store.put("identity", group["id"], group)
    return shown(call, group)


@groups.on("DELETE")
def delete_group(call: Call) -> Answer:
    group = _own_group(call)
    _demand(call, group["project"], "Delete")
    if group["displayName"] in identities.PROJECT_GROUPS and group["project"]:
        message = f"The group {group['displayName']} is a required group and cannot be deleted."
        raise ServiceError(403, message, "RemoveSpecialGroupException")
    identities.forget(call.store, [group])
    return None


def _membership(call: Call, member: Document, container: Document) -> Document:
    url = f"{call.vssps}/_apis/Graph/Memberships/{member['descriptor']}/{container['descriptor']}"
    return {
        "containerDescriptor": container["descriptor"],
        "memberDescriptor": member["descriptor"],
        "_links": {"self": {"href": url}},
    }


def _pair(call: Call) -> tuple[Document, Document]:
    member = _find(call, call.route.get("subjectDescriptor", ""))
    container = _find(call, call.route.get("containerDescriptor", ""))
    return member, container


@membership.on("PUT")
def add_membership(call: Call) -> Answer:
    member, container = _pair(call)
    if container["subjectType"] != "vssgp":
        raise invalid(f"The container {container['descriptor']} is not a group of this organization.")
    _demand(call, container["project"], "ManageMembership")
    if container["id"] == identities.COLLECTION_BUILD_ACCOUNTS:
        # The words of the user interface: https://github.com/MicrosoftDocs/azure-devops-docs/issues/4502
        raise invalid("We are unable to add members to this group at this time. Please try again at a later time.")
    if member["id"] in identities.closure(call.store, container["id"]):
        message = f"Adding {member['displayName']} to {container['displayName']} would make a circle of groups."
        raise invalid(message, "AddMemberCyclicMembershipException")
    identities.add_member(call.store, container["id"], member["id"])
    return JSONResponse(_membership(call, member, container), 201)


def _no_membership(member: Document, container: Document) -> ServiceError:
    message = f"The membership of {member['descriptor']} in {container['descriptor']} could not be found."
    return ServiceError(404, message, "GraphMembershipNotFoundException")


@membership.on("GET", "HEAD")
def get_membership(call: Call) -> Answer:
    member, container = _pair(call)
    if not identities.is_member(call.store, container["id"], member["id"]):
        raise _no_membership(member, container)
    return _membership(call, member, container)


@membership.on("DELETE")
def remove_membership(call: Call) -> Answer:
    member, container = _pair(call)
    _demand(call, container["project"], "ManageMembership")
    if not identities.remove_member(call.store, container["id"], member["id"]):
        raise _no_membership(member, container)
    return Response(status_code=200)


@memberships.on("GET")
def list_memberships(call: Call) -> Answer:
    subject = _find(call, call.route.get("subjectDescriptor", ""))
    # Depth 1 only, as the documentation has it: the parameter is reserved for later.
    if call.query.get("direction", "up").lower() == "down":
        return [_membership(call, each, subject) for each in identities.members(call.store, subject["id"])]
    return [_membership(call, subject, each) for each in identities.containers(call.store, subject["id"])]


@states.on("GET")
def membership_state(call: Call) -> Answer:
    _find(call, call.route.get("subjectDescriptor", ""))
    return {"active": True}


@people.on("GET")
def get_users(call: Call) -> Answer:
    if "userDescriptor" in call.route:
        return shown(call, _find(call, call.route["userDescriptor"], "user"))
    _scope(call)
    wanted = [each for each in call.query.get("subjecttypes", "").split(",") if each]
    everybody = [each for each in call.store.all("identity") if each["kind"] == "user"]
    # Without `subjectTypes` the service lists people and service identities alike.
    return _page(call, [each for each in everybody if not wanted or each["subjectType"] in wanted])


@lookup.on("POST")
def lookup_subjects(call: Call) -> Answer:
    keys = [str(each.get("descriptor")) for each in call.document().get("lookupKeys") or []]
    found = {key: identities.find(call.store, key) for key in keys}
    value = {key: shown(call, each) for key, each in found.items() if each is not None}
    return {"count": len(value), "value": value}


@subject_query.on("POST")
def query_subjects(call: Call) -> Answer:
    body = call.document()
    text = str(body.get("query") or "").casefold()
    kinds = {str(kind).lower() for kind in body.get("subjectKind") or ("User", "Group")}
    return [
        shown(call, each)
        for each in call.store.all("identity")
        if each["kind"] in kinds
        and any(
            str(each[key] or "").casefold().startswith(text) for key in ("displayName", "principalName", "mailAddress")
        )
    ]
