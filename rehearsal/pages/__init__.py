"""What people see of the two stand-ins in a browser: pages that the service makes, without any script.

Everything that a page shows or does goes through the service's own REST interface, inside the process and signed in as
the person who looks: what the interface refuses, the page refuses, in the same words.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Lazy:
    """An application that is made at its first request: templates, colours and a client take their time to import.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = self._app or self._make()
        await self._app(scope, receive, send)
