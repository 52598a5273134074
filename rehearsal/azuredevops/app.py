"""The Azure DevOps stand-in as one application."""

import shutil
from collections.abc import Callable
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
    artifacts,
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
    oidc,
    permissions,
    pipeline_permissions,  # noqa: F401 - publishes its locations
    policy,  # noqa: F401 - publishes its locations
    pull_requests,  # noqa: F401 - publishes its locations
    retention,  # noqa: F401 - publishes its locations
    runs,  # noqa: F401 - publishes its locations
    security,  # noqa: F401 - publishes its locations
    service_endpoints,  # noqa: F401 - publishes its locations
    tags,  # noqa: F401 - publishes its locations
    test_reports,  # noqa: F401 - publishes its locations
    test_results,  # noqa: F401 - publishes its locations
    users,
    variable_groups,  # noqa: F401 - publishes its locations
)
from rehearsal.azuredevops.context import ORGANIZATION, Service
from rehearsal.azuredevops.errors import ServiceError, error_page
from rehearsal.azuredevops.git_http import GitRoute
from rehearsal.azuredevops.routing import LOCATIONS, LocationRoute
from rehearsal.azuredevops.runs.orchestrator import Orchestrator
from rehearsal.azuredevops.runs.protocol import AgentRoute
from rehearsal.pages import Lazy
from rehearsal.service import Controlled


class Organization(Controlled):
    """The application, with its control endpoints. Whoever makes one closes it.

    Args:
        app: the service behind the front end.
        service: the state.
        orchestrator: carries runs on; None: nobody does.
        control_token, reset: see `rehearsal.service.Controlled`.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        orchestrator: Orchestrator | None,
        *,
        control_token: str,
        reset: Callable[[], None],
    ) -> None:
        super().__init__(app, control_token=control_token, reset=reset, error_page=error_page)
        self._service = service
        self._orchestrator = orchestrator

    def close(self) -> None:
        """Stops carrying runs on. They stay as they are; the next service with this state goes on with them."""
        if self._orchestrator is not None:
            self._orchestrator.close()
        self._service.store.close()


def create_app(
    state: Path,
    *,
    control_token: str,
    credentials: dict[str, str],
    orchestrate: bool = False,
    agent_timeout: float = 15.0,
) -> Organization:
    """The service, with its request log, faults and control endpoints.

    The organisation's URL is `http://127.0.0.1:PORT/rehearsal`.

    Args:
        state: the folder for the database and the repositories; made when it is missing.
        control_token: for the control endpoints, see `rehearsal.service`.
        credentials: personal access tokens by user key, see `users.KEYS`.
        orchestrate: carry runs out, and start those that triggers ask for. Otherwise runs are accepted and wait.
        agent_timeout: seconds without a word from an agent, after which its jobs are given up.
    """
    service = Service(state, credentials, orchestrated=orchestrate)

    def first_day() -> None:
        with service.store.transaction():
            if service.store.get("organization", ORGANIZATION) is None:
                identities.seed(service.store)
                permissions.seed(service.store)
                agents.seed(service.store)
                service.store.put("organization", ORGANIZATION, {"id": identities.HOST_ID})
        git_store.sweep(service)
        artifacts.sweep(service)

    def reset() -> None:
        service.store.clear()
        for path in service.repositories.iterdir():
            shutil.rmtree(path, ignore_errors=True)
        first_day()

    first_day()
    orchestrator = Orchestrator(service, agent_timeout) if orchestrate else None
    routes: list[BaseRoute] = [OptionsRoute(service), GitRoute(service), *oidc.routes(service)]
    routes.append(AgentRoute(service, credentials.get(users.AGENT), orchestrator))
    # The longer template first: `{*x}` at the end of a shorter one would take what is meant for it.
    ordered = sorted(LOCATIONS, key=lambda each: (each.template.count("/"), "{*" not in each.template), reverse=True)
    routes += [LocationRoute(each, service) for each in ordered]
    api = Router(routes, default=_not_found, redirect_slashes=False)

    def pages() -> ASGIApp:
        from rehearsal.pages.azuredevops import site  # noqa: PLC0415 - what it imports isn't needed before

        return site(api, credentials, control_token, service.repositories)

    router = Router(routes, default=Lazy(pages), redirect_slashes=False)
    return Organization(router, service, orchestrator, control_token=control_token, reset=reset)


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
