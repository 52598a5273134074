"""Identity tokens of running jobs, for services that trust the organisation: workload identity federation.

A job asks with its own access token, and for itself alone
(https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create). Without a service connection the
token's subject is the pipeline, `p://ORGANISATION/PROJECT/PIPELINE`, and its audience always the same; its issuer is
the organisation, by its id (https://learn.microsoft.com/azure/databricks/dev-tools/auth/provider-azure-devops). With a
connection, which a step of the job must name, the subject is the connection, `sc://ORGANISATION/PROJECT/CONNECTION`
(https://learn.microsoft.com/azure/devops/pipelines/release/configure-workload-identity; newer connections may have
Entra as issuer instead, with a subject of numbers). Whoever is given such a token finds the keys where OpenID Connect
Discovery says.
"""

import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.azuredevops import build, identities, service_endpoints
from rehearsal.azuredevops.context import ORGANIZATION, Call, Service, new_id
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.runs import documents, graph, resources, sources
from rehearsal.store import Document

AUDIENCE = "api://AzureADTokenExchange"
VALID_SECONDS = 600
_PLACE = service_endpoints.issuer("")

tokens = location(
    "distributedtask",
    "oidctoken",
    "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/jobs/{jobId}/{resource}",
    "69a319f4-28c1-4bfd-93e6-ea0ff5c6f1a2",
    complete=True,
)


@tokens.on("POST")
def create(call: Call) -> Answer:
    id_ = call.route["jobId"].lower()
    job = call.store.get("job", id_)
    run = documents.find(call.store, job["project"], job["run"]) if job else None
    named = (call.route["scopeIdentifier"].lower(), call.route["hubName"].lower(), call.route["planId"].lower())
    asking = call.service.job_of(call.authorization)
    if job is None or run is None or named != (job["project"], "build", run["plan"]) or asking != id_:
        # The service's own words aren't documented.
        raise ServiceError(
            401, "TF400813: The token is not that of the job for which an identity is asked.", "UnauthorizedException"
        )
    return {"oidcToken": call.service.issuer.signed(_claims(call, job["project"], run, id_))}


def _claims(call: Call, project_id: str, run: Document, job_id: str) -> Document:
    project = call.store.get("project", project_id)
    assert project is not None  # noqa: S101 - a job of it is running
    definition = call.store.get("definition", build.key(project_id, run["definition"]))
    assert definition is not None  # noqa: S101 - see above
    subject = f"p://{ORGANIZATION}/{project['name']}/{definition['body']['name']}"
    if "serviceconnectionid" in call.query:
        endpoint = _connection(call, project, run, job_id)
        subject = service_endpoints.subject(project, endpoint)
    time_ = int(time.time())
    return {
        "jti": new_id(),
        "sub": subject,
        "aud": AUDIENCE,
        "iss": service_endpoints.issuer(call.origin),
        "nbf": time_,
        "iat": time_,
        "exp": time_ + VALID_SECONDS,
        "org_id": identities.HOST_ID,
        "prj_id": project_id,
        "def_id": str(run["definition"]),
        "run_id": str(run["id"]),
    }


def _connection(call: Call, project: Document, run: Document, job_id: str) -> Document:
    """The connection for which the token is asked: one that a step of the job names.

    That the pipeline may use it was asked before the stage began.
    """
    wanted = call.query["serviceconnectionid"].lower()
    found = graph.leg_of(documents.graph_of(call.store, project["id"], run["id"]), job_id)
    named: list[Document] = []
    if found is not None:
        stage, job, _ = found
        plan = sources.plan_of(call.service, project, run)
        planned = next(each for each in plan.stages if each.name == stage["name"]).jobs
        used = next(each for each in planned if each.name == job["name"])
        named = resources.connections_of(call.store, project, used)
    endpoint = next((each for each in named if each["id"] == wanted), None)
    if endpoint is None:
        message = f"Service connection with ID {wanted} not found."
        raise ServiceError(404, message, "ServiceEndpointNotFoundException")
    if endpoint["body"]["authorization"].get("scheme") != service_endpoints.FEDERATION:
        raise invalid(f"The service connection {endpoint['body']['name']} has no workload identity federation.")
    return endpoint


def routes(service: Service) -> list[Route]:
    """Where anybody finds the keys: https://openid.net/specs/openid-connect-discovery-1_0.html."""

    async def configuration(request: Request) -> Response:
        from rehearsal import openid  # noqa: PLC0415 - as `Service.issuer`

        issuer = service_endpoints.issuer(f"{request.url.scheme}://{request.url.netloc}")
        return JSONResponse(openid.configuration(issuer, f"{issuer}/.well-known/jwks"))

    async def keys(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(service.issuer.keys))

    return [
        Route(f"{_PLACE}/.well-known/openid-configuration", configuration),
        Route(f"{_PLACE}/.well-known/jwks", keys),
    ]
