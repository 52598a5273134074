"""What a client asks before anything else: the locations, the resource areas, who it is.

None of it is documented; it is what Microsoft's clients for Go and Python ask and how they read the answers.
"""

from rehearsal.azuredevops import identities
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.routing import LOCATIONS, Answer, location
from rehearsal.store import Document

# Area ids that a client may look for when it starts, whether this stand-in serves anything of the area or not.
_AREAS = {
    "79134c72-4a58-4b42-976c-04e7115f32bf": "core",
    "965220d5-5bb9-42cf-8d67-9b146df2a5a4": "build",
    "6c2b0933-3600-42ae-bf8b-93d4f7e83594": "ExtensionManagement",
    "31c84e0a-3ece-48fd-a29d-100849af99ba": "dashboard",
    "1814ab31-2f4f-4a9f-8761-f4d77dc5a5d7": "serviceendpoint",
    "a85b8835-c1a1-4aac-ae97-1c3d0ba72dbd": "distributedtask",
    "4e080c62-fa21-4fbc-8fef-2a10a2b38049": "git",
    "bb1e7ec9-e901-4b68-999a-de7012b920f8": "graph",
    "68ddce18-2501-45f1-a17b-7931a9922690": "MemberEntitlementManagement",
    "fb13a388-40dd-4a04-b530-013a739c72ef": "policy",
    "efc2f575-36ef-48e9-b672-0c6fb4a48ac5": "Release",
    "8a3d49b8-91f0-46ef-b33d-dda338c25db3": "IMS",
    "bf7d82a0-8aa5-4613-94ef-6172a5ea01f3": "wiki",
    "7ab4e64e-c4d8-4f50-ae73-5ef2e21642a5": "Packaging",
    "5264459e-e5e0-4bd8-b118-0985e68a4ec5": "wit",
    "4a933897-0488-45af-bd82-6fd3ad33f46a": "PipelinesChecks",
    "a81a0441-de52-4000-aa15-ff0e07bfbbaa": "pipelinePermissions",
    "1d4f49f9-02b9-4e26-b826-2cdb6195f2a9": "work",
    "5b55a9b6-2e0f-40d7-829d-3741d2b8c4e4": "pipelinesapproval",
    "c2aa639c-3ccc-4740-b3b6-ce2a1e1d984e": "Test",
    "c83eaf52-edf3-4034-ae11-17d38f25404c": "testresults",
}
_VSSPS = ("graph", "IMS")

areas = location("Location", "ResourceAreas", "_apis/{resource}/{areaId}", "e81700f7-3be2-46de-8624-2eb35882fcaa")
connection = location("Location", "ConnectionData", "_apis/{resource}", "00d9565f-ed9c-4a06-9a50-00e7896ccab4")


def _area(call: Call, id_: str, name: str) -> Document:
    return {"id": id_, "name": name, "locationUrl": f"{call.vssps if name in _VSSPS else call.base}/"}


@areas.on("GET")
def resource_areas(call: Call) -> Answer:
    wanted = call.route.get("areaId")
    if wanted is None:
        return [_area(call, id_, name) for id_, name in _AREAS.items()]
    name = _AREAS.get(wanted.lower())
    if name is None:
        raise ServiceError(404, f"The resource area {wanted} is not registered.", "ResourceAreaNotFoundException")
    return _area(call, wanted.lower(), name)


@connection.on("GET")
def connection_data(call: Call) -> Answer:
    me = call.user
    user = {
        "id": me["id"],
        "descriptor": me["identityDescriptor"],
        "subjectDescriptor": me["descriptor"],
        "providerDisplayName": me["displayName"],
        "isActive": True,
        "properties": {"Account": {"$type": "System.String", "$value": me["mailAddress"] or me["principalName"]}},
    }
    return {
        "authenticatedUser": user,
        "authorizedUser": user,
        "instanceId": identities.HOST_ID,
        "deploymentId": identities.HOST_ID,
        "deploymentType": "hosted",
        "locationServiceData": {
            "serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7",
            "defaultAccessMappingMoniker": "PublicAccessMapping",
            "lastChangeId": 1,
            "lastChangeId64": 1,
        },
    }


def locations(host: str) -> list[Document]:
    """The answer to `OPTIONS _apis` on one of the hosts."""
    return [each.described() for each in LOCATIONS if each.host == host or each in (areas, connection)]
