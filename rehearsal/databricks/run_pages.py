"""The pages that people look at: a run with its tasks, and what each task showed.

A browser signs in by HTTP Basic: user name (or the rehearsal's short name of the user) and token. Nothing in the pages
runs or loads anything.
"""

import base64
import binascii
import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from rehearsal.databricks import notifications, run_documents, run_shapes, runs
from rehearsal.databricks.auth import Tokens
from rehearsal.databricks.calls import Call
from rehearsal.databricks.compute import Compute
from rehearsal.databricks.errors import ApiError
from rehearsal.store import Document, Store

if TYPE_CHECKING:
    import jinja2

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; form-action 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FILES = {"page.html": "text/html; charset=utf-8", "stdout": "text/plain", "stderr": "text/plain"}
_MAX_TEXT = 5 * 1024 * 1024  # bytes of output shown, the last ones


class Pages:
    """Serves them.

    Args:
        store, tokens, compute: those of the service.
    """

    def __init__(self, store: Store, tokens: Tokens, compute: Compute) -> None:
        self._store = store
        self._tokens = tokens
        self._compute = compute

    @property
    def routes(self) -> list[Route]:
        base = "/jobs/{job_id:int}/runs/{run_id:int}"
        return [Route(base, self._run), Route(f"{base}/tasks/{{task_run_id:int}}/{{name}}", self._file)]

    async def _run(self, request: Request) -> Response:
        found = self._find(request)
        if isinstance(found, Response):
            return found
        page = _template().render(**_content(self._store, self._compute, found))
        return HTMLResponse(page, headers=_HEADERS)

    async def _file(self, request: Request) -> Response:
        run = self._find(request)
        if isinstance(run, Response):
            return run
        number, name = request.path_params["task_run_id"], request.path_params["name"]
        attempt = next((each for each in run["attempts"] if each["run_id"] == number), None)
        file = self._compute.runs / attempt["folder"] / name if attempt and name in _FILES else None
        if file is None or not file.is_file():
            return PlainTextResponse("There is no such page.", 404, _HEADERS)
        data = file.read_bytes()
        kind = _FILES[name]
        return Response(data if name == "page.html" else data[-_MAX_TEXT:], headers=_HEADERS, media_type=kind)

    def _find(self, request: Request) -> Document | Response:
        """The run, if the caller may see it; whoever may not learns nothing about whether there is one."""
        try:
            caller = self._tokens.caller(self._store, _bearer(request.headers.get("authorization")))
        except ApiError as error:
            # 401 in any case: a browser asks again only then.
            headers = _HEADERS | {"WWW-Authenticate": 'Basic realm="Databricks rehearsal", charset="UTF-8"'}
            return PlainTextResponse(error.message, 401, headers)
        user = _user(request.headers.get("authorization"))
        if user is not None and not self._tokens.is_user(caller, user):
            headers = _HEADERS | {"WWW-Authenticate": 'Basic realm="Databricks rehearsal", charset="UTF-8"'}
            return PlainTextResponse("The token is not this user's.", 401, headers)
        run = self._store.get("run", str(request.path_params["run_id"]))
        call = Call(self._store, caller, {}, {}, {}, None, "", self._compute)
        known = run is not None and run["job_id"] == request.path_params["job_id"]
        if run is None or not known or not runs.may(call, run, "CAN_VIEW"):
            return PlainTextResponse("There is no such run, or you may not see it.", 404, _HEADERS)
        return run


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, token = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, token


def _bearer(authorization: str | None) -> str | None:
    basic = _basic(authorization)
    return authorization if basic is None else f"Bearer {basic[1]}"


def _user(authorization: str | None) -> str | None:
    basic = _basic(authorization)
    return None if basic is None else basic[0]


@functools.cache
def _template() -> "jinja2.Template":
    import jinja2  # noqa: PLC0415 - takes a tenth of the time that the service needs to start

    # A value that isn't there is a mistake of ours, not an empty place in the page.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((Path(__file__).parent / "run_page.html.j2").read_text())


def _content(store: Store, compute: Compute, run: Document) -> Document:
    shown = run_shapes.run(store, run, history=True, resolved=True)
    rows = []
    for task in shown["tasks"]:
        folder = next(compute.runs / each["folder"] for each in run["attempts"] if each["run_id"] == task["run_id"])
        attempt = next(each for each in run["attempts"] if each["run_id"] == task["run_id"])
        files = [name for name in _FILES if (folder / name).is_file() and (folder / name).stat().st_size]
        rows.append(
            {
                "key": task["task_key"],
                "notebook": (task.get("notebook_task") or {}).get("notebook_path", ""),
                "after": ", ".join(each["task_key"] for each in task.get("depends_on") or []),
                "run_if": task["run_if"],
                "attempt": task["attempt_number"],
                "run_id": task["run_id"],
                "state": _state(task),
                "message": task["state"]["state_message"],
                "error": attempt["output"].get("error") or "",
                "start": _time(task["start_time"]),
                "duration": _duration(attempt["start_time"], attempt["end_time"]),
                "parameters": attempt["parameters"] or {},
                "files": files,
            }
        )
    return {
        "name": run["name"],
        "job_id": run["job_id"],
        "run_id": run["run_id"],
        "state": _state(shown),
        "message": shown["state"]["state_message"],
        "creator": run["creator"],
        "run_as": run_shapes.run_as(store, run),
        "start": _time(run["start_time"]),
        "duration": _duration(run["start_time"], run["end_time"]),
        "parameters": {each["name"]: each.get("value", each["default"]) for each in run["job_parameters"]},
        "repairs": len(run["repairs"]) - 1,
        "rows": rows,
        "notices": [each | {"time": _time(each["at"])} for each in notifications.of_run(store, run["run_id"])],
    }


def _state(shown: Document) -> str:
    return str(shown["state"].get("result_state") or shown["state"]["life_cycle_state"])


def _time(milliseconds: int) -> str:
    if not milliseconds:
        return ""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(start: int, end: int) -> str:
    if not start:
        return ""
    return f"{((end or run_documents.now()) - start) / 1000:.1f} s"
