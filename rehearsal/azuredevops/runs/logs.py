"""The logs of a run: one for each record of its timeline that wrote something.

https://learn.microsoft.com/rest/api/azure/devops/build/builds/get-build-log and …/get-build-logs.
"""

import io
import zipfile

from starlette.responses import JSONResponse, Response

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Call, Service, now
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.azuredevops.run_access import find_run, run_of
from rehearsal.azuredevops.runs import hand_out
from rehearsal.store import Document, Store

of_build = location(
    "build",
    "logs",
    "{project}/_apis/{area}/Builds/{buildId}/{resource}/{logId}",
    "35a80daf-7f30-45fc-86e8-6b813d9c90df",
)
of_pipeline = location(
    "pipelines",
    "logs",
    "{project}/_apis/pipelines/{pipelineId}/runs/{runId}/{resource}/{logId}",
    "fb1b6d27-3957-43d5-a14b-a2d70403e545",
)


def append(service: Service, job_id: str, record_id: str, line: int, text: bytes) -> int:
    """Puts text at the end of a record's log; gives the log's number.

    Args:
        service: the organisation.
        job_id: the job.
        record_id: its record.
        line: the number of the first line in the log, from 0. Lines that the log has already aren't put there again:
            an agent that has lost an answer sends them once more.
        text: whole lines.

    Raises:
        ServiceError: 404, the job is not known; 400, lines before these are missing.
    """
    store = service.store
    with store.transaction():
        there, _, _ = hand_out.find(service, job_id)
        prefix = build.key(there["project"], there["run"])
        known = store.get("log-of", f"{prefix}/{record_id}")
        if known is None:
            known = {"log": store.next_number(f"log/{prefix}")}
            store.put("log-of", f"{prefix}/{record_id}", known)
        place = f"{prefix}/{known['log']:06}"
        log = store.get("log", place) or {"id": known["log"], "record": record_id, "createdOn": now(), "chunks": 0}
        known_lines = log.get("lineCount", 0)
        if line > known_lines:
            raise invalid(f"The log {known['log']} has {known_lines} lines: line {line} can't be the next one.")
        fresh = b"\n".join(text.split(b"\n")[known_lines - line :])
        if fresh:
            store.put_bytes("log", f"{place}/{log['chunks']:08}", fresh)
            log |= {"chunks": log["chunks"] + 1, "lastChangedOn": now()}
            log["lineCount"] = known_lines + fresh.count(b"\n")
            store.put("log", place, log)
    return int(known["log"])


def text(store: Store, project_id: str, run_id: int, log_id: int) -> str | None:
    """The text of a log, or None."""
    place = f"{build.key(project_id, run_id)}/{log_id:06}"
    log = store.get("log", place)
    if log is None:
        return None
    chunks = (store.get_bytes("log", f"{place}/{number:08}") or b"" for number in range(log["chunks"]))
    return b"".join(chunks).decode(errors="replace")


def of_run(store: Store, project_id: str, run_id: int) -> list[Document]:
    """The logs of a run: documents with `id`, `record` and `lineCount`."""
    return store.all("log", f"{build.key(project_id, run_id)}/")


def url(call: Call, project_id: str, run_id: int, log_id: int) -> str:
    """Where the text of a log is found."""
    return call.url(project_id, "_apis", "build", "builds", run_id, "logs", log_id)


def _existing(call: Call, project: Document, run: Document) -> str:
    found = text(call.store, project["id"], run["id"], call.number("logId"))
    if found is None:
        message = f"The log {call.route['logId']} of build {run['id']} could not be found."
        raise ServiceError(404, message, "BuildLogNotFoundException")
    return found


@of_build.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    run = run_of(call, project)
    if "logId" in call.route:
        return _one(call, _existing(call, project, run))
    known = of_run(call.store, project["id"], run["id"])
    if "application/zip" in call.accept or call.query.get("$format") == "zip":
        return _zip(call, project, run, known)
    return [
        {
            "id": each["id"],
            "type": "Container",
            "lineCount": each["lineCount"],
            "createdOn": each["createdOn"],
            "lastChangedOn": each["lastChangedOn"],
            "url": url(call, project["id"], run["id"], each["id"]),
        }
        for each in known
    ]


def _one(call: Call, found: str) -> Response:
    lines = found.split("\n")
    if lines[-1] == "":
        lines.pop()
    if "startline" in call.query or "endline" in call.query:
        # Lines are counted from 1 here; the documentation names the parameters and no more.
        first, last = call.whole_number("startLine", 1), call.whole_number("endLine", len(lines))
        lines = lines[max(first, 1) - 1 : last]
    if "application/zip" in call.accept:
        return _packed({"log.txt": "\n".join(lines) + "\n"})
    if call.wants_json:
        return JSONResponse({"count": len(lines), "value": lines})
    return Response("".join(f"{line}\n" for line in lines), media_type="text/plain; charset=utf-8")


def _zip(call: Call, project: Document, run: Document, known: list[Document]) -> Response:
    files = {f"{each['id']}.txt": text(call.store, project["id"], run["id"], each["id"]) or "" for each in known}
    return _packed(files)


def _packed(files: dict[str, str]) -> Response:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Response(packed.getvalue(), media_type="application/zip")


@of_pipeline.on("GET")
def get_of_pipeline(call: Call) -> Answer:
    project = project_of(call)
    run = find_run(call, project, call.number("runId"))

    def shown(log: Document) -> Document:
        place = call.url(project["id"], "_apis", "pipelines", run["definition"], "runs", run["id"], "logs", log["id"])
        document = {name: log[name] for name in ("id", "createdOn", "lastChangedOn", "lineCount")} | {"url": place}
        if call.query.get("$expand") == "signedContent":
            # The real service signs an address of a storage account; here it is that of the log itself.
            document["signedContent"] = {
                "url": url(call, project["id"], run["id"], log["id"]),
                "signatureExpires": now(),
            }
        return document

    known = of_run(call.store, project["id"], run["id"])
    if "logId" in call.route:
        _existing(call, project, run)
        return shown(next(each for each in known if each["id"] == call.number("logId")))
    return {"logs": [shown(each) for each in known], "url": call.url(project["id"], "_apis", "pipelines")}
