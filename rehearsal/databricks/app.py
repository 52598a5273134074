"""The service: routes, authentication, one transaction a request, errors in the service's shapes."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rehearsal.databricks import (
    destinations,
    files,
    jobs,
    permissions,
    principal_credentials,
    principals,
    runs,
    scim,
    secrets,
    tree,
    workspace,
)
from rehearsal.databricks.auth import Tokens
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.compute import Compute
from rehearsal.databricks.entra import Authority, EntraTokens
from rehearsal.databricks.errors import ApiError, ScimError
from rehearsal.databricks.notifications import ORG_ID
from rehearsal.databricks.oauth import TokenEndpoint
from rehearsal.databricks.run_pages import Pages
from rehearsal.databricks.scheduler import Scheduler
from rehearsal.pages import Lazy
from rehearsal.service import Controlled
from rehearsal.store import Document, Store

_ENDPOINTS: tuple[Endpoint, ...] = (
    *workspace.ENDPOINTS,
    *permissions.ENDPOINTS,
    *scim.ENDPOINTS,
    *jobs.ENDPOINTS,
    *runs.ENDPOINTS,
    *files.ENDPOINTS,
    *destinations.ENDPOINTS,
    *secrets.ENDPOINTS,
    *principal_credentials.ENDPOINTS,
)

# Where a body is nothing but a file.
_BYTES = ("/api/2.0/workspace-files/", "/api/2.0/fs/files/")

# A multipart form keeps what isn't sent as a file in memory; it may hold the longest content that import takes.
_MAX_FORM_FIELD = 16 * 1024 * 1024


class Service(Controlled):
    """The stand-in, with what has to be ended at the end.

    Args:
        app: the service behind the front end.
        scheduler: runs the jobs.
        store: the state.
        control_token: what the control endpoints ask for.
    """

    def __init__(self, app: ASGIApp, scheduler: Scheduler, store: Store, *, control_token: str) -> None:
        super().__init__(
            app,
            control_token=control_token,
            reset=lambda: scheduler.reset(lambda: _reset(store)),
            error_page=_error_page,
        )
        self._scheduler = scheduler
        self._store = store

    def close(self) -> None:
        """Ends the runs, their processes, the clusters and the mail server."""
        self._scheduler.close()
        self._store.close()


def create_app(
    state: Path,
    *,
    control_token: str,
    credentials: Mapping[str, str],
    compute: Compute | None = None,
    authority: Callable[[], Authority | None] = lambda: None,
) -> Service:
    """The Databricks stand-in: one workspace.

    Args:
        state: the folder of the state; the service keeps it in `databricks.sqlite` there.
        control_token: what the control endpoints below `/_rehearsal/` ask for.
        credentials: the token of each user key of `users.py`.
        compute: where and with which programs jobs run; by default in the folder of the state, on Spark.
        authority: whose tokens get service principals in, if anybody's.

    Raises:
        ValueError: a credential is of no known user.
    """
    store = Store(state / "databricks.sqlite")
    entra = EntraTokens(authority)
    tokens = Tokens(credentials, entra)
    compute = compute or Compute.below(state)
    if store.get("login", "administrator") is None:
        _reset(store)
    scheduler = Scheduler(store, compute)
    front = _Front(store, tokens, compute, scheduler)
    service = Starlette(
        routes=[
            Route("/.well-known/databricks-config", _host_metadata),
            Route("/aad/auth", entra.sign_in),
            *TokenEndpoint(store).routes,
            *(Route(each.path, front.endpoint(each), methods=[each.method]) for each in _ENDPOINTS),
            *Pages(store, tokens, compute).routes,
        ],
        exception_handlers={
            ApiError: _answer_error,
            ScimError: _answer_error,
            HTTPException: _answer_unknown_endpoint,
            Exception: _answer_failure,
        },
    )

    def pages() -> ASGIApp:
        from rehearsal.pages.databricks import site  # noqa: PLC0415 - what it imports isn't needed before

        return site(service, credentials, control_token)

    front_door = _with_org_id(_with_pages(service, Lazy(pages)))
    return Service(front_door, scheduler, store, control_token=control_token)


def _reset(store: Store) -> None:
    with store.transaction():
        store.clear()
        principals.seed(store)
        tree.seed(store)


class _Front:
    """From a request to its handler and back."""

    def __init__(self, store: Store, tokens: Tokens, compute: Compute, scheduler: Scheduler) -> None:
        self._store = store
        self._tokens = tokens
        self._compute = compute
        self._scheduler = scheduler

    def endpoint(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            caller = self._tokens.caller(self._store, request.headers.get("authorization"))
            body, raw = await _read(request)
            host = str(request.base_url).rstrip("/")
            call = Call(self._store, caller, request.query_params, request.path_params, body, raw, host, self._compute)
            # A handler runs from its beginning to its end without another in between: it never waits for anything.
            if endpoint.method == "GET":
                result = endpoint.handler(call)
            else:
                with self._store.transaction():
                    result = endpoint.handler(call)
                if "/jobs/" in endpoint.path:
                    self._scheduler.wake()
            return result if isinstance(result, Response) else JSONResponse(result)

        return answer


async def _host_metadata(request: Request) -> Response:
    """What the newest clients ask before anything else, without a token: what kind of host this is."""
    return JSONResponse({"oidc_endpoint": f"{request.base_url}oidc", "workspace_id": str(ORG_ID), "cloud": "Azure"})


async def _read(request: Request) -> tuple[Document, bytes | None]:
    """The fields of the body, and the bytes in it that are not JSON."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        async with request.form(max_part_size=_MAX_FORM_FIELD) as form:
            raw = None
            fields: Document = {}
            for name, value in form.items():
                if isinstance(value, UploadFile):
                    raw = await value.read()
                elif name == "content":
                    raw = value.encode()
                else:
                    fields[name] = value
            return fields, raw
    raw = await request.body()
    if not raw or request.url.path.startswith(_BYTES):
        return {}, raw
    try:
        body: Any = json.loads(raw)
    except ValueError:
        raise ApiError(400, "MALFORMED_REQUEST", "Invalid JSON given in the body of the request") from None
    if not isinstance(body, dict):
        raise ApiError(400, "MALFORMED_REQUEST", "Invalid JSON given in the body of the request - expected a map")
    return body, None


