"""Both environments side by side: the release that each folder records, and how its jobs do."""

import json
from typing import Any

from rehearsal.pages.api import Refused
from rehearsal.pages.databricks.jobs import API as JOBS
from rehearsal.pages.databricks.workspace import API
from rehearsal.pages.site import Page, Place, Visit

RECORD = ".release/record.json"
"""Below an environment's folder; `delivery deploy` writes it."""


async def _status(visit: Visit) -> Page:
    folders = await _folders(visit, "/")
    for parent in [each for each in folders if each in ("/Shared",)]:
        folders += await _folders(visit, parent)
    records = await visit.api.gather(*(_record(visit, each) for each in folders))
    jobs = await _jobs(visit)
    found = [
        {"folder": folder, "record": record, "jobs": [job for job in jobs if _is_of(job, folder)]}
        for folder, record in zip(folders, records, strict=True)
        if record is not None
    ]
    # Production last: releases go from left to right.
    found.sort(key=lambda each: ("prod" in str(each["folder"]), each["folder"]))
    contents = {((each["record"] or {}).get("current") or {}).get("content") for each in found}
    settled = all((each["record"] or {}).get("state") == "deployed" for each in found)
    same = settled and len(contents) == 1 and None not in contents
    return Page("databricks/status.html.j2", {"found": found, "same": same})


async def _folders(visit: Visit, parent: str) -> list[str]:
    listed = (await visit.api.get(f"{API}/workspace/list", path=parent)).get("objects", [])
    return sorted(each["path"] for each in listed if each["object_type"] == "DIRECTORY")


async def _record(visit: Visit, folder: str) -> dict[str, Any] | None:
    where = f"{folder.rstrip('/')}/{RECORD}"
    try:
        raw = await visit.api.bytes(f"{API}/workspace/export", path=where, direct_download=True, format="AUTO")
    except Refused:
        return None
    try:
        record = json.loads(raw)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"state": "unreadable"}


async def _jobs(visit: Visit) -> list[dict[str, Any]]:
    listed = (await visit.api.get(f"{JOBS}/list", limit=100, expand_tasks=True)).get("jobs", [])
    runs = await visit.api.gather(
        *(visit.api.get(f"{JOBS}/runs/list", job_id=each["job_id"], limit=1) for each in listed)
    )
    return [each | {"newest": next(iter(run.get("runs", [])), None)} for each, run in zip(listed, runs, strict=True)]


def _is_of(job: dict[str, Any], folder: str) -> bool:
    """Whether a job runs a notebook of the folder."""
    tasks = job["settings"].get("tasks") or []
    return any((task.get("notebook_task") or {}).get("notebook_path", "").startswith(f"{folder}/") for task in tasks)


PLACES = [Place("/status/?", _status)]
