"""What happens in the organisation, for those parts of it that have to do something then.

A handler runs at once, in the transaction of whoever publishes: either all of it is kept or nothing.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from rehearsal.azuredevops.context import Service

Kind: TypeAlias = Literal["push", "run-completed"]
"""`push`: branches have moved (`repository`, `user`, `updates`: documents with `name`, `oldObjectId`, `newObjectId`).
`run-completed`: a run of a pipeline has ended (`project`, `run`: documents)."""
Handler: TypeAlias = Callable[..., None]

_HANDLERS: dict[Kind, list[Handler]] = {"push": [], "run-completed": []}


def on(kind: Kind) -> Callable[[Handler], Handler]:
    """Names a function that is called with the service, and the details by name, whenever this happens."""

    def add(handler: Handler) -> Handler:
        _HANDLERS[kind].append(handler)
        return handler

    return add


def publish(service: Service, kind: Kind, **details: Any) -> None:
    """Says that it has happened."""
    for handler in _HANDLERS[kind]:
        handler(service, **details)