async def _answer_error(_: Request, error: Exception) -> Response:
    match error:
        case ScimError():
            return JSONResponse(error.body(), error.status, media_type="application/scim+json")
        case ApiError():
            # The reason phrase is what the front end repeats in this header.
            headers = {"X-Databricks-Reason-Phrase": error.message} if isinstance(error.code, int) else None
            return JSONResponse(error.body(), error.status, headers)
    raise error


async def _answer_failure(request: Request, _: Exception) -> Response:
    """A mistake in the stand-in itself. The server logs it after this answer."""
    words = f"There was an internal error handling request {request.method} to {request.url.path}."
    return JSONResponse(ApiError(500, "INTERNAL_ERROR", words).body(), 500)


async def _answer_unknown_endpoint(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException) or error.status_code not in (404, 405):
        status = error.status_code if isinstance(error, HTTPException) else 500
        return JSONResponse(ApiError(status, "BAD_REQUEST", str(error)).body(), status)
    path = request.url.path.removeprefix("/api")
    body = ApiError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {path}'").body()
    return JSONResponse(body, 404)


_PAGES = re.compile(r"/|/_signin|/_signout|/_pages/.*|/browse(/.*)?|/jobs/?|/jobs/\d+|/status/?")
_RUN_PAGES = re.compile(r"/jobs/\d+/runs/.*")


def _with_pages(api: ASGIApp, pages: ASGIApp) -> ASGIApp:
    """What people look at. The page of a run has a sign-in of its own, too, for whoever sends a header."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and bool(_PAGES.fullmatch(scope["path"]))
        if scope["type"] == "http" and _RUN_PAGES.fullmatch(scope["path"]):
            headers = dict(scope["headers"])
            wanted = b"authorization" not in headers and b"text/html" in headers.get(b"accept", b"")
        await (pages if wanted else api)(scope, receive, send)

    return answer


def _with_org_id(app: ASGIApp) -> ASGIApp:
    """The service names the workspace in every answer, whether that is an error or not."""
    header = (b"x-databricks-org-id", str(ORG_ID).encode())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def naming(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await app(scope, receive, naming)

    return answer


# What the front end says when the request never reached the service. The client repeats a 429 and a 503 without
# reading these; of the others it shows error_code and message.
_FRONT_END = {
    429: ("REQUEST_LIMIT_EXCEEDED", "Your requests are being rate limited. Please retry after some time."),
    500: ("INTERNAL_ERROR", "There was an internal error handling the request. Please try again later."),
    502: ("INTERNAL_ERROR", "Bad gateway."),
    503: ("TEMPORARILY_UNAVAILABLE", "The service is temporarily unavailable. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The service did not answer in time."),
}


def _error_page(status: int) -> tuple[bytes, str]:
    code, message = _FRONT_END.get(status, ("UNKNOWN", f"Error {status}"))
    return json.dumps({"error_code": code, "message": message}).encode(), "application/json"
