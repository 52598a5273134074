"""What an agent says to the service, and what it gets. Microsoft's own protocol isn't documented; this one is simple.

Below `/{organization}/_agent/`, with `Authorization: Bearer` and the token of `users.AGENT`:

    POST next                            {"agent", "pool", "wait"}: waits so many seconds for a job (15, if nothing is
                                         said, and at most): 204, or a `JobRequest`
    POST jobs/{id}/heartbeat             every 2 s: {"cancel": bool}
    POST jobs/{id}/timeline              {"records": [...]}: how the steps stand
    POST jobs/{id}/logs/{record}/{line}  text, put at the end of the record's log; its first line is this one, from 0
    PUT  jobs/{id}/artifacts/{name}      a zip file
    POST jobs/{id}/attachments/{type}/{name}    bytes: `summary` (Markdown), `coverage` (Cobertura XML)
    POST jobs/{id}/finish                {"result", "outputs": {key: {"value", "secret"}}}
"""

import hmac
import json
import re
import time
import traceback
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from rehearsal.azuredevops import artifacts
from rehearsal.azuredevops.context import ORGANIZATION, Service
from rehearsal.azuredevops.errors import ServiceError, error_page, invalid
from rehearsal.azuredevops.routing import PatternRoute
from rehearsal.azuredevops.runs import attachments, hand_out, logs, timeline
from rehearsal.azuredevops.runs.orchestrator import Orchestrator

_PATH = re.compile(rf"/{ORGANIZATION}/_agent/(?P<what>next|jobs/(?P<job>[^/]+)/(?P<call>[^/]+)(?:/(?P<rest>.+))?)")
_PATIENCE = 15.0  # seconds for which an agent waits for a job
_LOOK = 1.0  # seconds after which it is seen that the agent has gone: a job must not go to nobody
_METHODS = {"artifacts": "PUT"}


class AgentRoute(PatternRoute):
    """Serves the agents.

    Args:
        service: the organisation.
        token: what agents sign in with; None: there is none, so nobody can.
        orchestrator: says when there may be work; None: there never is any.
    """

    def __init__(self, service: Service, token: str | None, orchestrator: Orchestrator | None) -> None:
        super().__init__(_PATH)
        self._service = service
        self._token = token
        self._orchestrator = orchestrator

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ServiceError as error:
            response = error.response()
        except Exception:  # noqa: BLE001 - the agent gets a 500 and tries again; the log has the traceback
            traceback.print_exc()
            body, media = error_page(500)
            response = Response(body, 500, media_type=media)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token is None or not hmac.compare_digest(given.encode(), self._token.encode()):
            raise ServiceError(401, "The agent's token is missing or wrong.", "UnauthorizedRequestException")
        body = await request.body()
        if request.path_params["what"] == "next":
            return await self._next(request, _document(body))
        call, rest = request.path_params["call"], request.path_params["rest"] or ""
        handler = _CALLS.get(call)
        if handler is None or request.method != _METHODS.get(call, "POST"):
            raise ServiceError(404, f"There is no {request.method} {request.url.path}.", "HttpException")
        answer = await run_in_threadpool(handler, self._service, request.path_params["job"], rest, body)
        return JSONResponse(answer)

    async def _next(self, request: Request, body: dict[str, object]) -> Response:
        agent, pool = str(body.get("agent") or ""), body.get("pool")
        if not agent or self._orchestrator is None:
            raise invalid("An agent needs a name, and a service that carries out runs.")
        origin = f"{request.url.scheme}://{request.url.netloc}"
        name, given = str(pool) if pool else None, body.get("wait")
        patience = min(_PATIENCE, float(given)) if isinstance(given, int | float) else _PATIENCE
        end = time.monotonic() + patience
        while not await request.is_disconnected():
            found = await run_in_threadpool(hand_out.take, self._service, agent, name, origin)
            if found is not None:
                return JSONResponse(found.to_json())
            left = end - time.monotonic()
            if left <= 0 or not await self._orchestrator.wait(min(left, _LOOK)):
                break
        return Response(status_code=204)


def _document(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise invalid("The body is not a JSON object.")
    return found


def _heartbeat(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    del rest, body
    return {"cancel": hand_out.heartbeat(service, job)}


def _timeline(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    del rest
    records = _document(body).get("records")
    if not isinstance(records, list):
        raise invalid("The records are missing.")
    timeline.keep(service, job, records)
    return {}


def _log(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    record, _, line = rest.rpartition("/")
    if not record or not line.isdecimal():
        raise invalid("The record is missing, or the number of the first line.")
    return {"id": logs.append(service, job, record, int(line), body)}


def _artifact(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    there, _, _ = hand_out.find(service, job)
    kept = artifacts.keep(service, there["project"], there["run"], rest, body, source=job)
    return {"id": kept["id"], "name": kept["name"]}


def _attachment(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    kind, _, name = rest.partition("/")
    attachments.keep(service, job, kind, name, body)
    return {}


def _finish(service: Service, job: str, rest: str, body: bytes) -> dict[str, object]:
    del rest
    given = _document(body)
    result, outputs = given.get("result"), given.get("outputs") or {}
    if result not in hand_out.RESULTS or not isinstance(outputs, dict):
        raise invalid(f"The result is one of {', '.join(hand_out.RESULTS)}, the outputs are an object.")
    hand_out.finish(service, job, str(result), outputs)
    return {}


_CALLS: dict[str, Callable[[Service, str, str, bytes], dict[str, object]]] = {
    "heartbeat": _heartbeat,
    "timeline": _timeline,
    "logs": _log,
    "artifacts": _artifact,
    "attachments": _attachment,
    "finish": _finish,
}
