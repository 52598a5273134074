"""Whether a token of somebody else stands for a service principal: its federation policies say so.

https://learn.microsoft.com/azure/databricks/dev-tools/auth/oauth-federation-policy: issuer, audience and subject must
be those of a policy, and the signature that of a key which the issuer publishes.
"""

import json
from typing import Any

import httpx
import jwt

from rehearsal.databricks.errors import OAuthError
from rehearsal.store import Document

_ALGORITHMS = ["RS256", "ES256"]
_SECONDS = 5


def verify(token: str, policies: list[Document]) -> None:
    """Lets the token in, if one of the policies does.

    Args:
        token: a JSON Web Token.
        policies: those of the service principal, as `oidc_policy` has them.

    Raises:
        OAuthError: none does; it says why.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise OAuthError("invalid_request", f"subject_token is no JSON Web Token: {error}") from None
    fitting = (
        each
        for each in policies
        if each["issuer"] == claims.get("iss") and each["subject"] == claims.get(each["subject_claim"])
    )
    policy = next(fitting, None)
    if policy is None:
        shown = f"issuer {claims.get('iss')}, subject {claims.get('sub')}"
        raise OAuthError("invalid_grant", f"No federation policy of the service principal is for the token: {shown}")
    try:
        keys = jwt.PyJWKSet.from_dict(_keys(policy))
        key = keys[header.get("kid", "")]
        jwt.decode(token, key, algorithms=_ALGORITHMS, audience=policy["audiences"], issuer=policy["issuer"])
    except (jwt.PyJWTError, KeyError, httpx.HTTPError, ValueError) as error:
        raise OAuthError("invalid_grant", f"The token isn't accepted: {error}") from None


def _keys(policy: Document) -> dict[str, Any]:
    """The keys that the policy has, or that the issuer publishes: on this machine, see `principal_credentials.py`."""
    if policy.get("jwks_json"):
        return dict(json.loads(policy["jwks_json"]))
    address = policy.get("jwks_uri")
    if not address:
        configuration = httpx.get(f"{policy['issuer'].rstrip('/')}/.well-known/openid-configuration", timeout=_SECONDS)
        address = configuration.raise_for_status().json()["jwks_uri"]
    return dict(httpx.get(address, timeout=_SECONDS).raise_for_status().json())
