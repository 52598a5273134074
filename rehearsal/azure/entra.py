"""Microsoft Entra ID: an application proves who it is by somebody else's token, and gets an access token.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow (third case: access token request
with a federated credential); the numbers of the errors are those of
https://learn.microsoft.com/entra/identity-platform/reference-error-codes. Access tokens are in the form of version 1,
which is what the resources here ask for.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from uuid import uuid4

import httpx
import jwt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal import openid
from rehearsal.azure.directory import Application
from rehearsal.azuredevops.identities import TENANT_ID
from rehearsal.databricks.entra import RESOURCE as DATABRICKS
from rehearsal.databricks.entra import Authority
from rehearsal.store import Document

HOST = "login.microsoftonline.com"
MANAGEMENT = "https://management.core.windows.net/"
STORAGE = "https://storage.azure.com"
TOKEN_SECONDS = 3600
ISSUER = f"https://sts.windows.net/{TENANT_ID}/"

_RESOURCES = (MANAGEMENT, "https://management.azure.com", DATABRICKS, STORAGE)
_SHARED = ("common", "organizations")  # for whoever doesn't know the tenant yet
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def authority(port: int) -> Authority:
    """The tenant, for a service that believes its tokens.

    Args:
        port: where the stand-in is, on 127.0.0.1.
    """
    sign_in = f"https://{HOST}/{TENANT_ID}/oauth2/authorize"
    keys = f"http://127.0.0.1:{port}/{TENANT_ID}/discovery/v2.0/keys"
    return Authority(issuer=ISSUER, keys=keys, sign_in=sign_in)


class EntraError(Exception):
    """A refusal, as RFC 6749, section 5.2 has it, with Entra's number in front of its words."""

    def __init__(self, number: int, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.number = number
        self.status = status
        self.code = code

    def body(self) -> Document:
        trace = f"Trace ID: {uuid4()} Correlation ID: {uuid4()} Timestamp: {time.strftime('%Y-%m-%d %H:%M:%SZ')}"
        return {
            "error": self.code,
            "error_description": f"AADSTS{self.number}: {self} {trace}",
            "error_codes": [self.number],
        }


class Entra:
    """The tenant's endpoints.

    Args:
        applications: says who can sign in.
    """

    def __init__(self, applications: Callable[[], Iterable[Application]]) -> None:
        self._applications = applications
        self._issuer = openid.Issuer()

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/common/discovery/instance", _instances),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration),
            Route("/{tenant}/discovery/v2.0/keys", self._keys),
            Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
        ]

    def application(self, authorization: str | None, resource: str) -> Application | None:
        """The one whose access token for a resource the header has; None: it has no such token."""
        scheme, _, token = (authorization or "").partition(" ")
        try:
            openid.verify(token, self._issuer.keys(), issuer=ISSUER, audiences=[resource])
            claims, _ = openid.unverified(token)
        except (jwt.PyJWTError, KeyError, ValueError):
            return None
        return self._find(claims["appid"]) if scheme.lower() == "bearer" else None

    def _find(self, id_: str) -> Application | None:
        return next((each for each in self._applications() if each.id == id_), None)

    async def _configuration(self, request: Request) -> Response:
        tenant = request.path_params["tenant"]
        if tenant not in (TENANT_ID, *_SHARED):
            return _refused(_no_tenant(request))
        base = f"https://{HOST}/{tenant}"
        return JSONResponse(
            openid.configuration(
                f"https://{HOST}/{'{tenantid}' if tenant in _SHARED else tenant}/v2.0",
                f"{base}/discovery/v2.0/keys",
                token_endpoint=f"{base}/oauth2/v2.0/token",
                authorization_endpoint=f"{base}/oauth2/v2.0/authorize",
                device_authorization_endpoint=f"{base}/oauth2/v2.0/devicecode",
                tenant_region_scope="EU",
            )
        )

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._issuer.keys))

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            given = {name: value for name, value in form.items() if isinstance(value, str)}
        try:
            if request.path_params["tenant"] != TENANT_ID:
                raise _no_tenant(request)
            # It asks an issuer for its keys, which is another service.
            granted = await run_in_threadpool(self._granted, given)
        except EntraError as error:
            return _refused(error)
        return JSONResponse(granted, headers={"Cache-Control": "no-store"})

    def _granted(self, given: Mapping[str, str]) -> Document:
        if given.get("grant_type") != "client_credentials":
            what = given.get("grant_type", "")
            raise EntraError(70003, "unsupported_grant_type", f"The app requested an unsupported grant type '{what}'.")
        application = self._find(given.get("client_id", ""))
        if application is None:
            message = f"Application with identifier '{given.get('client_id', '')}' was not found in the directory."
            raise EntraError(700016, "unauthorized_client", message)
        if given.get("client_assertion_type") != _ASSERTION:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            if "client_secret" in given:
                message = "Invalid client secret provided."
                raise EntraError(7000215, "invalid_client", message, 401)
            raise EntraError(7000218, "invalid_client", message, 401)
        resource = given.get("scope", "").removesuffix("/.default")
        if resource not in _RESOURCES and f"{resource}/" not in _RESOURCES:
            message = f"The resource principal named {resource} was not found in the tenant."
            raise EntraError(500011, "invalid_resource", message)
        _verify(given.get("client_assertion", ""), application)
        return {
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS - 1,
            "ext_expires_in": TOKEN_SECONDS - 1,
            "access_token": self._issuer.signed(_claims(application, resource)),
        }


