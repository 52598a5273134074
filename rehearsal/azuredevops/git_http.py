"""Real git over HTTP: clone, fetch and push with the ordinary client.

The protocol is https://git-scm.com/docs/http-protocol. Reading is left to `git upload-pack`. A push is received here,
because the service decides for each ref and says why in the report: no hook of git can do that.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rehearsal.azuredevops import git_store, identities, permissions, push_rules
from rehearsal.azuredevops.context import ORGANIZATION, Service, by_name, is_id
from rehearsal.azuredevops.errors import ServiceError, repository_not_found, stale_reference
from rehearsal.azuredevops.git_store import NOTHING, Git, GitError, RefUpdate, environment, git, update_refs
from rehearsal.azuredevops.routing import PatternRoute
from rehearsal.store import Document

_PATH = re.compile(
    rf"/{ORGANIZATION}(?:/(?P<project>[^/]+))?/_git/(?P<repository>[^/]+?)(?:\.git)?/(?P<what>info/refs|git-upload-pack|git-receive-pack)",
    re.IGNORECASE,
)
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "Pragma": "no-cache"}
_BAND = 65515  # bytes of a report in one packet


def packet(data: bytes) -> bytes:
    """A pkt-line: its length in four hexadecimal digits, then the data."""
    return f"{len(data) + 4:04x}".encode() + data


def read_packets(body: bytes) -> tuple[list[bytes], int]:
    """The packets up to the first flush, and where the rest begins."""
    packets, position = [], 0
    while position + 4 <= len(body):
        length = int(body[position : position + 4], 16)
        position += 4
        if length == 0:
            break
        packets.append(body[position : position + length - 4])
        position += length - 4
    return packets, position


class GitRoute(PatternRoute):
    """Serves every repository under `/{organization}/{project}/_git/{repository}`."""

    def __init__(self, service: Service) -> None:
        super().__init__(_PATH)
        self._service = service

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ServiceError as error:
            # git shows the text of an answer that is plain text.
            response = PlainTextResponse(error.message + "\n", error.status, error.headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        user = await run_in_threadpool(self._service.sign_in, request.headers.get("authorization"))
        user, repository = await run_in_threadpool(self._find, request, user)
        here = git(self._service, repository)
        what = request.path_params["what"].lower()
        pushing = "git-receive-pack" in (what, request.query_params.get("service"))
        if pushing and not await run_in_threadpool(
            push_rules.may, self._service, repository, user, "GenericContribute"
        ):
            raise permissions.lacking_git(user, "GenericContribute", "repository")
        protocol = request.headers.get("git-protocol", "")
        if what == "info/refs":
            service = request.query_params.get("service", "")
            if service not in ("git-upload-pack", "git-receive-pack"):
                raise ServiceError(400, "The smart HTTP protocol is needed.", "GitProtocolException")
            return await _advertise(here, service, protocol)
        body = await _whole_body(request)
        if what == "git-upload-pack":
            stream = _upload(here, body, protocol)
            return StreamingResponse(stream, media_type="application/x-git-upload-pack-result", headers=_NO_CACHE)
        report = await run_in_threadpool(self._receive, repository, user, body)
        return Response(report, media_type="application/x-git-receive-pack-result", headers=_NO_CACHE)

    def _find(self, request: Request, user: Document) -> tuple[Document, Document]:
        name = unquote(request.path_params["repository"])
        # Without a project in the path, the project has the repository's name.
        project_name = unquote(request.path_params["project"] or name)
        store = self._service.store
        project = store.get("project", project_name.lower()) if is_id(project_name) else None
        project = project or by_name(store.all("project"), project_name)
        if project is None:
            raise repository_not_found(name)
        user = identities.acting(store, user, project)
        known = store.all("repository", f"{project['id']}/")
        repository = by_name(known, name) or by_name(known, name, "id")
        if repository is None or not push_rules.may(self._service, repository, user, "GenericRead"):
            raise repository_not_found(name)
        if repository["isDisabled"]:
            message = f"TF401019: The Git repository with name or identifier {name} is disabled."
            raise ServiceError(403, message, "GitRepositoryDisabledException")
        return user, repository

    def _receive(self, repository: Document, user: Document, body: bytes) -> bytes:
        """Takes a push and says how it went, ref by ref."""
        if body == b"0000":
            return b""  # git asks so whether it is signed in, before it sends a large pack
        lines, end = read_packets(body)
        if not lines:
            return b""
        capabilities = lines[0].partition(b"\0")[2].decode().split()
        updates = []
        for line in lines:
            if line.startswith(b"shallow "):
                continue
            old, new, name = line.partition(b"\0")[0].decode().strip().split(" ", 2)
            updates.append(RefUpdate(name, old, new))
        if "push-options" in capabilities:
            end += read_packets(body[end:])[1]
        here = git(self._service, repository)
        unpacked = _unpack(here, body[end:])
        report = [f"unpack {unpacked}\n"]
        verdicts = {each.name: unpacked for each in updates}
        if unpacked == "ok":
            # What is looked at and what is done about it belong together: nothing else happens in between.
            with self._service.store.transaction():
                verdicts = self._apply(repository, user, updates, atomic="atomic" in capabilities)
        report += [f"ok {name}\n" if said == "ok" else f"ng {name} {said}\n" for name, said in verdicts.items()]
        if not any(each.startswith("report-status") for each in capabilities):
            return b""
        status = b"".join(packet(line.encode()) for line in report) + b"0000"
        if "side-band-64k" not in capabilities:
            return status
        parts = [status[start : start + _BAND] for start in range(0, len(status), _BAND)]
        return b"".join(packet(b"\x01" + part) for part in parts) + b"0000"

    def _apply(self, repository: Document, user: Document, updates: list[RefUpdate], *, atomic: bool) -> dict[str, str]:
        # As it is now: somebody may have pushed, or deleted it, since the request came.
        kept = self._service.store.get("repository", git_store.key(repository))
        if kept is None:
            return {each.name: repository_not_found(repository["name"]).message for each in updates}
        repository, here = kept, git(self._service, kept)
        verdicts = {each.name: self._verdict(repository, user, each, here) for each in updates}
        accepted = [each for each in updates if verdicts[each.name] == "ok"]
        if atomic and len(accepted) < len(updates):
            verdicts = {name: "atomic push failure" if said == "ok" else said for name, said in verdicts.items()}
            accepted = []
        if accepted:
            try:
                update_refs(self._service, repository, accepted, user)
            except ServiceError as error:
                verdicts |= {each.name: error.message for each in accepted}
        return verdicts

    def _verdict(self, repository: Document, user: Document, update: RefUpdate, here: Git) -> str:
        if here.refs(update.name).get(update.name, NOTHING) != update.old:
            return stale_reference(update.name).message
        try:
            here.run("check-ref-format", update.name)
        except GitError:
            return f"The reference name '{update.name}' is not valid."
        if update.new != NOTHING and not here.has(update.new):
            return f"TF401035: The object '{update.new}' does not exist."
        return push_rules.refusal(self._service, repository, user, update) or "ok"


def _unpack(here: Git, pack: bytes) -> str:
    """Puts the objects of a pack into the repository. Until a ref points at them nobody sees them."""
    if not pack:
        return "ok"
    try:
        here.run("index-pack", "--stdin", "--fix-thin", "--strict", stdin=pack)
    except GitError as error:
        return str(error).splitlines()[-1]
    return "ok"


async def _whole_body(request: Request) -> bytes:
    body = await request.body()
    if request.headers.get("content-encoding", "") in ("gzip", "x-gzip"):
        body = zlib.decompress(body, 16 + zlib.MAX_WBITS)
    return body


async def _advertise(here: Git, service: str, protocol: str) -> Response:
    process = await asyncio.create_subprocess_exec(
        "git",
        service.removeprefix("git-"),
        "--stateless-rpc",
        "--advertise-refs",
        str(here.path),
        stdout=asyncio.subprocess.PIPE,
        env=environment(GIT_PROTOCOL=protocol if service == "git-upload-pack" else ""),
    )
    refs, _ = await process.communicate()
    greeting = packet(f"# service={service}\n".encode()) + b"0000"
    return Response(greeting + refs, media_type=f"application/x-{service}-advertisement", headers=_NO_CACHE)


async def _upload(here: Git, body: bytes, protocol: str) -> AsyncIterator[bytes]:
    process = await asyncio.create_subprocess_exec(
        "git",
        "upload-pack",
        "--stateless-rpc",
        str(here.path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(GIT_PROTOCOL=protocol),
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        process.stdin.write(body)
        process.stdin.close()
        while chunk := await process.stdout.read(65536):
            yield chunk
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
