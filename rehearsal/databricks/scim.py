"""Users, groups and service principals: the SCIM API of the workspace.

docs.databricks.com/api/workspace/users, .../groups, .../serviceprincipals. Everybody reads, administrators write. The
service's own words are known for an existing user and group (terraform-provider-databricks, `scim/resource_user.go`;
github.com/databrickslabs/migrate/issues/7), the others are assumed.
"""

import functools
from collections.abc import Callable
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from rehearsal.databricks import principals, scim_filter, scim_patch, tree
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ScimError
from rehearsal.databricks.principals import GROUP, SERVICE_PRINCIPAL, USER
from rehearsal.databricks.users import BUILT_IN_GROUPS
from rehearsal.store import Document, Store

_BASE = "/api/2.0/preview/scim/v2"
_MEDIA = "application/scim+json"
_RESOURCES = {"Users": USER, "Groups": GROUP, "ServicePrincipals": SERVICE_PRINCIPAL}
_SCHEMAS = {
    USER: "urn:ietf:params:scim:schemas:core:2.0:User",
    GROUP: "urn:ietf:params:scim:schemas:core:2.0:Group",
    SERVICE_PRINCIPAL: "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
}
_WORDS = {USER: "User", GROUP: "Group", SERVICE_PRINCIPAL: "Service principal"}
# What a client may set; the rest is the service's.
_WRITABLE = {
    USER: ("userName", "displayName", "name", "emails", "active", "entitlements", "roles", "externalId"),
    GROUP: ("displayName", "members", "entitlements", "roles", "externalId"),
    SERVICE_PRINCIPAL: ("applicationId", "displayName", "active", "entitlements", "roles", "externalId"),
}
_MAX_PAGE = 10_000  # as the SDK asks for


def _json(document: Document, status: int = 200) -> Response:
    return JSONResponse(document, status, media_type=_MEDIA)


def me(call: Call) -> Response:
    document = call.store.get(call.caller.kind, call.caller.id)
    shown = _shown(call.store, call.caller.kind, document or {})
    # A service principal that asks for itself is shown like a user, with its application id as the name.
    return _json(_selected(call, shown | {"userName": call.caller.name}))


def list_resources(kind: str, call: Call) -> Response:
    documents = [_shown(call.store, kind, each) for each in call.store.all(kind)]
    if call.query.get("filter"):
        documents = list(filter(scim_filter.parse(call.query["filter"]), documents))
    if call.query.get("sortBy"):
        key = call.query["sortBy"]
        descending = call.query.get("sortOrder") == "descending"
        documents.sort(key=lambda each: str(each.get(key, "")).casefold(), reverse=descending)
    first = max(_number(call, "startIndex", 1), 1)
    page = documents[first - 1 :][: max(0, min(_number(call, "count", 100), _MAX_PAGE))]
    return _json(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(documents),
            "startIndex": first,
            "itemsPerPage": len(page),
            "Resources": [_selected(call, each) for each in page],
        }
    )


def get(kind: str, call: Call) -> Response:
    return _json(_selected(call, _shown(call.store, kind, _need(call, kind))))


def create(kind: str, call: Call) -> Response:
    _check_admin(call)
    document = _defaults(kind) | _written(call, kind, call.body)
    if kind == SERVICE_PRINCIPAL:
        document.setdefault("applicationId", str(uuid4()))
    document["id"] = principals.new_id(call.store)
    _keep(call.store, kind, document)
    if kind != GROUP:
        tree.create_home(call.store, kind, principals.name_of(kind, document))
    return _json(_shown(call.store, kind, document), 201)


def replace(kind: str, call: Call) -> Response:
    _check_admin(call)
    before = _need(call, kind)
    _check_name(kind, before, call.body)
    # What makes the resource itself stays when the new version doesn't speak of it, and so do a group's members: the
    # provider reads them and sends them back. That a group loses those that are not sent is RFC 7644, section 3.5.1.
    kept = {name: before[name] for name in ("id", "userName", "applicationId", "displayName") if name in before}
    document = _defaults(kind) | kept | _written(call, kind, call.body)
    _keep(call.store, kind, document)
    return _json(_shown(call.store, kind, document))


def patch(kind: str, call: Call) -> Response:
    _check_admin(call)
    before = _need(call, kind)
    patched = scim_patch.apply(before, call.body)
    _check_name(kind, before, patched)
    document = before | _written(call, kind, patched)
    for name in set(before) - set(patched):
        document.pop(name, None)
    _keep(call.store, kind, document)
    return Response(status_code=204)


def delete(kind: str, call: Call) -> Response:
    _check_admin(call)
    document = _need(call, kind)
    if kind == GROUP and document["displayName"] in BUILT_IN_GROUPS:
        raise ScimError(403, f"Group {document['displayName']} cannot be deleted.")
    if document["id"] == call.caller.id:
        raise ScimError(403, "Cannot delete oneself.")
    call.store.delete(kind, document["id"])
    principals.rename(call.store, kind, document, None)
    for group in call.store.all(GROUP):
        rest = [each for each in group["members"] if each["value"] != document["id"]]
        if len(rest) != len(group["members"]):
            call.store.put(GROUP, group["id"], group | {"members": rest})
    if kind != GROUP:
        tree.drop_empty_home(call.store, principals.name_of(kind, document))
    return Response(status_code=204)


def _defaults(kind: str) -> Document:
    if kind == GROUP:
        return {"entitlements": [], "roles": [], "members": []}
    return {"entitlements": [], "roles": [], "active": True}


