"""Signing in with OAuth: a service principal's secret, or a token that stands for it, becomes an access token.

https://learn.microsoft.com/azure/databricks/dev-tools/auth/oauth-m2m (RFC 6749, section 4.4) and
https://learn.microsoft.com/azure/databricks/dev-tools/auth/oauth-federation-exchange (RFC 8693); what service
principals have for it is in `principal_credentials.py`. The service's own words for a refusal aren't documented; the
codes are the standards'.
"""

import base64
import binascii
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.databricks import principals
from rehearsal.databricks.errors import OAuthError
from rehearsal.databricks.principals import SERVICE_PRINCIPAL
from rehearsal.store import Document, Store, secret_key

TOKEN_SECONDS = 3600
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True)
class _Client:
    """Who asks for a token, and the secret that came with the name."""

    id: str
    secret: str


class TokenEndpoint:
    """The endpoint, and the document that says where it is.

    Args:
        store: the state.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/oidc/.well-known/oauth-authorization-server", _metadata),
            Route("/oidc/v1/token", self._token, methods=["POST"]),
        ]

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            given = {name: value for name, value in form.items() if isinstance(value, str)}
        try:
            # It may ask an issuer for its keys, which is another service, and slow.
            granted = await run_in_threadpool(self._granted, request.headers.get("authorization"), given)
        except OAuthError as error:
            return JSONResponse(error.body(), error.status)
        return JSONResponse(granted, headers={"Cache-Control": "no-store"})

    def _granted(self, authorization: str | None, given: Mapping[str, str]) -> Document:
        client = _client(authorization, given)
        document = principals.find(self._store, SERVICE_PRINCIPAL, client.id)
        grant = given.get("grant_type", "")
        if given.get("scope", "") != "all-apis":
            raise OAuthError("invalid_scope", "The rehearsal grants the scope all-apis and no other.")
        if grant == "client_credentials":
            known = self._store.all("oauth_secret", f"{document['id']}/") if document else []
            if not any(_is_right(each, client.secret) for each in known):
                raise OAuthError("invalid_client", "Client authentication failed", 401)
        elif grant == _EXCHANGE:
            if given.get("subject_token_type") != _JWT:
                raise OAuthError("invalid_request", f"subject_token_type must be {_JWT}")
            known = self._store.all("federation_policy", f"{document['id']}/") if document else []
            # What it imports takes a tenth of a second, and few need it.
            from rehearsal.databricks.federation import verify  # noqa: PLC0415 - see above

            verify(given.get("subject_token", ""), [each["oidc_policy"] for each in known])
        else:
            raise OAuthError("unsupported_grant_type", f"grant_type is {grant!r}")
        if document is None or not document["active"]:
            raise OAuthError("invalid_client", "Client authentication failed", 401)
        token = secrets.token_urlsafe(48)
        until = time.time() + TOKEN_SECONDS
        who = {"kind": SERVICE_PRINCIPAL, "id": document["id"], "until": until}
        self._store.put("oauth_token", secret_key(token), who)
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": "all-apis"}


async def _metadata(request: Request) -> Response:
    """RFC 8414."""
    base = f"{request.url.scheme}://{request.url.netloc}/oidc"
    return JSONResponse(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/v1/authorize",
            "token_endpoint": f"{base}/v1/token",
            "grant_types_supported": ["client_credentials", _EXCHANGE],
            "scopes_supported": ["all-apis"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
    )


def _client(authorization: str | None, given: Mapping[str, str]) -> _Client:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise OAuthError("invalid_client", "The header isn't one of basic authentication", 401) from None
        return _Client(unquote_plus(name), unquote_plus(secret))
    if not given.get("client_id"):
        raise OAuthError("invalid_request", "client_id is missing")
    return _Client(given["client_id"], given.get("client_secret", ""))


def _is_right(secret: Document, given: str) -> bool:
    return secrets.compare_digest(secret["secret_hash"], secret_key(given)) and secret["until"] > time.time()
