"""What single checks find: the branch, the time of day.

https://learn.microsoft.com/azure/devops/pipelines/process/approvals
"""

import fnmatch
from collections.abc import Iterator
from datetime import datetime, time
from zoneinfo import ZoneInfo

from rehearsal.azuredevops import build, policy
from rehearsal.azuredevops.checks import BUSINESS_HOURS
from rehearsal.azuredevops.gates_time_zones import IANA_NAMES
from rehearsal.store import Document, Store

_ZONES = {windows.casefold(): iana for windows, iana in IANA_NAMES.items()}


def named(check: Document) -> str:
    """What people see of a task check."""
    name = check["settings"].get("displayName") or (check["settings"].get("definitionRef") or {}).get("name")
    return str(name or check["type"])


def _sources(run: Document) -> Iterator[tuple[str, str, int]]:
    """What a run is built from: a name for people, the branch, and the pipeline that says in which repository."""
    yield "the run", str(run["branch"]), int(run["definition"])
    for alias, chosen in (run.get("pipelines") or {}).items():
        if chosen and chosen.get("branch"):
            yield f"the pipeline resource '{alias}'", str(chosen["branch"]), int(chosen["definition"])


def branch_control(store: Store, project_id: str, run: Document, check: Document) -> str | None:
    """Why the run's branches are refused, or None.

    All sources of a run must be from allowed branches: its own, and those of the runs that it consumes. Whether a
    branch is protected is whether a policy is in force on it.
    """
    inputs = check["settings"]["inputs"]
    allowed = [each.strip() for each in inputs.get("allowedBranches", "").split(",") if each.strip()]
    for what, branch, definition_id in _sources(run):
        if allowed and not any(fnmatch.fnmatchcase(branch, each) for each in allowed):
            return (
                f"{named(check)}: the branch {branch} of {what} is not among the allowed branches: {', '.join(allowed)}"
            )
        if inputs.get("ensureProtectionOfBranch", "").lower() != "true":
            continue
        repository = _repository(store, project_id, definition_id)
        if repository is None:
            if inputs.get("allowUnknownStatusBranch", "").lower() != "true":
                return f"{named(check)}: whether the branch {branch} of {what} is protected is not known"
        elif not policy.in_force(store, repository, branch, on_branch=True):
            return f"{named(check)}: the branch {branch} of {what} is not protected by any policy"
    return None


def _repository(store: Store, project_id: str, definition_id: int) -> Document | None:
    definition = store.get("definition", build.key(project_id, definition_id))
    given = ((definition or {}).get("body") or {}).get("repository") or {}
    return store.get("repository", f"{project_id}/{str(given.get('id', '')).lower()}")


def business_hours(check: Document, at: datetime) -> str | None:
    """Why a deployment has to wait at this time, or None.

    Raises:
        ValueError: the settings can't be read.
    """
    inputs = check["settings"]["inputs"]
    zone = _ZONES.get(inputs["timeZone"].casefold())
    if zone is None:
        raise ValueError(f"{named(check)}: the time zone '{inputs['timeZone']}' is not known")
    there = at.astimezone(ZoneInfo(zone))
    days = [each.strip().casefold() for each in inputs["businessDays"].split(",")]
    start, end = time.fromisoformat(inputs["startTime"]), time.fromisoformat(inputs["endTime"])
    if there.strftime("%A").casefold() in days and start <= there.time() < end:
        return None
    return (
        f"{named(check)}: waits for {inputs['businessDays']} from {inputs['startTime']} to {inputs['endTime']} "
        f"({inputs['timeZone']})"
    )


def is_business_hours(check: Document) -> bool:
    """Whether the check asks for a time of day."""
    return str((check["settings"].get("definitionRef") or {}).get("id", "")).lower() == BUSINESS_HOURS
