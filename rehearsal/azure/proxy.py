"""A proxy that knows Azure's names: whoever asks for one of them through it comes to a stand-in on this machine.

The real clients take no other names than Azure's own, and no connection but TLS. So they are told of a proxy, as in a
company (HTTPS_PROXY), and of the certificate by which it answers. Any other name it connects as it is asked to. A
request that isn't for a proxy goes to the Azure stand-in itself.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

_HEAD = b"\r\n\r\n"
_CHUNK = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Where names lead.

    Args:
        names: name -> says the port on 127.0.0.1, or None while nobody listens there.
        own: the port for requests that aren't for a proxy.
        trusted: the certificate for the names.
        upstream: the URL of the proxy through which all other names are reached; empty for none; None: they aren't.
    """

    names: Mapping[str, Callable[[], int | None]]
    own: int
    trusted: ssl.SSLContext
    upstream: str | None = ""


async def serve(listener: socket.socket, routes: Routes, started: Callable[[], None] = lambda: None) -> None:
    """Serves until it is cancelled.

    Args:
        listener: a listening socket.
        routes: where names lead.
        started: is called when it serves.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            await _answer((reader, writer), routes)
        writer.close()

    async with await asyncio.start_server(answer, sock=listener) as server:
        started()
        await server.serve_forever()


async def _answer(client: Streams, routes: Routes) -> None:
    reader, writer = client
    head = await reader.readuntil(_HEAD)
    method, _, rest = head.partition(b" ")
    if method != b"CONNECT":
        await _relay(client, await asyncio.open_connection("127.0.0.1", routes.own), head)
        return
    host, _, port = rest.partition(b" ")[0].decode("ascii", "replace").rpartition(":")
    if host not in routes.names:
        await _outside(client, routes, host, int(port), head)
        return
    target = routes.names[host]()
    if target is None:
        writer.write(b"HTTP/1.1 502 Bad Gateway" + _HEAD)
        return
    there = await asyncio.open_connection("127.0.0.1", target)
    writer.write(b"HTTP/1.1 200 Connection established" + _HEAD)
    await writer.drain()
    await writer.start_tls(routes.trusted)
    await _relay(client, there)


async def _outside(client: Streams, routes: Routes, host: str, port: int, head: bytes) -> None:
    if routes.upstream is None:
        client[1].write(b"HTTP/1.1 403 Forbidden" + _HEAD)
    elif routes.upstream:
        proxy = urlsplit(routes.upstream)
        await _relay(client, await asyncio.open_connection(proxy.hostname, proxy.port or 80), head)
    else:
        there = await asyncio.open_connection(host, port)
        client[1].write(b"HTTP/1.1 200 Connection established" + _HEAD)
        await _relay(client, there)


async def _relay(client: Streams, there: Streams, first: bytes = b"") -> None:
    """Carries bytes both ways until both have ended.

    Args:
        client, there: the ends.
        first: what the client has sent already.
    """
    there[1].write(first)

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK):
                target.write(chunk)
                await target.drain()
            target.close()

    ways: list[Awaitable[None]] = [carry(client[0], there[1]), carry(there[0], client[1])]
    try:
        await asyncio.gather(*ways)
    finally:
        there[1].close()


class Background:
    """A proxy in a thread of this process, for tests: `with Background(listener, routes): ...`."""

    def __init__(self, listener: socket.socket, routes: Routes) -> None:
        self._listener = listener
        self._routes = routes
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._task = self._loop.create_task(serve(self._listener, self._routes, self._started.set))
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._end_all())
        self._loop.close()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> "Background":
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)
