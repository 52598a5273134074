"""Whether a token of somebody else stands for a service principal: its federation policies say so.

https://learn.microsoft.com/azure/databricks/dev-tools/auth/oauth-federation-policy: issuer, audience and subject must
be those of a policy, and the signature that of a key which the issuer publishes.
"""

import json

import httpx
import jwt

from rehearsal import openid
from rehearsal.databricks.errors import OAuthError
from rehearsal.store import Document


def verify(token: str, policies: list[Document]) -> None:
    """Lets the token in, if one of the policies does.

    Args:
        token: a JSON Web Token.
        policies: those of the service principal, as `oidc_policy` has them.

    Raises:
        OAuthError: none does; it says why.
    """
    try:
        claims, _ = openid.unverified(token)
    except ValueError as error:
        raise OAuthError("invalid_request", f"subject_token is no JSON Web Token: {error}") from None
    fitting = [
        each
        for each in policies
        if each["issuer"] == claims.get("iss") and each["subject"] == claims.get(each["subject_claim"])
    ]
    if not fitting:
        shown = f"issuer {claims.get('iss')}, subject {claims.get('sub')}"
        raise OAuthError("invalid_grant", f"No federation policy of the service principal is for the token: {shown}")
    for policy in fitting:
        try:
            openid.verify(token, _keys(policy), issuer=policy["issuer"], audiences=policy["audiences"])
        except (jwt.PyJWTError, KeyError, httpx.HTTPError, ValueError) as error:
            if policy is fitting[-1]:
                raise OAuthError("invalid_grant", f"The token isn't accepted: {error}") from None
        else:
            return


def _keys(policy: Document) -> Document:
    """The keys that the policy has, or that the issuer publishes: on this machine, see `principal_credentials.py`."""
    if policy.get("jwks_json"):
        return dict(json.loads(policy["jwks_json"]))
    address = policy.get("jwks_uri")
    return openid.keys_at(address) if address else openid.published_keys(policy["issuer"])
