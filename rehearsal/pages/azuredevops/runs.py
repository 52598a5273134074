"""Runs of pipelines: watched, cancelled, tried again; with their logs, tests, artifacts and summaries."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response

from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops import approvals
from rehearsal.pages.azuredevops.addresses import PROJECT, Document, api, page
from rehearsal.pages.azuredevops.approvals import approvals_of, stage_name
from rehearsal.pages.site import HEADERS, Action, Done, Page, Place, View, Visit

REFRESH = 3  # seconds between two looks at a run that goes on
# The first is the service's own name for what `uploadsummary` makes, the second that of the rehearsal's agent.
_SUMMARIES = ("Distributedtask.Core.Summary", "summary")
_LINE = re.compile(r"(?:(\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S*) )?(?:##\[(\w+)\])?(.*)")
# The service's own address of the tests.
_VIEWS = {"ms.vss-test-web.build-test-results-tab": "tests"}
_MAX_LINES = 5000
_MAX_RESULTS = 1000


async def _run(visit: Visit, repositories: Path) -> Page | Response:
    project, id_ = visit.route["project"], visit.query.get("buildId", "")
    if not id_.isdigit():
        raise Refused(404, "The address names no run.")
    run = await visit.api.get(api(project, "build", "builds", id_))
    view = _VIEWS.get(visit.query.get("view", "results"), visit.query.get("view", "results"))
    content: Document = {"project": project, "run": run, "view": view}
    records = await _records(visit, project, id_)
    waiting = await approvals_of(visit, project, run, records)
    content |= {"stages": _stages(records, waiting), "going": run["status"] != "completed", "waiting": waiting}
    refresh = REFRESH if content["going"] else 0
    if view == "approval":
        return await approvals.shown(visit, content, repositories)
    if view == "logs":
        return await _logs(visit, content, records, refresh)
    if view == "tests":
        return Page("azuredevops/run_tests.html.j2", content | await _tests(visit, project, run))
    if view == "artifacts":
        content["artifacts"] = await visit.api.get(api(project, "build", "builds", id_, "artifacts"))
        return Page("azuredevops/run_artifacts.html.j2", content)
    full, summaries, pipeline_run = await visit.api.gather(
        _tests(visit, project, run),
        _summaries(visit, project, id_),
        visit.api.either(api(project, "pipelines", run["definition"]["id"], "runs", id_), {}),
    )
    content |= full | {
        "summaries": summaries,
        "resources": ((pipeline_run.get("resources") or {}).get("pipelines") or {}),
        "issues": [{"where": record["name"], **issue} for record in records for issue in record.get("issues") or []],
    }
    return Page("azuredevops/run.html.j2", content, refresh)


async def _records(visit: Visit, project: str, id_: str) -> list[Document]:
    timeline = await visit.api.either(api(project, "build", "builds", id_, "timeline"), None)
    records: list[Document] = (timeline or {}).get("records") or []
    return sorted(records, key=lambda each: (each.get("order") or 0, each["name"]))


def _stages(records: list[Document], waiting: list[Document]) -> list[Document]:
    below: dict[str | None, list[Document]] = {}
    for each in records:
        below.setdefault(each.get("parentId"), []).append(each)

    def jobs(of: Iterable[Document]) -> list[Document]:
        """Without the level between: a phase has one job, most of the time."""
        found = []
        for each in of:
            if each["type"] == "Job":
                tasks = [_state(task) for task in below.get(each["id"], []) if task["type"] == "Task"]
                found.append(_state(each) | {"tasks": tasks})
            elif each["type"] == "Phase":
                inner = jobs(below.get(each["id"], []))
                found += inner or [_state(each) | {"tasks": []}]
        return found

    found = []
    for stage in (each for each in records if each["type"] == "Stage"):
        children = below.get(stage["id"], [])
        checkpoint = next((each for each in children if each["type"] == "Checkpoint"), None)
        name = stage.get("identifier") or stage["name"]
        gate = [_state(each) for each in records if each["type"].startswith("Checkpoint.")]
        gate = [each for each in gate if stage_name(each, records) == name]
        found.append(
            _state(stage)
            | {
                "jobs": jobs(children),
                "identifier": name,
                # A pipeline without stages has one all the same, which nobody has given a name.
                "name": "Jobs" if stage["name"] == "__default" else stage["name"],
                "gate": gate,
                "held": bool(checkpoint and checkpoint.get("state") != "completed" and stage["state"] != "completed"),
                "approvals": [each for each in waiting if each["stage"] == name],
            }
        )
    return found


def _state(record: Document) -> Document:
    """A record with the one word that says how it stands."""
    word = record.get("result") or record.get("state") or "pending"
    return record | {"word": word if record.get("state") == "completed" else record.get("state") or "pending"}


async def _tests(visit: Visit, project: str, run: Document) -> Document:
    runs = await visit.api.either(api(project, "test", "runs"), [], buildUri=run["uri"], includeRunDetails=True)
    results = await visit.api.gather(*(_results(visit, project, each["id"]) for each in runs))
    coverage = await visit.api.either(api(project, "test", "codecoverage"), {}, buildId=run["id"])
    listed = [each for found in results for each in found]
    counted: dict[str, int] = {}
    for each in listed:
        counted[each["outcome"]] = counted.get(each["outcome"], 0) + 1
    failed = [each for each in listed if each["outcome"] not in ("Passed", "NotExecuted", "NotApplicable")]
    return {
        "test_runs": list(zip(runs, results, strict=True)),
        "counted": counted,
        "failed": failed,
        "tests": len(listed),
        "coverage": _coverage(coverage),
    }


async def _results(visit: Visit, project: str, test_run: object) -> list[Document]:
    """All results of a test run; the interface gives a thousand at once."""
    found: list[Document] = []
    while True:
        where = api(project, "test", "runs", test_run, "results")
        part = await visit.api.get(where, **{"$top": _MAX_RESULTS, "$skip": len(found)})
        found += part
        if len(part) < _MAX_RESULTS:
            return found


def _coverage(found: Any) -> list[Document]:
    data = found.get("coverageData") if isinstance(found, dict) else None
    return [each for part in data or [] for each in part.get("coverageStats") or []]


async def _summaries(visit: Visit, project: str, id_: str) -> list[Document]:
    found = []
    for kind in _SUMMARIES:
        for each in await visit.api.either(api(project, "build", "builds", id_, "attachments", kind), []):
            where = "/" + each["_links"]["self"]["href"].split("://", 1)[-1].partition("/")[2]
            text = (await visit.api.bytes(where)).decode(errors="replace")
            found.append({"name": each["name"], "text": text})
    return found


# --------------------------------------------------------------------------------------------------------------- logs


async def _logs(visit: Visit, content: Document, records: list[Document], refresh: int) -> Page:
    wanted = visit.query.get("t") or visit.query.get("j")
    chosen = next((each for each in records if each["id"] == wanted), None)
    if chosen is None or not chosen.get("log"):
        # A job says little itself: its steps do.
        chosen = _interesting([each for each in records if not wanted or each.get("parentId") == wanted]) or chosen
    lines: list[Document] = []
    left_out = 0
    if chosen and chosen.get("log"):
        run = content["run"]["id"]
        where = api(content["project"], "build", "builds", run, "logs", chosen["log"]["id"])
        answer = await visit.api.call("GET", where, accept="text/plain")
        text = answer.text.rstrip("\n").split("\n")
        left_out = max(len(text) - _MAX_LINES, 0)
        lines = [_line(number, each) for number, each in enumerate(text, 1)][left_out:]
        if visit.query.get("raw"):
            return _plain(answer.text)  # type: ignore[return-value] # the caller takes a response as well
    content |= {"chosen": _state(chosen) if chosen else None, "lines": lines, "left_out": left_out}
    return Page("azuredevops/run_logs.html.j2", content, refresh)


def _interesting(records: list[Document]) -> Document | None:
    """What somebody wants to see who chose nothing: what failed, what runs, else the first with a log."""
    tasks = [each for each in records if each["type"] in ("Task", "Job") and each.get("log")]
    failed = [each for each in tasks if each.get("result") == "failed"]
    running = [each for each in tasks if each.get("state") == "inProgress"]
    ordered = sorted(failed, key=lambda each: each["type"] != "Task") + running + tasks
    return ordered[0] if ordered else None


def _line(number: int, text: str) -> Document:
    found = _LINE.fullmatch(text)
    if found is None:
        return {"number": number, "time": "", "kind": "", "text": text}
    kind = found[3] or ""
    return {"number": number, "time": found[2] or "", "kind": kind, "text": found[4]}


def _plain(text: str) -> Response:
    return Response(text, headers=HEADERS, media_type="text/plain; charset=utf-8")


async def _test_run(visit: Visit) -> Response:
    """Where the REST interface says that a test run is: with the run that it belongs to."""
    project = visit.route["project"]
    found = await visit.api.get(api(project, "test", "runs", visit.query.get("runId", "")))
    build = (found.get("build") or {}).get("id")
    if build is None:
        raise Refused(404, "The test run belongs to no run of a pipeline.")
    return RedirectResponse(page(project, "_build", "results", buildId=build, view="tests"), 303)


async def _artifact(visit: Visit) -> Response:
    project, id_, name = visit.route["project"], visit.query.get("buildId", ""), visit.query.get("artifactName", "")
    where = api(project, "build", "builds", id_, "artifacts")
    answer = await visit.api.call("GET", where, {"artifactName": name, "$format": "zip"}, accept="application/zip")
    safe = re.sub(r"[^\w.-]", "_", name)
    kept = {"Content-Disposition": f'attachment; filename="{safe}.zip"'}
    return Response(answer.content, headers=HEADERS | kept, media_type="application/zip")


# ------------------------------------------------------------------------------------------------------------ actions


async def _cancel(visit: Visit) -> Done:
    where = api(visit.route["project"], "build", "builds", visit.query.get("buildId", ""))
    await visit.api.send("PATCH", where, {"status": "cancelling"})
    return Done(visit.address(), "The run is being cancelled.")


async def _retry(visit: Visit) -> Done:
    where = api(
        visit.route["project"], "build", "builds", visit.query.get("buildId", ""), "stages", visit.form.get("stage", "")
    )
    await visit.api.send("PATCH", where, {"state": "retry", "forceRetryAllJobs": visit.form.get("all") == "1"})
    return Done(visit.address(), "The stage runs again.")


async def _permit(visit: Visit) -> Done:
    """Lets the pipeline use what it waits for. The page says what that is."""
    pipeline = int(visit.form["pipeline"])
    for each in visit.many.get("resource", []):
        kind, _, id_ = each.partition("/")
        where = api(visit.route["project"], "pipelines", "pipelinePermissions", kind, id_)
        await visit.api.send("PATCH", where, {"pipelines": [{"id": pipeline, "authorized": True}]})
    return Done(visit.address(), "The pipeline may use it now.")


_ACTIONS: dict[str, Action] = {"cancel": _cancel, "retry": _retry, "permit": _permit, "decide": approvals.decide}


def places(repositories: Path) -> list[Place]:
    """The pages."""
    run: View = functools.partial(_run, repositories=repositories)
    return [
        Place(f"{PROJECT}/_TestManagement/Runs/?", _test_run),
        Place(f"{PROJECT}/_build/results/?", run, _ACTIONS),
        Place(f"{PROJECT}/_build/artifact", _artifact),
    ]
