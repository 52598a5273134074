"""Tokens that say who somebody is, for whoever trusts their issuer: OpenID Connect, as far as federation needs it.

https://openid.net/specs/openid-connect-discovery-1_0.html, RFC 7517 (keys) and RFC 7519 (tokens). What is imported here
takes a tenth of a second, so the stand-ins import it when they need it.
"""

from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from rehearsal.store import Document

ALGORITHMS = ("RS256", "ES256")
CONFIGURATION = "/.well-known/openid-configuration"
_ALGORITHM = "RS256"
_SECONDS = 5


class Issuer:
    """Signs tokens. The key is made when it is first needed, and kept nowhere: no token outlives the process."""

    def __init__(self) -> None:
        self._id = str(uuid4())

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def signed(self, claims: Document) -> str:
        """The claims as a token."""
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._id})

    def keys(self) -> Document:
        """The public key, as a set of JSON Web Keys (RFC 7517)."""
        key: dict[str, Any] = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._id, "alg": _ALGORITHM, "use": "sig"}]}


def configuration(issuer: str, keys: str, **more: object) -> Document:
    """What stands at `CONFIGURATION` below an issuer: where its keys are, and what its tokens are signed with."""
    return {
        "issuer": issuer,
        "jwks_uri": keys,
        "subject_types_supported": ["public"],
        "response_types_supported": ["id_token"],
        "id_token_signing_alg_values_supported": [_ALGORITHM],
        **more,
    }


def published_keys(issuer: str) -> Document:
    """The keys that an issuer publishes.

    Raises:
        httpx.HTTPError: it doesn't answer.
        ValueError, KeyError: its answer says nothing of keys.
    """
    answer = httpx.get(f"{issuer.rstrip('/')}{CONFIGURATION}", timeout=_SECONDS, trust_env=False)
    return keys_at(answer.raise_for_status().json()["jwks_uri"])


def keys_at(address: str) -> Document:
    """The set of keys that stands there.

    Raises:
        httpx.HTTPError: there is no answer.
    """
    return dict(httpx.get(address, timeout=_SECONDS, trust_env=False).raise_for_status().json())


def unverified(token: str) -> tuple[Document, str]:
    """What a token says, believed by nobody yet, and the name of the key that it should be signed with.

    Raises:
        ValueError: it is no token.
    """
    try:
        claims: Document = jwt.decode(token, options={"verify_signature": False})
        return claims, str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.InvalidTokenError as error:
        raise ValueError(str(error)) from None


def verify(token: str, keys: Document, *, issuer: str, audiences: list[str]) -> None:
    """Believes the token.

    Raises:
        jwt.PyJWTError: it is not of the issuer, not for one of the audiences, not signed with one of the keys, or not
            valid now.
        KeyError: none of the keys is called as its own.
    """
    key = jwt.PyJWKSet.from_dict(keys)[unverified(token)[1]]
    jwt.decode(token, key, algorithms=list(ALGORITHMS), audience=audiences, issuer=issuer)
