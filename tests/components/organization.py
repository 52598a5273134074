"""A few URLs of Azure DevOps on loopback, to be looked at and deleted from."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Organization:
    """Lists of things by their path, and single things.

    A GET of a list gives its things as `value`; a DELETE of `{list}/{id}` takes the thing out. `fail_next` makes the
    next requests fail with a status. All requests are noted, with their query and their token.
    """

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.things: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.tokens: set[str] = set()
        self.fail_next: list[int] = []
        self.url = ""

    def deleted(self) -> list[str]:
        """The paths that were deleted, in order."""
        return [path for method, path, _ in self.requests if method == "DELETE"]

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        """The status and the body of the answer."""
        if self.fail_next:
            return self.fail_next.pop(0), {"message": "fault"}
        above, _, last = path.rpartition("/")
        if method == "DELETE" and above in self.lists:
            before = len(self.lists[above])
            self.lists[above] = [thing for thing in self.lists[above] if last not in map(str, thing.values())]
            return (204, None) if len(self.lists[above]) < before else (404, {"message": "gone"})
        if path in self.things:
            return 200, self.things[path]
        if path in self.lists:
            return 200, {"count": len(self.lists[path]), "value": self.lists[path]}
        return 404, {"message": "there is no such thing"}


@contextmanager
def served() -> Iterator[Organization]:
    """Serves an empty organisation on a free port of loopback."""
    organization = Organization()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

        def _answer(self) -> None:
            url = urlsplit(self.path)
            path = url.path.lstrip("/")
            organization.requests.append((self.command, path, dict(parse_qsl(url.query))))
            kind, _, encoded = (self.headers["Authorization"] or "").partition(" ")
            if kind == "Basic":
                organization.tokens.add(base64.b64decode(encoded).decode().partition(":")[2])
            status, body = organization.answer(self.command, path)
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        organization.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield organization
        finally:
            server.shutdown()
            thread.join()
