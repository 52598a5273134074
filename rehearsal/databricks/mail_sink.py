"""A mail server on loopback that keeps every mail as a file and sends none on."""

import asyncio
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.service import listen

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session


class MailSink:
    """The server; it starts when its address is asked for.

    Args:
        folder: gets a file `TIME-NUMBER.eml` for each mail, its envelope in two headers before it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._address: tuple[str, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._count = 0

    def address(self) -> tuple[str, int]:
        """Host and port."""
        with self._lock:
            if self._address is None:
                self._address = self._start()
            return self._address

    def close(self) -> None:
        """Ends the server."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop = None

    async def handle_DATA(self, server: "SMTP", session: "Session", envelope: "Envelope") -> str:  # noqa: N802, ARG002 - the name and arguments that aiosmtpd calls
        """Keeps a mail; what aiosmtpd calls."""
        self._count += 1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}-{self._count}.eml"
        head = f"X-MailFrom: {envelope.mail_from}\r\nX-RcptTo: {', '.join(envelope.rcpt_tos)}\r\n"
        content = envelope.content or b""
        body = content if isinstance(content, bytes) else content.encode()
        fresh = self._folder / f".{name}"
        fresh.write_bytes(head.encode() + body)
        fresh.replace(self._folder / name)
        return "250 Message accepted for delivery"

    def _start(self) -> tuple[str, int]:
        from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - most workspaces never send a mail, and it takes time to import

        loop = asyncio.new_event_loop()
        listener = listen()
        server = loop.run_until_complete(
            loop.create_server(lambda: SMTP(self, hostname="rehearsal.example", loop=loop), sock=listener)
        )

        def serve() -> None:
            try:
                loop.run_forever()
            finally:
                server.close()
                for each in asyncio.all_tasks(loop):
                    each.cancel()
                loop.run_until_complete(asyncio.sleep(0))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

        self._loop = loop
        self._thread = threading.Thread(target=serve, name="mail", daemon=True)
        self._thread.start()
        host, port = listener.getsockname()
        return str(host), int(port)
