"""Identity tokens of running jobs, for services that trust the organisation: workload identity federation.

A job asks with its own access token, and for itself alone
(https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create). Without a service connection the
token's subject is the pipeline, `p://ORGANISATION/PROJECT/PIPELINE`, and its audience always the same; its issuer is
the organisation, by its id (https://learn.microsoft.com/azure/databricks/dev-tools/auth/provider-azure-devops). Whoever
is given such a token finds the keys where OpenID Connect Discovery says.
"""

import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.azuredevops import build, identities
from rehearsal.azuredevops.context import ORGANIZATION, Call, Service, new_id
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.runs import documents
from rehearsal.store import Document

AUDIENCE = "api://AzureADTokenExchange"
VALID_SECONDS = 600
# On a host of its own in the real service: https://vstoken.dev.azure.com/ID.
_ISSUER = f"/vstoken/{identities.HOST_ID}"

tokens = location(
    "distributedtask",
    "oidctoken",
    "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/jobs/{jobId}/{resource}",
    "69a319f4-28c1-4bfd-93e6-ea0ff5c6f1a2",
    complete=True,
)


@tokens.on("POST")
def create(call: Call) -> Answer:
    if "serviceconnectionid" in call.query:
        raise invalid("The rehearsal has no service connections that tokens are made for.")
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
    return {"oidcToken": call.service.issuer.signed(_claims(call, job["project"], run))}


def _claims(call: Call, project_id: str, run: Document) -> Document:
    project = call.store.get("project", project_id)
    assert project is not None  # noqa: S101 - a job of it is running
    definition = call.store.get("definition", build.key(project_id, run["definition"]))
    assert definition is not None  # noqa: S101 - see above
    time_ = int(time.time())
    return {
        "jti": new_id(),
        "sub": f"p://{ORGANIZATION}/{project['name']}/{definition['body']['name']}",
        "aud": AUDIENCE,
        "iss": f"{call.origin}{_ISSUER}",
        "nbf": time_,
        "iat": time_,
        "exp": time_ + VALID_SECONDS,
        "org_id": identities.HOST_ID,
        "prj_id": project_id,
        "def_id": str(run["definition"]),
        "run_id": str(run["id"]),
    }


def routes(service: Service) -> list[Route]:
    """Where anybody finds the keys: https://openid.net/specs/openid-connect-discovery-1_0.html."""

    async def configuration(request: Request) -> Response:
        issuer = f"{request.url.scheme}://{request.url.netloc}{_ISSUER}"
        return JSONResponse(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/.well-known/jwks",
                "subject_types_supported": ["public"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def keys(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(service.issuer.keys))

    return [
        Route(f"{_ISSUER}/.well-known/openid-configuration", configuration),
        Route(f"{_ISSUER}/.well-known/jwks", keys),
    ]
