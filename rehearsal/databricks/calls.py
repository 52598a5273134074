"""A request as the handlers see it, and the checks of its fields that all of them share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from rehearsal.databricks.compute import Compute
from rehearsal.databricks.errors import invalid
from rehearsal.databricks.principals import Caller
from rehearsal.store import Document, Store


@dataclass(frozen=True)
class Call:
    """A request.

    Args:
        store: the state.
        caller: who makes it.
        query: the parameters of the query.
        path: the parameters in the path.
        body: the JSON document, or the fields of a form.
        raw: the file in a form, or a body that is nothing but a file.
        host: the address at which the client reached the service, `http://127.0.0.1:PORT`.
        compute: where runs keep what they make.
    """

    store: Store
    caller: Caller
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: Document
    raw: bytes | None
    host: str
    compute: Compute

    def text(self, name: str, *, default: str | None = None) -> str:
        """A text from the body or the query.

        Raises:
            ApiError: 400, it is missing and there is no default, or it isn't a text.
        """
        value = self.body.get(name, self.query.get(name))
        if value is None or value == "":
            if default is None:
                raise invalid(f"Missing required field: {name}")
            return default
        if not isinstance(value, str):
            raise invalid(f"Could not parse request object: field {name} must be a string")
        return value

    def flag(self, name: str) -> bool:
        """A yes or no from the body or the query; no when it is missing. Forms and queries say it in words.

        Raises:
            ApiError: 400, it is neither.
        """
        value = self.body.get(name, self.query.get(name, False))
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise invalid(f"Could not parse request object: field {name} must be a boolean")
        return value

    def number(self, name: str, *, default: int | None = None) -> int:
        """A whole number from the body or the query.

        Raises:
            ApiError: 400, it is missing and there is no default, or it isn't a number.
        """
        value = self.body.get(name, self.query.get(name))
        if value is None or value == "":
            if default is None:
                raise invalid(f"Missing required field: {name}")
            return default
        try:
            if isinstance(value, bool | float):
                raise ValueError
            return int(value)
        except (TypeError, ValueError):
            raise invalid(f"Could not parse request object: field {name} must be a number") from None


Handler: TypeAlias = Callable[[Call], Document | Response]


@dataclass(frozen=True)
class Endpoint:
    """Where a handler stands: HTTP method, path template of Starlette, handler."""

    method: str
    path: str
    handler: Handler
