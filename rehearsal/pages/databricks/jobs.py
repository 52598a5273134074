"""Jobs: their tasks, schedules and runs; and a run started by hand."""

from starlette.responses import Response

from rehearsal.pages.api import path
from rehearsal.pages.site import Done, Page, Place, Visit

API = "/api/2.2/jobs"


async def _list(visit: Visit) -> Page:
    found: list[dict[str, object]] = []
    token: str | None = ""
    while token is not None:
        part = await visit.api.get(f"{API}/list", limit=100, page_token=token or None)
        found += part.get("jobs", [])
        token = part.get("next_page_token")
    newest = await visit.api.gather(*(_newest(visit, each["job_id"]) for each in found))
    return Page("databricks/jobs.html.j2", {"found": list(zip(found, newest, strict=True))})


async def _newest(visit: Visit, job_id: object) -> dict[str, object] | None:
    runs = (await visit.api.get(f"{API}/runs/list", job_id=job_id, limit=1)).get("runs", [])
    return runs[0] if runs else None


async def _one(visit: Visit) -> Page:
    job = await visit.api.get(f"{API}/get", job_id=visit.route["job"])
    runs = (await visit.api.get(f"{API}/runs/list", job_id=job["job_id"], limit=25)).get("runs", [])
    going = any(each["state"]["life_cycle_state"] not in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR") for each in runs)
    return Page("databricks/job.html.j2", {"job": job, "settings": job["settings"], "runs": runs}, 5 if going else 0)


async def _run_now(visit: Visit) -> Done:
    job = int(visit.route["job"])
    made = await visit.api.send("POST", f"{API}/run-now", {"job_id": job})
    return Done(path("jobs", job), f"Run {made['run_id']} has been started.")


async def _cancel(visit: Visit) -> Done:
    await visit.api.send("POST", f"{API}/runs/cancel", {"run_id": int(visit.form["run"])})
    return Done(visit.address(), "The run is being cancelled.")


async def _run_page(visit: Visit) -> Response:
    """The service's own page of a run, for one who is signed in here."""
    answer = await visit.api.call("GET", visit.here, accept="text/html")
    kept = {name: value for name, value in answer.headers.items() if name not in ("content-length", "content-type")}
    return Response(answer.content, headers=kept, media_type=answer.headers["content-type"])


PLACES = [
    Place("/jobs/?", _list),
    Place(r"/jobs/(?P<job>\d+)", _one, {"run-now": _run_now, "cancel": _cancel}),
    Place(r"/jobs/\d+/runs/.+", _run_page),
]
