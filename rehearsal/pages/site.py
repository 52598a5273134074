"""What the pages of both services share: signing in, finding the page, doing what a form says, telling refusals."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rehearsal.pages import rendering
from rehearsal.pages.api import Api, Refused, client_of
from rehearsal.pages.sessions import Session, Sessions

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STYLE = (Path(__file__).parent / "style.css").read_bytes()
STYLE_PATH = f"/_pages/style-{hashlib.sha256(_STYLE).hexdigest()[:12]}.css"
_MAX_FORM = 2 * 1024 * 1024  # bytes; a description and comments are text

# A page of another site that gets its own name resolved to this machine must not reach the pages under that name.
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who can sign in.

    Args:
        key: names the token.
        name: as people see it.
        about: the sign-in name, and what the person may do.
    """

    key: str
    name: str
    about: str


@dataclass
class Visit:
    """One request for a page, signed in.

    Args:
        person: who looks.
        api: the REST interface, signed in as this person.
        route: the values in the path.
        query: the values after the question mark.
        form: what a form sent; empty when the page is only looked at.
        refusal: why what the form asked for was refused, if it was.
        here: the address of this page.
        many: all values of each field of the form, where one has several.
    """

    person: Person
    api: Api
    route: dict[str, str]
    query: Mapping[str, str]
    here: str
    form: Mapping[str, str] = field(default_factory=dict)
    refusal: Refused | None = None
    many: Mapping[str, list[str]] = field(default_factory=dict)

    def address(self, **changes: object) -> str:
        """This page with other values after the question mark; None takes one away."""
        values = {**self.query, **{name: str(value) for name, value in changes.items() if value is not None}}
        kept = {name: value for name, value in values.items() if changes.get(name, value) is not None}
        path = self.here.partition("?")[0]
        return f"{path}?{urlencode(kept)}" if kept else path


@dataclass(frozen=True)
class Page:
    """A page to be rendered.

    Args:
        template: its file.
        content: what the template shows.
        refresh: seconds after which the browser asks again; 0 for a page that doesn't change by itself.
    """

    template: str
    content: dict[str, Any]
    refresh: int = 0


@dataclass(frozen=True)
class Done:
    """What a form asked for is done.

    Args:
        where: the page to see next.
        notice: what was done, told there.
    """

    where: str
    notice: str = ""


View: TypeAlias = Callable[[Visit], Awaitable[Page | Response]]
Action: TypeAlias = Callable[[Visit], Awaitable[Done]]


@dataclass(frozen=True)
class Place:
    """A page's path, what shows it, and what its forms do by the value of their button `do`.

    Args:
        path: a regular expression for the whole path, with named groups.
        view: shows it.
        actions: by name.
    """

    path: str
    view: View
    actions: Mapping[str, Action] = field(default_factory=dict)