def _check_admin(call: Call) -> None:
    if not call.caller.is_admin:
        raise ScimError(403, "Only workspace administrators are allowed to perform this operation.")


def _check_name(kind: str, before: Document, after: Document) -> None:
    if kind == GROUP and before["displayName"] in BUILT_IN_GROUPS:
        if after.get("displayName", before["displayName"]) != before["displayName"]:
            raise ScimError(403, f"Group {before['displayName']} cannot be renamed.")
    elif kind != GROUP:
        field = "userName" if kind == USER else "applicationId"
        if after.get(field, before[field]) != before[field]:
            raise ScimError(400, f"{field} cannot be changed.", "mutability")


def _need(call: Call, kind: str) -> Document:
    document = call.store.get(kind, call.path["id"])
    if document is None:
        raise ScimError(404, f"{_WORDS[kind]} with id {call.path['id']} not found.")
    return document


def _keep(store: Store, kind: str, document: Document) -> None:
    name = principals.name_of(kind, document)
    found = principals.find(store, kind, name)
    if found is not None and found["id"] != document["id"]:
        by = {USER: "username", GROUP: "name", SERVICE_PRINCIPAL: "application id"}[kind]
        raise ScimError(409, f"{_WORDS[kind]} with {by} {name} already exists.", "uniqueness")
    before = store.get(kind, document["id"])
    if before is not None:
        principals.rename(store, kind, before, document)
    store.put(kind, document["id"], document)


def _written(call: Call, kind: str, given: Document) -> Document:
    """The fields that a client may set, checked."""
    document = {name: given[name] for name in _WRITABLE[kind] if given.get(name) is not None}
    required = "userName" if kind == USER else "displayName"
    if not document.get(required):
        raise ScimError(400, f"Missing required field: {required}", "invalidValue")
    for name in ("userName", "displayName", "applicationId", "externalId"):
        if not isinstance(document.get(name, ""), str):
            raise ScimError(400, f"{name} must be a string", "invalidValue")
    for name in ("entitlements", "roles", "members", "emails"):
        if not isinstance(document.get(name, []), list):
            raise ScimError(400, f"{name} must be a list", "invalidValue")
    if not isinstance(document.get("active", True), bool):
        raise ScimError(400, "active must be a boolean", "invalidValue")
    if kind == USER:
        if "@" not in document["userName"]:
            raise ScimError(400, "userName should be a valid email address", "invalidValue")
        document.setdefault("displayName", document["userName"])
        document.setdefault("emails", [{"type": "work", "value": document["userName"], "primary": True}])
    for name in ("entitlements", "roles", "members"):
        if name in document:
            # The provider sends an empty entitlement for none, and stumbles over it when it comes back.
            values = [str(each["value"]) for each in document[name] if isinstance(each, dict) and each.get("value")]
            document[name] = [{"value": value} for value in dict.fromkeys(values)]
    for member in document.get("members", ()):
        if all(call.store.get(each, member["value"]) is None for each in _RESOURCES.values()):
            raise ScimError(404, f"Principal with id {member['value']} not found.")
    return document


def _shown(store: Store, kind: str, document: Document) -> Document:
    """A resource as the service shows it: with its groups and, for a group, with its members' names."""
    groups = [
        {
            "display": group["displayName"],
            "type": "direct" if direct else "indirect",
            "value": group["id"],
            "$ref": f"Groups/{group['id']}",
        }
        for group, direct in principals.groups_of(store, document["id"], is_group=kind == GROUP)
    ]
    shown = {"schemas": [_SCHEMAS[kind]], **document, "groups": groups}
    if kind == GROUP:
        shown["meta"] = {"resourceType": "WorkspaceGroup"}
        shown["members"] = _members(store, document)
    return shown


def _members(store: Store, group: Document) -> list[Document]:
    members = []
    for path, kind in _RESOURCES.items():
        everybody = group["displayName"] == "users" and kind != GROUP
        values = {each["value"] for each in group["members"]}
        members += [
            {"display": each["displayName"], "value": each["id"], "$ref": f"{path}/{each['id']}"}
            for each in store.all(kind)
            if everybody or each["id"] in values
        ]
    return members


def _selected(call: Call, shown: Document) -> Document:
    """The attributes that the query asks for."""

    def top(names: str) -> set[str]:
        return {name.split(".")[0].strip().casefold() for name in names.split(",")}

    if call.query.get("attributes"):
        # The provider doesn't ask for the application id of a service principal and relies on getting it.
        wanted = top(call.query["attributes"]) | {"id", "schemas", "applicationid"}
        return {name: value for name, value in shown.items() if name.casefold() in wanted}
    unwanted = top(call.query.get("excludedAttributes", ""))
    return {name: value for name, value in shown.items() if name.casefold() not in unwanted}


def _number(call: Call, name: str, default: int) -> int:
    try:
        return int(call.query.get(name, default))
    except ValueError:
        raise ScimError(400, f"{name} must be a number", "invalidValue") from None


def _endpoints() -> list[Endpoint]:
    handlers: list[tuple[str, str, Callable[[str, Call], Response]]] = [
        ("GET", "", list_resources),
        ("POST", "", create),
        ("GET", "/{id}", get),
        ("PUT", "/{id}", replace),
        ("PATCH", "/{id}", patch),
        ("DELETE", "/{id}", delete),
    ]
    return [
        Endpoint(method, f"{_BASE}/{resource}{path}", functools.partial(handler, kind))
        for resource, kind in _RESOURCES.items()
        for method, path, handler in handlers
    ]


ENDPOINTS = (Endpoint("GET", f"{_BASE}/Me", me), *_endpoints())
