"""What a request has at hand: the service's state, who asks, and for what."""

import base64
import binascii
import hmac
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request

from rehearsal.azuredevops import users
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.store import Document, Store, secret_key

if TYPE_CHECKING:
    from rehearsal.openid import Issuer

ORGANIZATION = "rehearsal"
_NAMESPACE = uuid.UUID("6c7b5f6e-3f0a-4a53-9d5a-52f3b4c2a9d1")


def fixed_id(*names: str) -> str:
    """An id that is the same in every rehearsal, for what exists from the first day on."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(names)))


def new_id() -> str:
    """An id for what comes into being later."""
    return str(uuid.uuid4())


def now() -> str:
    """The time as the service writes it, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_id(text: str) -> bool:
    """Whether the text is a GUID, in any case, as the service's ids are."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


class Service:
    """The state of the organisation.

    Args:
        state: the folder with the database and the repositories.
        credentials: personal access tokens by user key; see `users.KEYS`.
        orchestrated: whether runs are carried out; otherwise they are accepted and wait, and nothing starts by itself.
    """

    def __init__(self, state: Path, credentials: dict[str, str], *, orchestrated: bool = False) -> None:
        unknown = sorted(set(credentials) - set(users.KEYS))
        if unknown:
            raise ValueError(f"credentials for {', '.join(unknown)}; there are: {', '.join(users.KEYS)}")
        self.store = Store(state / "azuredevops.sqlite")
        self.repositories = state / "repositories"
        self.repositories.mkdir(parents=True, exist_ok=True)
        self.artifacts = state / "artifacts"
        self.artifacts.mkdir(exist_ok=True)
        self.orchestrated = orchestrated
        self.wake: Callable[[], None] = lambda: None
        """Says that there may be something to do for a run."""
        self._credentials = credentials

    @cached_property
    def issuer(self) -> "Issuer":
        """Signs the tokens by which jobs say to other services who they are."""
        from rehearsal.openid import Issuer  # noqa: PLC0415 - few need it, and it takes long to import

        return Issuer()

    def sign_in(self, authorization: str | None) -> Document:
        """The identity behind an `Authorization` header with a PAT, with the same token as one of Entra, or with the
        access token of a job that runs.

        Raises:
            ServiceError: 401, when there is none, or the token is unknown or has run out.
        """
        token = _token(authorization)
        key = None
        for candidate, secret in self._credentials.items():
            if token is not None and hmac.compare_digest(secret.encode(), token.encode()):
                key = candidate
        challenge = {"WWW-Authenticate": 'Basic realm="rehearsal"'}
        if key == users.EXPIRED:
            message = "Access Denied: The Personal Access Token used has expired."
            raise ServiceError(401, message, "UnauthorizedRequestException", challenge)
        # What an agent signs in with is good for its own protocol alone.
        if key is None or key == users.AGENT:
            owner = self._owner(token)
            identity = self.store.get("identity", owner["identity"]) if owner else None
            if identity is not None:
                return identity
            message = "TF400813: The user '' is not authorized to access this resource."
            raise ServiceError(401, message, "UnauthorizedRequestException", challenge)
        identity = self.store.get("identity", fixed_id("user", key))
        assert identity is not None, key  # noqa: S101 - the seed makes one for every key
        return identity

    def job_of(self, authorization: str | None) -> str | None:
        """The job whose access token the header has; None for any other header."""
        owner = self._owner(_token(authorization))
        return owner["job"] if owner else None

    def _owner(self, token: str | None) -> Document | None:
        return self.store.get("job-token", secret_key(token or ""))


def _token(authorization: str | None) -> str | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return encoded
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


@dataclass
class Call:
    """One request to the REST interface, signed in."""

    service: Service
    user: Document
    authorization: str | None
    route: dict[str, str]
    query: dict[str, str]
    content: bytes
    origin: str
    accept: str

    @classmethod
    def of(cls, service: Service, request: Request, user: Document, content: bytes) -> "Call":
        return cls(
            service=service,
            user=user,
            authorization=request.headers.get("authorization"),
            route=dict(request.path_params),
            query={name.lower(): value for name, value in request.query_params.items()},
            content=content,
            origin=f"{request.url.scheme}://{request.url.netloc}",
            accept=request.headers.get("accept", ""),
        )

    @property
    def store(self) -> Store:
        return self.service.store

    @property
    def wants_json(self) -> bool:
        """Whether the client takes JSON and nothing else; it does unless it asks for bytes or text."""
        return self.accept.startswith("application/json")

    @property
    def base(self) -> str:
        """The organisation's URL, as this client reached it."""
        return f"{self.origin}/{ORGANIZATION}"

    def url(self, *segments: object) -> str:
        """A URL below the organisation."""
        return "/".join([self.base, *(quote(str(segment), safe="") for segment in segments)])

    @property
    def vssps(self) -> str:
        """Where the organisation's identities live."""
        return f"{self.origin}/vssps/{ORGANIZATION}"

    def json(self) -> Any:
        """The body.

        Raises:
            ServiceError: 400, when it is no JSON.
        """
        if not self.content:
            return None
        try:
            return json.loads(self.content)
        except ValueError:
            raise invalid("TF400898: An Internal Error Occurred. The body is not valid JSON.") from None

    def document(self) -> Document:
        """The body, an object.

        Raises:
            ServiceError: 400, when it is something else.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise missing_value("body")
        return body

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false; false when it is missing."""
        return self.query.get(name.lower(), "").lower() == "true"

    def whole_number(self, name: str, default: int) -> int:
        """A query parameter that is a number.

        Raises:
            ServiceError: 400, when it is something else.
        """
        given = self.query.get(name.lower(), str(default))
        if not given.lstrip("-").isdigit():
            raise invalid(f"The value '{given}' is not valid for {name}.")
        return int(given)

    def number(self, name: str) -> int:
        """A route value that must be a number.

        Raises:
            ServiceError: 400, when it is something else.
        """
        given = self.route.get(name, "")
        if not given.isdigit():
            raise invalid(f"The value '{given}' is not valid for {name}.")
        return int(given)


def by_name(documents: Iterable[Document], name: str, key: str = "name") -> Document | None:
    """The document with this name in any case, as the service compares names."""
    return next((each for each in documents if each[key].casefold() == name.casefold()), None)