class Site:
    """The pages of a service.

    Args:
        service: names the templates' folder and the cookie.
        title: the service's name, for people.
        home: where somebody goes who has signed in.
        api: the REST interface.
        people: who can sign in.
        authorization: the header with a person's token.
        version: see `Api`.
        secret: see `Sessions`.
        places: all pages.
    """

    def __init__(
        self,
        *,
        service: str,
        title: str,
        home: str,
        api: ASGIApp,
        people: Sequence[Person],
        authorization: Callable[[str], str],
        version: dict[str, str],
        secret: str,
        places: Sequence[Place],
    ) -> None:
        self._service = service
        self._title = title
        self._home = home
        self._api = api
        self._client: httpx.AsyncClient = client_of(api)
        self._people = {each.key: each for each in people}
        self._authorization = authorization
        self._version = version
        self._sessions = Sessions(service, secret)
        self._places = [(re.compile(each.path), each) for each in places]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        found = next(
            ((there, place) for pattern, place in self._places if (there := pattern.fullmatch(scope["path"]))), None
        )
        own = scope["path"] in ("/_signin", "/_signout", STYLE_PATH)
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD", "POST") or not (found or own):
            # Nobody's page: the interface has the words for that.
            await self._api(scope, receive, send)
            return
        if not _HOSTS.fullmatch(request.headers.get("host", "")):
            response: Response = Response("The rehearsal is for this machine alone.", 421, media_type="text/plain")
        elif scope["path"] == STYLE_PATH:
            kept = {"Cache-Control": "max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
            response = Response(_STYLE, headers=kept, media_type="text/css")
        else:
            session = self._sessions.read(request.cookies.get(self._sessions.cookie)) or Sessions.new()
            if own:
                response = await self._sign_in_or_out(request, session)
            else:
                assert found is not None  # noqa: S101 - looked at above
                response = await self._serve(request, session, found[1], found[0].groupdict(""))
        await response(scope, receive, send)

    # ------------------------------------------------------------------------------------------------ signing in

    async def _sign_in_or_out(self, request: Request, session: Session) -> Response:
        if request.method == "POST":
            form = await _form(request)
            if not self._sessions.has_token(session, form.get("token", "")):
                return await self._refused(session, _foreign(), None, request)
            if request.url.path == "/_signout":
                return self._redirect("/_signin", Sessions.new())
            person = self._people.get(form.get("user", ""))
            if person is None:
                return await self._refused(session, Refused(400, "There is no such person."), None, request)
            return self._redirect(_local(form.get("reply_to")) or self._home, Sessions.new(person.key))
        if request.url.path == "/_signout":
            return self._redirect("/_signin", session)
        content = {
            "people": list(self._people.values()),
            "reply_to": _local(request.query_params.get("reply_to")) or "",
        }
        return await self._rendered(Page("sign_in.html.j2", content), session, None, request)

    # --------------------------------------------------------------------------------------------------- a page

    async def _serve(self, request: Request, session: Session, place: Place, route: dict[str, str]) -> Response:
        # As the browser wrote it, with everything escaped that has to be.
        here = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        person = self._people.get(session.user or "")
        if person is None:
            wanted = here if request.method == "GET" else self._home
            return self._redirect(f"/_signin?{urlencode({'reply_to': wanted})}", session)
        visit = Visit(
            person=person,
            api=self._api_of(request, person),
            route=route,
            query=dict(request.query_params),
            here=here,
        )
        if request.method == "POST":
            visit.form, visit.many = await _fields(request)
            action = place.actions.get(visit.form.get("do", ""), _no_action)
            if not self._sessions.has_token(session, visit.form.get("token", "")):
                return await self._refused(session, _foreign(), person, request)
            try:
                done = await action(visit)
                return self._redirect(done.where, replace(session, notice=done.notice))
            except Refused as refused:
                visit.refusal = refused
            except (KeyError, ValueError):
                visit.refusal = Refused(400, "The form lacks a value, or has one that can't be.")
        try:
            shown = await place.view(visit)
        except Refused as refused:
            return await self._refused(session, visit.refusal or refused, person, request)
        if isinstance(shown, Response):
            return shown
        status = visit.refusal.status if visit.refusal else 200
        return await self._rendered(shown, session, person, request, status=status, visit=visit)

    def _api_of(self, request: Request, person: Person) -> Api:
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return Api(self._client, origin, self._authorization(person.key), self._version)

    async def _refused(self, session: Session, refused: Refused, person: Person | None, request: Request) -> Response:
        content = {"status": refused.status, "message": refused.message}
        return await self._rendered(Page("refused.html.j2", content), session, person, request, status=refused.status)

    async def _rendered(
        self,
        page: Page,
        session: Session,
        person: Person | None,
        request: Request,
        *,
        status: int = 200,
        visit: Visit | None = None,
    ) -> Response:
        content = {
            "service": self._service,
            "service_title": self._title,
            "home": self._home,
            "style": STYLE_PATH,
            "person": person,
            "token": self._sessions.token(session),
            "notice": session.notice,
            "refusal": visit.refusal if visit else None,
            "visit": visit,
            "refresh": page.refresh if request.method == "GET" else 0,
            **page.content,
        }
        # In a thread: a large file takes its time to colour.
        text = await run_in_threadpool(rendering.render, page.template, content)
        response = HTMLResponse(text, status, HEADERS)
        self._remember(response, replace(session, notice=""))
        return response

    def _redirect(self, where: str, session: Session) -> Response:
        response = RedirectResponse(where, 303, HEADERS)
        self._remember(response, session)
        return response

    def _remember(self, response: Response, session: Session) -> None:
        # Not `secure`: the rehearsal is on this machine's loopback address, without TLS. `lax`, so that a link in a
        # mail opens; what changes something is a POST with the form's token.
        response.set_cookie(self._sessions.cookie, self._sessions.write(session), httponly=True, samesite="lax")


async def _no_action(_: Visit) -> Done:
    raise Refused(400, "There is no such action.")


def _foreign() -> Refused:
    return Refused(403, "The form did not come from this session's page: open the page again, and send it from there.")


def _local(path: str | None) -> str | None:
    """The address, if it is one of this service's own."""
    return path if path and re.match(r"/(?![/\\])", path) else None


async def _form(request: Request) -> dict[str, str]:
    return (await _fields(request))[0]


async def _fields(request: Request) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The fields of a form: of each name the last value, and all of them."""
    body = await request.body()
    if len(body) > _MAX_FORM:
        return {}, {}
    pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        # A browser ends the lines of a text field as in a mail.
        many.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return {name: values[-1] for name, values in many.items()}, many
