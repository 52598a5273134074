"""Who makes a request: bearer tokens, of a person, of a run, or of a service principal that has signed in (`oauth.py`,
or `entra.py` for Azure's own).

The answers are the service's own: a number as `error_code`, because its front end makes them
(github.com/databricks/databricks-sdk-go/issues/917 shows the one for a wrong token).
"""

import hmac
import math
import time
from collections.abc import Mapping

from rehearsal.databricks import principals
from rehearsal.databricks.entra import EntraTokens
from rehearsal.databricks.errors import ApiError
from rehearsal.databricks.principals import SERVICE_PRINCIPAL, Caller
from rehearsal.databricks.users import EXPIRED_KEY, SEEDS, USER_KEYS
from rehearsal.store import Document, Store, secret_key


class Tokens:
    """The tokens that the service accepts.

    Args:
        credentials: the token of each user key.
        entra: knows the tokens of Azure.

    Raises:
        ValueError: a key is none of the users'.
    """

    def __init__(self, credentials: Mapping[str, str], entra: EntraTokens) -> None:
        unknown = sorted(set(credentials) - set(USER_KEYS))
        if unknown:
            raise ValueError(f"no such user: {', '.join(unknown)}; there are: {', '.join(USER_KEYS)}")
        self._entra = entra
        self._credentials = [(key, token.encode()) for key, token in credentials.items()]

    def caller(self, store: Store, authorization: str | None) -> Caller:
        """The one whose token this is.

        Args:
            store: holds the users.
            authorization: the header of that name.

        Raises:
            ApiError: 401 without a bearer token, 403 with one that is wrong, expired or its owner's no more.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ApiError(401, 401, "Credential was not sent or was of an unsupported type for this API.")
        given = token.strip().encode()
        hashed = secret_key(token.strip())
        issued = store.get("run_token", hashed) or store.get("oauth_token", hashed)
        if issued is not None:
            return _issued(store, issued)
        application = self._entra.application(token.strip())
        if application is not None:
            known = principals.find(store, SERVICE_PRINCIPAL, application)
            return _issued(store, {"kind": SERVICE_PRINCIPAL, "id": known["id"] if known else ""})
        key = next((key for key, known in self._credentials if hmac.compare_digest(known, given)), None)
        login = store.get("login", key) if key else None
        document = store.get(login["kind"], login["id"]) if login else None
        # Whether the service has words of its own for a personal access token whose time is over is not known.
        if login is None or document is None or key == EXPIRED_KEY or not document["active"]:
            raise ApiError(403, 403, "Invalid access token.")
        return principals.caller(store, login["kind"], document)

    def is_user(self, caller: Caller, name: str) -> bool:
        """Whether the caller is called so: by their own name or by the rehearsal's short one."""
        seed = next((each for each in SEEDS if each.name == caller.name), None)
        return name in (caller.name, seed.key if seed else None)


def _issued(store: Store, token: Document) -> Caller:
    """The identity of a token that the service, or Azure, has made. The service's own is kept as a hash.

    A run's is valid as long as the task's attempt, and is deleted then; one of OAuth until the time that it says.
    """
    document = store.get(token["kind"], token["id"])
    if document is None or not document["active"] or token.get("until", math.inf) < time.time():
        raise ApiError(403, 403, "Invalid access token.")
    return principals.caller(store, token["kind"], document)
