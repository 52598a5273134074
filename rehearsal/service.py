"""What both stand-ins share: serving on loopback, a log of the requests, and faults that a test orders.

The control endpoints stand below `/_rehearsal/` and want the header `Authorization: Bearer CONTROL_TOKEN`:

    GET    /_rehearsal/requests   the requests so far: [{number, method, path, query, status, fault, agent,
                                  milliseconds}]
    DELETE /_rehearsal/requests   forgets them
    POST   /_rehearsal/faults     orders a fault, see `Fault`
    DELETE /_rehearsal/faults     takes all orders back
    POST   /_rehearsal/reset      the service's state as on the first day
    GET    /_rehearsal/health     200 without a token
"""

import asyncio
import hmac
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Action: TypeAlias = Literal["status", "delay", "reset-before", "reset-after"]


@dataclass(kw_only=True)
class Fault:
    """An order for the next requests that match.

    Args:
        action: `status` answers with `status` and does nothing; `delay` waits `seconds` and then does the work;
            `reset-before` drops the connection and does nothing; `reset-after` does the work, then drops it.
        method: the HTTP method, or `*`.
        path: a regular expression, searched in the path with its query.
        skip: how many matching requests pass before the fault begins.
        count: how many requests get it.
        status, headers, body: of the answer; without `body` the service's own words for that status.
        seconds: of the delay.
    """

    action: Action
    method: str = "*"
    path: str = ""
    skip: int = 0
    count: int = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"action is {self.action!r}; allowed: {', '.join(get_args(Action))}")
        re.compile(self.path)

    def takes(self, method: str, target: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.count <= 0 or self.method not in ("*", method) or not re.search(self.path, target):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return True


ErrorPage: TypeAlias = Callable[[int], tuple[bytes, str]]


class Controlled:
    """Puts the request log, the faults and the control endpoints around a service.

    Args:
        app: the service.
        control_token: what the control endpoints ask for.
        reset: sets the service's state back to its first day.
        error_page: the body and content type with which the service's front end words a status that it makes itself.
    """

    def __init__(self, app: ASGIApp, *, control_token: str, reset: Callable[[], None], error_page: ErrorPage) -> None:
        self._app = app
        self._token = control_token
        self._reset = reset
        self._error_page = error_page
        self._faults: list[Fault] = []
        self._log: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith("/_rehearsal/"):
            response = await self._control(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Who calls it by a name that isn't this machine's has come through the proxy, which ends TLS.
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        if host and not host.startswith("127.") and host != "localhost":
            scope = {**scope, "scheme": "https"}
        method, query = scope["method"], scope["query_string"].decode("latin-1")
        target = f"{scope['path']}?{query}" if query else scope["path"]
        fault = next((order for order in self._faults if order.takes(method, target)), None)
        agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
        entry = {
            "number": len(self._log) + 1,
            "method": method,
            "path": scope["path"],
            "query": query,
            "status": None,
            "fault": fault.action if fault else None,
            "agent": agent,
        }
        self._log.append(entry)
        started = time.monotonic()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        try:
            if fault is None:
                await self._app(scope, receive, noting)
            else:
                await self._fail(fault, scope, receive, send, noting)
        finally:
            entry["milliseconds"] = round((time.monotonic() - started) * 1000, 1)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send, noting: Send) -> None:
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, noting)
        elif fault.action == "status":
            body, media = (fault.body.encode(), "text/html") if fault.body else self._error_page(fault.status)
            response = Response(body, fault.status, fault.headers, media)
            await response(scope, receive, noting)
        else:
            if fault.action == "reset-after":
                await self._app(scope, receive, _swallow)
            _reset_connection(send)
            await asyncio.sleep(0.01)  # until the server knows: it reports an application that gives no answer

    async def _control(self, request: Request) -> Response:
        what = (request.method, request.url.path.removeprefix("/_rehearsal/"))
        if what == ("GET", "health"):
            return JSONResponse({"ok": True})
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given, self._token):
            return JSONResponse({"message": "the control endpoints want the control token"}, 401)
        match what:
            case ("GET", "requests"):
                return JSONResponse(self._log)
            case ("DELETE", "requests"):
                self._log.clear()
            case ("POST", "faults"):
                try:
                    given_fault = json.loads(await request.body())
                    self._faults.append(Fault(**given_fault))
                except (TypeError, ValueError, re.error) as error:
                    known = ", ".join(each.name for each in fields(Fault))
                    return JSONResponse({"message": f"{error}; a fault has: {known}"}, 400)
            case ("DELETE", "faults"):
                self._faults.clear()
            case ("POST", "reset"):
                self._reset()
                self._log.clear()
                self._faults.clear()
            case _:
                return JSONResponse({"message": f"no control endpoint {what[0]} {what[1]}"}, 404)
        return JSONResponse({"ok": True})


async def _swallow(message: Message) -> None:
    """Takes an answer that nobody is to get."""


def _reset_connection(send: Send) -> None:
    """Drops the client's connection with RST. ASGI has no word for it; uvicorn binds `send` to the transport."""
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]  # a RequestResponseCycle
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def listen(port: int = 0) -> socket.socket:
    """A listening socket on 127.0.0.1.

    Args:
        port: the port, or 0 for a free one.

    Raises:
        OSError: somebody else has the port.
    """
    # With the protocol named: asyncio switches Nagle's algorithm off (which costs 40 ms a request) only where it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """A server for `app`, to be run with `run(sockets=[listen()])`. It logs nothing itself: `Controlled` does."""
    # Without `lifespan`: the stand-ins hold nothing that needs an orderly end. Without timeouts for idle
    # connections that are shorter than the clients': a close in the wrong moment looks like a fault of the service.
    return uvicorn.Server(
        uvicorn.Config(app, http="h11", lifespan="off", log_level="error", access_log=False, timeout_keep_alive=120)
    )


class Background:
    """A service in a thread of this process, for tests: `with Background(app) as url: ...`."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._listener = listen(port)
        self._server = server(app)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()
