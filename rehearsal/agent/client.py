"""What an agent says to the service: the rehearsal's own protocol, and the REST interface with a job's token."""

import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from rehearsal.agent.messages import JobRequest, Json

Answer = TypeVar("Answer")

ORGANIZATION = "rehearsal"
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.5
_POLL_SECONDS = 40.0  # `next` is held for 15 s by the service
_BUSY = frozenset({429, 500, 502, 503, 504})
_API = "7.1"


class ServiceRefusalError(Exception):
    """The service refuses a call. `status` as in HTTP; the message is the service's.

    `repeated`: it was sent before, and whether it had an effect then isn't known.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.repeated = False


class ServiceAwayError(Exception):
    """The service can't be reached, or doesn't answer in time."""


@dataclass
class Patience:
    """How many seconds the service may be away before a call fails. It can be lowered while calls are under way."""

    seconds: float = _PATIENCE_SECONDS


class AgentClient:
    """The agent's side of the protocol. Safe to use from several threads.

    Args:
        server: the service's origin, e.g. `http://127.0.0.1:8080`.
        token: the agent's own.
        patience: for the calls of jobs.
    """

    def __init__(self, server: str, token: str, patience: Patience | None = None) -> None:
        self.server = server.rstrip("/")
        self.organization = f"{self.server}/{ORGANIZATION}"
        self.patience = patience or Patience()
        self._connection: socket.socket | None = None
        # Without `trust_env` no proxy of the user's comes in between.
        self._http = httpx.Client(
            base_url=f"{self.organization}/_agent/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_POLL_SECONDS,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def hang_up(self) -> None:
        """Breaks off a question for a job: the service would give one to an agent that doesn't listen any more."""
        if self._connection is not None:
            with contextlib.suppress(OSError):  # it has been closed already
                self._connection.shutdown(socket.SHUT_RDWR)

    def _note_connection(self, event: str, info: Mapping[str, Any]) -> None:
        # https://www.python-httpx.org/advanced/extensions/#trace; closing alone doesn't wake the one who waits.
        if event == "connection.connect_tcp.complete":
            self._connection = info["return_value"].get_extra_info("socket")

    def next(self, agent: str, pool: str | None) -> JobRequest | None:
        """The next job for this agent; waits for one, and gives None if none comes soon.

        Raises:
            ServiceAwayError, ServiceRefusalError: as they say. Nothing is tried again.
        """
        body, extensions = {"agent": agent, "pool": pool}, {"trace": self._note_connection}
        answer = _sent(self._http, "POST", "next", json=body, extensions=extensions)
        return JobRequest.from_json(answer.json()) if answer.status_code == httpx.codes.OK else None

    def heartbeat(self, job: str) -> bool:
        """Says that the job goes on; gives whether it is to be cancelled. Nothing is tried again."""
        return bool(_sent(self._http, "POST", f"jobs/{job}/heartbeat", json={}).json().get("cancel"))

    def timeline(self, job: str, records: list[Json]) -> None:
        """How steps stand."""
        self._call("POST", f"jobs/{job}/timeline", json={"records": records})

    def log(self, job: str, record: str, line: int, text: str) -> None:
        """Adds lines to the log of a step. `line` is the number of the first one, from 0: none gets there twice."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        self._call("POST", f"jobs/{job}/logs/{record}/{line}", content=text.encode(), headers=headers)

    def artifact(self, job: str, name: str, archive: Path) -> None:
        """Publishes an artifact, which comes as a zip file."""
        path, headers = f"jobs/{job}/artifacts/{quote(name, safe='')}", {"Content-Type": "application/zip"}
        try:
            self._call("PUT", path, content=archive.read_bytes(), headers=headers)
        except ServiceRefusalError as error:
            if not (error.repeated and error.status == httpx.codes.CONFLICT):  # it has arrived, but not its answer
                raise

    def attachment(self, job: str, kind: str, name: str, content: bytes) -> None:
        """Attaches something to the run."""
        path = f"jobs/{job}/attachments/{quote(kind, safe='')}/{quote(name, safe='')}"
        self._call("POST", path, content=content, headers={"Content-Type": "application/octet-stream"})

    def finish(self, job: str, result: str, outputs: Json) -> None:
        """How the job ended."""
        self._call("POST", f"jobs/{job}/finish", json={"result": result, "outputs": outputs})

    def _call(self, method: str, path: str, **arguments: Any) -> None:
        patiently(lambda: _sent(self._http, method, path, **arguments), self.patience)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Read once for all jobs: the certificates of the authorities take longer to read than an empty step takes."""
    return httpx.create_ssl_context(trust_env=False)


class RestClient:
    """The service's REST interface, with the rights of a job's token."""

    def __init__(self, organization: str, project: str, token: str, patience: Patience) -> None:
        self._patience = patience
        self._http = httpx.Client(
            base_url=f"{organization}/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_POLL_SECONDS,
            trust_env=False,
            verify=_tls(),
            follow_redirects=True,
        )
        self._project = quote(project)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, project: str | None = None, json: Any = None, **query: str) -> Any:
        """Calls `{project}/_apis/{path}`, again while the service is away; gives the answer.

        Raises:
            ServiceRefusalError: the service says no.
            ServiceAwayError: it doesn't answer.
        """
        return patiently(lambda: self._asked(method, path, project, json, query), self._patience)

    def add(self, path: str, json: Any, find: Callable[[], Any]) -> Any:
        """Adds something by POST, once; gives the answer.

        Args:
            path: as in `call`.
            json: what is to be added.
            find: looks, before the request is sent again, whether it has had its effect and only the answer was lost;
                gives what then counts as the answer, or None.

        Raises:
            ServiceRefusalError, ServiceAwayError: as `call`.
        """
        return patiently(lambda: self._asked("POST", path, None, json, {}), self._patience, find)

    def _asked(self, method: str, path: str, project: str | None, json: Any, query: Mapping[str, str]) -> Any:
        where = f"{quote(project) if project else self._project}/_apis/{path}"
        answer = _sent(self._http, method, where, json=json, params={"api-version": _API, **query})
        return answer.json() if answer.content else None

    def download(self, url: str, file: Path) -> None:
        """Keeps what is at an address that the service gave.

        Raises:
            ServiceRefusalError, ServiceAwayError: as they say.
        """
        file.write_bytes(patiently(lambda: _sent(self._http, "GET", url).content, self._patience))


def patiently(
    send: Callable[[], Answer], patience: Patience, find: Callable[[], Answer | None] | None = None
) -> Answer:
    """Sends a request, and again while the service is away or busy, as long as the patience lasts.

    Not again if `find` finds what it has done: see `RestClient.add`.
    """
    began, repeated = time.monotonic(), False
    while True:
        try:
            found = find() if find and repeated else None
            return send() if found is None else found
        except ServiceRefusalError as error:
            error.repeated = repeated
            raise
        except ServiceAwayError:
            if time.monotonic() >= began + patience.seconds:
                raise
        repeated = True
        time.sleep(_PAUSE_SECONDS)


def _sent(http: httpx.Client, method: str, path: str, **arguments: Any) -> httpx.Response:
    try:
        answer = http.request(method, path, **arguments)
    except httpx.HTTPError as error:
        raise ServiceAwayError(f"The service can't be reached: {type(error).__name__} {error}") from error
    if answer.status_code in _BUSY:
        raise ServiceAwayError(f"The service is busy: {answer.status_code}")
    if not answer.is_success:
        raise ServiceRefusalError(answer.status_code, _message(answer))
    return answer


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip() or f"{answer.status_code} {answer.reason_phrase}"
