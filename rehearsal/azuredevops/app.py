"""The Azure DevOps stand-in as one application."""

import shutil
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

# Each of these modules publishes its locations when it is imported.
from rehearsal.azuredevops import (
    agents,
    approvals,  # noqa: F401 - publishes its locations
    artifacts,  # noqa: F401 - publishes its locations
    build,  # noqa: F401 - publishes its locations
    checks,  # noqa: F401 - publishes its locations
    core,  # noqa: F401 - publishes its locations
    discovery,
    environments,  # noqa: F401 - publishes its locations
    git_rest,  # noqa: F401 - publishes its locations
    git_store,
    graph,  # noqa: F401 - publishes its locations
    identities,
    identity_rest,  # noqa: F401 - publishes its locations
    permissions,
    pipeline_permissions,  # noqa: F401 - publishes its locations
    policy,  # noqa: F401 - publishes its locations
    runs,  # noqa: F401 - publishes its locations
    security,  # noqa: F401 - publishes its locations
    service_endpoints,  # noqa: F401 - publishes its locations
    variable_groups,  # noqa: F401 - publishes its locations
)
from rehearsal.azuredevops.context import ORGANIZATION, Service
from rehearsal.azuredevops.errors import ServiceError, error_page
from rehearsal.azuredevops.git_http import GitRoute
from rehearsal.azuredevops.routing import LOCATIONS, LocationRoute
from rehearsal.pages import Lazy
from rehearsal.service import Controlled


def create_app(state: Path, *, control_token: str, credentials: dict[str, str]) -> ASGIApp:
    """The service, with its request log, faults and control endpoints.

    The organisation's URL is `http://127.0.0.1:PORT/rehearsal`.

    Args:
        state: the folder for the database and the repositories; made when it is missing.
        control_token: for the control endpoints, see `rehearsal.service`.
        credentials: personal access tokens by user key, see `users.KEYS`.
    """
    service = Service(state, credentials)

    def first_day() -> None:
        with service.store.transaction():
            if service.store.get("organization", ORGANIZATION) is None:
                identities.seed(service.store)
                permissions.seed(service.store)
                agents.seed(service.store)
                service.store.put("organization", ORGANIZATION, {"id": identities.HOST_ID})
        git_store.sweep(service)

    def reset() -> None:
        service.store.clear()
        for path in [*service.repositories.iterdir(), *service.artifacts.iterdir()]:
            shutil.rmtree(path, ignore_errors=True)
        first_day()

    first_day()
    routes: list[BaseRoute] = [OptionsRoute(service), GitRoute(service)]
    # The longer template first: `{*x}` at the end of a shorter one would take what is meant for it.
    ordered = sorted(LOCATIONS, key=lambda each: (each.template.count("/"), "{*" not in each.template), reverse=True)
    routes += [LocationRoute(each, service) for each in ordered]
    api = Router(routes, default=_not_found, redirect_slashes=False)

    def pages() -> ASGIApp:
        from rehearsal.pages.azuredevops import site  # noqa: PLC0415 - what it imports isn't needed before

        return site(api, credentials, control_token, service.repositories)

    router = Router(routes, default=Lazy(pages), redirect_slashes=False)
    return Controlled(router, control_token=control_token, reset=reset, error_page=error_page)


class OptionsRoute(BaseRoute):
    """`OPTIONS {organization}/_apis`: the published locations, on either host."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            return Match.NONE, {}
        hosts = {f"/{ORGANIZATION}/_apis": "organization", f"/vssps/{ORGANIZATION}/_apis": "vssps"}
        host = hosts.get(scope["path"].lower().rstrip("/"))
        return (Match.FULL, {"path_params": {"host": host}}) if host else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response: Response
        try:
            await run_in_threadpool(self._service.sign_in, request.headers.get("authorization"))
            value = discovery.locations(request.path_params["host"])
            response = JSONResponse({"count": len(value), "value": value})
        except ServiceError as error:
            response = error.response()
        await response(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    message = f"The controller for path '{scope['path']}' was not found or does not implement IController."
    response = ServiceError(404, message, "HttpException").response()
    await response(scope, receive, send)
