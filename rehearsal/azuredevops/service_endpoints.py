"""Service connections: https://learn.microsoft.com/rest/api/azure/devops/serviceendpoint/endpoints.

They are kept, pipelines are allowed to use them, checks guard them, and a job that names one is told what to sign in
with: those with workload identity federation hold no secret, and `oidc.py` makes tokens for them.
"""

from starlette.responses import JSONResponse

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import ORGANIZATION, Call, by_name, new_id
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import PROJECT
from rehearsal.azuredevops.projects import find_project, project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document

of_organization = location(
    "serviceendpoint", "endpoints", "_apis/{area}/{resource}/{endpointId}", "14e48fdc-2c8b-41ce-a0c3-e26f6cc55bd0"
)
of_project = location(
    "serviceendpoint",
    "endpoints",
    "{project}/_apis/{area}/{resource}/{endpointId}",
    "e85f1c62-adfc-4b74-b618-11a150fb195e",
)


def find(call: Call, project_id: str, id_: str) -> Document | None:
    """The connection, or None."""
    return call.store.get("endpoint", f"{project_id}/{id_.lower()}")


FEDERATION = "WorkloadIdentityFederation"
"""The authorization scheme of connections that hold no secret."""


def issuer(origin: str) -> str:
    """Who makes the organisation's identity tokens. On a host of its own in the real service: vstoken.dev.azure.com."""
    return f"{origin}/vstoken/{identities.HOST_ID}"


def subject(project: Document, endpoint: Document) -> str:
    """Whom a token for a connection is about."""
    return f"sc://{ORGANIZATION}/{project['name']}/{endpoint['body']['name']}"


def _shown(call: Call, endpoint: Document) -> Document:
    creator = call.store.get("identity", endpoint["createdBy"])
    body = endpoint["body"]
    authorization = dict(body["authorization"])
    # What authenticates never comes back; which parameters are secret depends on the type, so all but these are.
    known = ("tenantid", "serviceprincipalid", "username", "scope")
    given = authorization.get("parameters") or {}
    authorization["parameters"] = {name: value if name.lower() in known else None for name, value in given.items()}
    project = call.store.get("project", endpoint["project"])
    if authorization.get("scheme") == FEDERATION and project is not None:
        # What the application has to trust.
        authorization["parameters"] |= {
            "workloadIdentityFederationIssuer": issuer(call.origin),
            "workloadIdentityFederationSubject": subject(project, endpoint),
        }
    return {
        "data": {},
        "description": "",
        "owner": "library",
        **body,
        "authorization": authorization,
        "id": endpoint["id"],
        "createdBy": identities.reference(creator, call.vssps) if creator else None,
        "isReady": True,
        "isShared": False,
        "isOutdated": False,
    }


def _checked(call: Call, mine: str | None = None) -> tuple[Document, Document]:
    """The project and the body of a request that makes or changes a connection."""
    body = call.document()
    references = body.get("serviceEndpointProjectReferences") or []
    if len(references) != 1:
        # On the real service a connection may be shared among projects; the product needs none.
        raise invalid("A service connection belongs to one project.")
    project = find_project(call, str((references[0].get("projectReference") or {}).get("id")))
    # The real service asks for the role Creator of the project's connections; here administrators have it.
    token = permissions.project_token(project["id"])
    permissions.demand(call.store, call.user, PROJECT, token, "GENERIC_WRITE")
    for name in ("name", "type", "url", "authorization"):
        if not body.get(name):
            raise missing_value(f"endpoint.{name}")
    known = [each["body"] | {"id": each["id"]} for each in call.store.all("endpoint", f"{project['id']}/")]
    taken = by_name(known, body["name"])
    if taken is not None and taken["id"] != mine:
        message = f"Service connection with name {body['name']} already exists. Only a user having Administrator/User "
        message += "role permissions on service connection can see it."
        raise ServiceError(409, message, "DuplicateServiceConnectionException")
    return project, body


@of_organization.on("POST")
def create(call: Call) -> Answer:
    project, body = _checked(call)
    id_ = new_id()
    endpoint = {"id": id_, "project": project["id"], "createdBy": call.user["id"], "body": body}
    call.store.put("endpoint", f"{project['id']}/{id_}", endpoint)
    return _shown(call, endpoint)


@of_organization.on("PUT")
def update(call: Call) -> Answer:
    id_ = call.route.get("endpointId", "").lower()
    project, body = _checked(call, id_)
    endpoint = find(call, project["id"], id_)
    if endpoint is None:
        raise ServiceError(404, f"Service connection with ID {id_} not found.", "ServiceEndpointNotFoundException")
    endpoint["body"] = body
    call.store.put("endpoint", f"{project['id']}/{id_}", endpoint)
    return _shown(call, endpoint)


@of_organization.on("DELETE")
def delete(call: Call) -> Answer:
    id_ = call.route.get("endpointId", "").lower()
    for given in filter(None, call.query.get("projectids", "").split(",")):
        project = find_project(call, given, "GENERIC_WRITE")
        call.store.delete("endpoint", f"{project['id']}/{id_}")
        call.store.delete("pipeline-permission", f"{project['id']}/endpoint/{id_}")
    return None


@of_project.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "endpointId" in call.route:
        endpoint = find(call, project["id"], call.route["endpointId"])
        # Not a 404: the provider takes `null` for "deleted", and nothing else.
        return _shown(call, endpoint) if endpoint else JSONResponse(None)
    found = call.store.all("endpoint", f"{project['id']}/")
    names = [each.casefold() for each in call.query.get("endpointnames", "").split(",") if each]
    return [_shown(call, each) for each in found if not names or each["body"]["name"].casefold() in names]