def _claims(application: Application, resource: str) -> Document:
    now = int(time.time())
    return {
        "aud": resource,
        "iss": ISSUER,
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "appid": application.id,
        "appidacr": "2",
        "idp": ISSUER,
        "idtyp": "app",
        "oid": application.id,
        "sub": application.id,
        "tid": TENANT_ID,
        "uti": secrets.token_urlsafe(16),
        "ver": "1.0",
    }


def _verify(assertion: str, application: Application) -> None:
    try:
        claims, _ = openid.unverified(assertion)
    except ValueError:
        raise EntraError(50027, "invalid_request", "JWT token is invalid or malformed.") from None
    issuer, subject, audience = (str(claims.get(name)) for name in ("iss", "sub", "aud"))
    of_issuer = [each for each in application.trusts if each.issuer == issuer]
    if not of_issuer:
        message = f"No matching federated identity record found for presented assertion issuer '{issuer}'."
        raise EntraError(700211, "invalid_client", message, 401)
    of_subject = [each for each in of_issuer if each.subject == subject]
    if not of_subject:
        message = f"No matching federated identity record found for presented assertion subject '{subject}'."
        raise EntraError(700213, "invalid_client", message, 401)
    if not any(each.audience == audience for each in of_subject):
        message = f"No matching federated identity record found for presented assertion audience '{audience}'."
        raise EntraError(700212, "invalid_client", message, 401)
    try:
        openid.verify(assertion, openid.published_keys(issuer), issuer=issuer, audiences=[audience])
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        message = "Client assertion is not within its valid time range."
        raise EntraError(700024, "invalid_client", message, 401) from None
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise EntraError(
            700027, "invalid_client", f"Client assertion failed signature validation: {error}", 401
        ) from None
    except httpx.HTTPError as error:
        raise EntraError(50166, "invalid_client", f"Request to External OIDC endpoint failed: {error}", 401) from None


async def _instances(_: Request) -> Response:
    """Which names stand for the same cloud: this one, alone."""
    aliases = {"preferred_network": HOST, "preferred_cache": HOST, "aliases": [HOST]}
    known = f"https://{HOST}/{TENANT_ID}/v2.0/.well-known/openid-configuration"
    return JSONResponse({"tenant_discovery_endpoint": known, "api-version": "1.1", "metadata": [aliases]})


def _no_tenant(request: Request) -> EntraError:
    return EntraError(90002, "invalid_request", f"Tenant '{request.path_params['tenant']}' not found.")


def _refused(error: EntraError) -> Response:
    return JSONResponse(error.body(), error.status)
