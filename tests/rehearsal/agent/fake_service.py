"""A small service that an agent can talk to: it hands out jobs and keeps what it is told."""

import io
import json
import queue
import time
import zipfile
from collections import defaultdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.agent.messages import JobRequest

AGENT_TOKEN = "agents-own-token"


class FakeService:
    """Keeps everything by job; `app` serves it."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[JobRequest] = queue.Queue()
        self.records: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, str] = defaultdict(str)
        self.artifacts: dict[str, bytes] = {}
        self.attachments: dict[tuple[str, str], bytes] = {}
        self.finished: dict[str, dict[str, Any]] = {}
        self.heartbeats: dict[str, int] = defaultdict(int)
        self.cancel: set[str] = set()
        self.forgotten: set[str] = set()
        self.rest: list[tuple[str, str, Any]] = []
        self.tokens: set[str] = set()
        self.app = Starlette(
            routes=[
                Route("/rehearsal/_agent/next", self._next, methods=["POST"]),
                Route("/rehearsal/_agent/jobs/{job}/{call}", self._call, methods=["POST"]),
                Route("/rehearsal/_agent/jobs/{job}/{call}/{rest:path}", self._call, methods=["POST", "PUT"]),
                Route("/rehearsal/{project}/_apis/{path:path}", self._rest, methods=["GET", "POST", "PUT", "PATCH"]),
            ]
        )

    def _take(self) -> JobRequest | None:
        try:
            return self.jobs.get(timeout=1)
        except queue.Empty:
            return None

    async def _next(self, request: Request) -> Response:
        self.tokens.add(request.headers["authorization"])
        job = await run_in_threadpool(self._take)
        return JSONResponse(job.to_json()) if job else Response(status_code=204)

    async def _call(self, request: Request) -> Response:
        job, call, body = request.path_params["job"], request.path_params["call"], await request.body()
        rest = request.path_params.get("rest", "")
        if job in self.forgotten:
            return JSONResponse({"message": "no such job"}, 404)
        match call:
            case "heartbeat":
                self.heartbeats[job] += 1
                return JSONResponse({"cancel": job in self.cancel})
            case "timeline":
                for record in json.loads(body)["records"]:
                    self.records[record["id"]] = record
            case "logs":
                record, _, line = rest.partition("/")
                assert int(line) == self.logs[record].count("\n")
                self.logs[record] += body.decode()
            case "artifacts":
                if rest in self.artifacts:
                    return JSONResponse({"message": f"Artifact {rest} already exists for build 7."}, 409)
                self.artifacts[rest] = body
            case "attachments":
                kind, _, name = rest.partition("/")
                self.attachments[kind, name] = body
            case "finish":
                self.finished[job] = json.loads(body)
        return JSONResponse({})

    async def _rest(self, request: Request) -> Response:
        path, body = request.path_params["path"], await request.body()
        self.tokens.add(request.headers["authorization"])
        given = json.loads(body) if body else None
        self.rest.append((request.method, path, given))
        if path.endswith("/artifacts"):
            name = request.query_params.get("artifactName")
            if name:
                return Response(_as_served(name, self.artifacts[name]), media_type="application/zip")
            url = str(request.url.replace(query=""))
            found = [
                {"name": each, "resource": {"downloadUrl": f"{url}?artifactName={each}&$format=zip"}}
                for each in self.artifacts
            ]
            return JSONResponse({"count": len(found), "value": found})
        return JSONResponse({"id": 41})

    # -- what tests ask

    def named(self, name: str) -> dict[str, Any]:
        """The record of the only step of this name."""
        [found] = [record for record in self.records.values() if record["name"] == name]
        return found

    def log(self, name: str) -> str:
        """The log of a step, without the times."""
        text = self.logs[self.named(name)["id"]]
        return "\n".join(line.partition(" ")[2] for line in text.splitlines())

    def everything(self) -> str:
        """All that an agent has said that people may see."""
        return json.dumps([self.records, self.logs, self.finished])

    def wait_for(self, condition: Any, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "nothing happened"
            time.sleep(0.02)


def _as_served(name: str, content: bytes) -> bytes:
    """The zip file as the service gives it out: all files are in a folder of the artifact's name."""
    served = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(served, "w") as packed:
        for entry in given.namelist():
            packed.writestr(f"{name}/{entry}", given.read(entry))
    return served.getvalue()
