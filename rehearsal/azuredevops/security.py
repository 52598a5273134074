"""Access control lists: https://learn.microsoft.com/rest/api/azure/devops/security."""

from collections.abc import Iterable

from starlette.responses import JSONResponse

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import BUILD, ENVIRONMENT, GIT, LIBRARY, NAMESPACES, PROJECT, Namespace
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

namespaces = location(
    "Security", "SecurityNamespaces", "_apis/{resource}/{securityNamespaceId}", "ce7b9f95-fde9-4be8-a86d-83b366f0b87a"
)
lists = location(
    "Security", "AccessControlLists", "_apis/{resource}/{securityNamespaceId}", "18a2ad18-7571-46ae-bec7-0c7da1495885"
)
entries = location(
    "Security", "AccessControlEntries", "_apis/{resource}/{securityNamespaceId}", "ac08c8ff-4323-4b08-af90-bcd018d380ce"
)
checks = location(
    "Security",
    "Permissions",
    "_apis/{resource}/{securityNamespaceId}/{permissions}",
    "dd3b8bd6-c7fc-4cbd-929a-933d9c011c9d",
)


def _namespace(call: Call) -> Namespace:
    given = call.route.get("securityNamespaceId", "").lower()
    if given not in NAMESPACES:
        message = f"The security namespace {given} does not exist."
        raise ServiceError(404, message, "InvalidSecurityNamespaceException")
    return NAMESPACES[given]


def _described(namespace: Namespace) -> Document:
    return {
        "namespaceId": namespace.id,
        "name": namespace.name,
        "displayName": namespace.display_name,
        "separatorValue": namespace.separator or "\u0000",
        "elementLength": -1,
        "writePermission": namespace.bit("ManagePermissions") if namespace is GIT else 2,
        "readPermission": namespace.bit("GenericRead") if namespace is GIT else 1,
        "dataspaceCategory": "Default",
        "structureValue": 1,
        "isRemotable": True,
        "useTokenTranslator": True,
        "systemBitMask": 0,
        "actions": [
            {"bit": namespace.bit(name), "name": name, "displayName": shown, "namespaceId": namespace.id}
            for name, shown in namespace.actions
        ],
    }


@namespaces.on("GET")
def get_namespaces(call: Call) -> Answer:
    if "securityNamespaceId" not in call.route:
        return [_described(each) for each in NAMESPACES.values()]
    return [_described(_namespace(call))]


def _demand_managing(call: Call, namespace: Namespace, token: str) -> None:
    """Whoever changes permissions must be allowed to, in the namespace itself or by the organisation."""
    own = {
        GIT: "ManagePermissions",
        BUILD: "AdministerBuildPermissions",
        ENVIRONMENT: "Administer",
        LIBRARY: "Administer",
        PROJECT: "GENERIC_WRITE",
    }
    if namespace in own:
        permissions.demand(call.store, call.user, namespace, token, own[namespace])
    else:
        permissions.demand(call.store, call.user, PROJECT, "", "GENERIC_WRITE")


def _acl(token: str, acl: Document, asked: Iterable[str] | None) -> Document:
    """One list. For descriptors that were asked for there is an entry in any case, an empty one if need be."""
    there = acl["entries"]
    shown = {name: there.get(name, {"allow": 0, "deny": 0}) for name in (asked if asked is not None else there)}
    return {
        "inheritPermissions": acl["inherit"],
        "token": token,
        "acesDictionary": {
            name: {"descriptor": name, "allow": entry["allow"], "deny": entry["deny"], "extendedInfo": {}}
            for name, entry in shown.items()
        },
        "includeExtendedInfo": True,
    }


@lists.on("GET")
def query_lists(call: Call) -> Answer:
    namespace = _namespace(call)
    token = call.query.get("token")
    asked = [each for each in call.query.get("descriptors", "").split(",") if each] or None
    if token is not None and not call.flag("recurse"):
        acl = permissions.get_acl(call.store, namespace, token)
        return [_acl(token, acl, asked)] if acl["entries"] or asked else []
    prefix = permissions.acl_key(namespace, token or "")
    found = [acl for acl in call.store.all("acl", prefix) if acl["token"]]
    return [_acl(acl["token"], acl, asked) for acl in found]


@lists.on("DELETE")
def remove_lists(call: Call) -> Answer:
    namespace = _namespace(call)
    tokens = [each for each in call.query.get("tokens", "").split(",") if each]
    removed = False
    for token in tokens:
        _demand_managing(call, namespace, token)
        removed |= call.store.delete("acl", permissions.acl_key(namespace, token))
    return JSONResponse(removed)


@entries.on("POST")
def set_entries(call: Call) -> Answer:
    namespace = _namespace(call)
    body = call.document()
    token = body.get("token")
    if not token:
        raise missing_value("token")
    _demand_managing(call, namespace, token)
    made = []
    for entry in body.get("accessControlEntries") or []:
        identity = identities.find(call.store, str(entry.get("descriptor")))
        if identity is None:
            message = (
                f"TF14045: The identity with type '' and identifier '{entry.get('descriptor')}' could not be found."
            )
            raise ServiceError(404, message, "IdentityNotFoundException")
        allow, deny = int(entry.get("allow") or 0), int(entry.get("deny") or 0)
        if (allow | deny) & ~namespace.everything:
            raise invalid(f"The permission bits {allow | deny} are not valid in the namespace {namespace.name}.")
        made.append(
            permissions.set_entry(
                call.store, namespace, token, identity, allow=allow & ~deny, deny=deny, merge=bool(body.get("merge"))
            )
        )
    return made


@entries.on("DELETE")
def remove_entries(call: Call) -> Answer:
    namespace = _namespace(call)
    token = call.query.get("token", "")
    _demand_managing(call, namespace, token)
    acl = permissions.get_acl(call.store, namespace, token)
    gone = [each for each in call.query.get("descriptors", "").split(",") if each in acl["entries"]]
    for name in gone:
        del acl["entries"][name]
    call.store.put("acl", permissions.acl_key(namespace, token), acl)
    return JSONResponse(bool(gone))


@checks.on("GET")
def has_permissions(call: Call) -> Answer:
    namespace = _namespace(call)
    wanted = call.number("permissions")
    separator = call.query.get("delimiter", ",")
    tokens = call.query.get("tokens", "").split(separator)
    return [permissions.effective(call.store, call.user, namespace, token) & wanted == wanted for token in tokens]
