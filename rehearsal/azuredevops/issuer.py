"""The key with which the organisation signs identity tokens."""

from functools import cached_property
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from rehearsal.store import Document

_ALGORITHM = "RS256"


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
