"""Identities as access control lists and older clients know them (the IMS area, on the vssps host).

https://learn.microsoft.com/rest/api/azure/devops/ims/identities
"""

from rehearsal.azuredevops import identities
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

groups = location("IMS", "Groups", "_apis/{resource}/{groupId}", "5966283b-4196-4d57-9211-1b68f41ec1c2", host="vssps")
myself = location("IMS", "me", "_apis/identities/{resource}", "4bb02b5b-c120-4be2-b68e-21f7c50a4b82", host="vssps")
members = location(
    "IMS",
    "Members",
    "_apis/identities/{containerId}/{resource}/{memberId}",
    "8ba35978-138e-41f8-8963-7b1ea2c5f775",
    host="vssps",
)
everybody = location(
    "IMS", "Identities", "_apis/{resource}/{identityId}", "28010c54-d0c0-4c89-a5b0-1c9e188b9fb7", host="vssps"
)


def shown(call: Call, identity: Document) -> Document:
    """The identity with both descriptors and its properties."""
    is_group = identity["kind"] == "group"
    name = identities.principal_name(call.store, identity) if is_group else identity["displayName"]
    texts = {
        "SchemaClassName": "Group" if is_group else "User",
        "Description": identity["description"],
        "Domain": identity["domain"],
        "Account": identity["displayName"] if is_group else identity["principalName"],
        "Mail": identity["mailAddress"] or "",
    }
    document = {
        "id": identity["id"],
        "descriptor": identity["identityDescriptor"],
        "subjectDescriptor": identity["descriptor"],
        "providerDisplayName": name,
        "isActive": True,
        "isContainer": is_group,
        "members": [],
        "memberOf": [],
        "memberIds": [],
        "resourceVersion": 2,
        "metaTypeId": 0,
        "properties": {key: {"$type": "System.String", "$value": value} for key, value in texts.items()},
    }
    if call.query.get("querymembership", "none").lower() != "none":
        document["members"] = [each["identityDescriptor"] for each in identities.members(call.store, identity["id"])]
        document["memberOf"] = [
            each["identityDescriptor"] for each in identities.containers(call.store, identity["id"])
        ]
    return document


@myself.on("GET")
def get_self(call: Call) -> Answer:
    return shown(call, call.user)


@groups.on("GET")
def list_groups(call: Call) -> Answer:
    scopes = [each.lower() for each in call.query.get("scopeids", "").split(",") if each]
    found = [each for each in call.store.all("identity") if each["kind"] == "group"]
    return [shown(call, each) for each in found if not scopes or each["project"] in scopes]


@everybody.on("GET")
def read_identities(call: Call) -> Answer:
    if "identityId" in call.route:
        found = identities.find(call.store, call.route["identityId"])
        if found is None:
            message = f"The identity {call.route['identityId']} could not be found."
            raise ServiceError(404, message, "IdentityNotFoundException")
        return shown(call, found)
    for parameter in ("subjectdescriptors", "descriptors", "identityids"):
        if parameter in call.query:
            wanted = [each for each in call.query[parameter].split(",") if each]
            hits = [identities.find(call.store, each) for each in wanted]
            # One place for each name that was asked; null where there is nobody, as the service has it.
            return [shown(call, each) if each else None for each in hits]
    if "searchfilter" not in call.query:
        raise invalid("One of descriptors, identityIds, subjectDescriptors or searchFilter is needed.")
    return [shown(call, each) for each in call.store.all("identity") if _matches(call, each)]


def _matches(call: Call, identity: Document) -> bool:
    value = call.query.get("filtervalue", "").casefold()
    names = {
        "general": ("displayName", "principalName", "mailAddress"),
        "displayname": ("displayName",),
        "mailaddress": ("mailAddress",),
        "accountname": ("principalName",),
        "localgroupname": ("displayName",),
    }.get(call.query["searchfilter"].lower())
    if names is None:
        raise invalid(f"The value '{call.query['searchfilter']}' is not valid for searchFilter.")
    full = identities.principal_name(call.store, identity).casefold()
    return value == full or any(str(identity[name] or "").casefold() == value for name in names)


@members.on("GET")
def read_members(call: Call) -> Answer:
    container = identities.find(call.store, call.route["containerId"])
    if container is None:
        message = f"The identity {call.route['containerId']} could not be found."
        raise ServiceError(404, message, "IdentityNotFoundException")
    return [each["identityDescriptor"] for each in identities.members(call.store, container["id"])]
