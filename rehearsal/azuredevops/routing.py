"""Routes as the service publishes them: a location id, a template, and what each method does there.

The clients of Azure DevOps know no paths. They ask `OPTIONS {organization}/_apis` which template belongs to a
location id and fill that in. So one table serves both: the answer to that question, and the routing itself.
"""

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from rehearsal.azuredevops.context import ORGANIZATION, Call, Service
from rehearsal.azuredevops.errors import ServiceError, error_page

Answer: TypeAlias = Response | Mapping[str, Any] | list[Any] | None
Handler: TypeAlias = Callable[[Call], Answer]


@dataclass(kw_only=True)
class Location:
    """One published location.

    Args:
        id: the id under which clients ask for it.
        area, resource: the names that `{area}` and `{resource}` stand for.
        template: below the organisation; `{project}` and a `{name}` at its end may be left out.
        version: the newest version of the resource; clients never ask for a newer one than this.
        complete: the value at the end of the template must not be missing: another location stands for that.
        host: `organization`, or `vssps` for what the real service keeps on another host.
    """

    id: str
    area: str
    resource: str
    template: str
    version: int = 7
    complete: bool = False
    host: str = "organization"
    handlers: dict[str, Handler] = field(default_factory=dict)

    def on(self, *methods: str) -> Callable[[Handler], Handler]:
        """Names the function that answers these methods here."""

        def add(handler: Handler) -> Handler:
            self.handlers.update(dict.fromkeys(methods, handler))
            return handler

        return add

    def described(self) -> dict[str, Any]:
        """As the answer to `OPTIONS _apis` has it. All fields are there: the Go client reads each without a look."""
        return {
            "id": self.id,
            "area": self.area,
            "resourceName": self.resource,
            "routeTemplate": self.template,
            "resourceVersion": self.version,
            "minVersion": "1.0",
            "maxVersion": "7.2",
            "releasedVersion": "7.1",
        }


LOCATIONS: list[Location] = []


def location(
    area: str, resource: str, template: str, id_: str, *, complete: bool = False, host: str = "organization"
) -> Location:
    """Publishes a location; see `Location` for the arguments."""
    made = Location(id=id_, area=area, resource=resource, template=template, complete=complete, host=host)
    LOCATIONS.append(made)
    return made


def _pattern(there: Location) -> re.Pattern[str]:
    """What a request's path looks like. Its project may be missing, and its last value; the others may not."""
    segments = there.template.replace("{area}", there.area).replace("{resource}", there.resource).split("/")
    pattern = ""
    for number, segment in enumerate(segments):
        name = segment.strip("{}*")
        if not segment.startswith("{"):
            pattern += "/" + re.escape(segment)
            continue
        value = f"/(?P<{name}>{'.+' if segment.startswith('{*') else '[^/]+'})"
        optional = name == "project" or (number == len(segments) - 1 and not there.complete)
        pattern += f"(?:{value})?" if optional else value
    prefix = "/vssps" if there.host == "vssps" else ""
    # Organisations, areas and resources are written in any case by one client or the other.
    return re.compile(f"{prefix}/{ORGANIZATION}{pattern}/?", re.IGNORECASE)


class PatternRoute(BaseRoute):
    """What is served below paths that a pattern matches as a whole. Its groups are the request's `path_params`."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self._pattern.fullmatch(scope["path"]) if scope["type"] == "http" else None
        return (Match.FULL, {"path_params": found.groupdict()}) if found else (Match.NONE, {})


class LocationRoute(BaseRoute):
    """Serves one location: signs the user in, runs the handler in a thread, words its errors."""

    def __init__(self, there: Location, service: Service) -> None:
        self._location = there
        self._service = service
        self._pattern = _pattern(there)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self._pattern.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return Match.NONE, {}
        given = {name: value for name, value in found.groupdict().items() if value is not None}
        # The same path may be the place of two locations, as with and without a project; the method decides then.
        return (Match.FULL if scope["method"] in self._location.handlers else Match.PARTIAL), {"path_params": given}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        response = await run_in_threadpool(self._answer, request, body)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        try:
            user = self._service.sign_in(request.headers.get("authorization"))
            _demand_version(request)
            handler = self._location.handlers.get(request.method)
            if handler is None:
                raise ServiceError(
                    405,
                    f"The requested resource does not support http method '{request.method}'.",
                    "VssRequestMethodNotAllowedException",
                )
            call = Call.of(self._service, request, user, body)
            # One request after the other, reads too: none sees half of what another one does.
            with self._service.store.transaction():
                answer = handler(call)
        except ServiceError as error:
            return error.response()
        except Exception:  # noqa: BLE001 - whatever it is, a client gets it in the service's shape, and we a traceback
            traceback.print_exc()
            body, media = error_page(500)
            return Response(body, 500, media_type=media)
        return to_response(answer)


def _demand_version(request: Request) -> None:
    """What changes something must say which version of the interface it means; so says the service for every resource.

    https://learn.microsoft.com/azure/devops/integrate/concepts/rest-api-versioning
    """
    given = f"{request.headers.get('accept', '')}?{request.url.query}".lower()
    if request.method in ("POST", "PUT", "PATCH", "DELETE") and "api-version=" not in given:
        raise ServiceError(
            400,
            f'No api-version was supplied for the "{request.method}" request. The version must be supplied either as '
            'part of the Accept header (e.g. "application/json; api-version=1.0") or as a query parameter (e.g. '
            '"?api-version=1.0").',
            "VssVersionNotSpecifiedException",
        )


def to_response(answer: Answer) -> Response:
    """A list as the service's collection, nothing as 204, anything else as it is."""
    match answer:
        case Response():
            return answer
        case None:
            return Response(status_code=204)
        case list():
            return JSONResponse({"count": len(answer), "value": answer})
        case _:
            return JSONResponse(dict(answer))
