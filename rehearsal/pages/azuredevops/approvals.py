"""The approval that a stage waits for: who may give it, on what, and what the stage would change."""

from pathlib import Path

from rehearsal.pages import diffs
from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops.addresses import Document, api, page
from rehearsal.pages.azuredevops.code import git_of
from rehearsal.pages.site import Done, Page, Visit

_SHOWN = 100  # commits
_PENDING = ("pending", "uninitiated", "deferred")


async def approvals_of(visit: Visit, project: str, run: Document, records: list[Document]) -> list[Document]:
    """The approvals of a run, each with its stage. A record of the timeline has the approval's own id."""
    found = []
    for record in records:
        if record["type"] != "Checkpoint.Approval":
            continue
        approval = await visit.api.either(
            api(project, "pipelines", "approvals", record["id"]), None, **{"$expand": "steps,permissions"}
        )
        if approval is None:
            continue
        name = stage_name(record, records)
        address = page(project, "_build", "results", buildId=run["id"], view="approval", approvalId=approval["id"])
        found.append(approval | {"stage": name, "page": address, "is_pending": approval["status"] in _PENDING})
    return found


def stage_name(record: Document, records: list[Document]) -> str | None:
    """The name of the stage that a check holds: the first part of the record's own, as `Production.Approval`."""
    identifier = str(record.get("identifier") or "")
    if "." in identifier:
        return identifier.partition(".")[0]
    by_id = {each["id"]: each for each in records}
    above: Document | None = record
    while above is not None and above["type"] != "Stage":
        above = by_id.get(above.get("parentId") or "")
    return str(above.get("identifier") or above["name"]) if above else None


async def shown(visit: Visit, content: Document, repositories: Path) -> Page:
    """The page of one approval."""
    wanted = visit.query.get("approvalId")
    approval = next((each for each in content["waiting"] if each["id"] == wanted), None)
    if approval is None:
        raise Refused(404, "There is no such approval of this run.")
    project, run = content["project"], content["run"]
    environment, checks = await _environment(visit, project, approval)
    content |= {
        "approval": approval,
        "environment": environment,
        "checks": [check_shown(each) for each in checks],
        "stage": next((each for each in content["stages"] if each["identifier"] == approval["stage"]), None),
        "change": await _change(visit, project, run, environment, repositories),
        "history": _steps(approval),
    }
    return Page("azuredevops/approval.html.j2", content)


def _steps(approval: Document) -> list[Document]:
    """Who may approve, who may not, and who has said what."""
    blocked = {each["displayName"] for each in approval.get("blockedApprovers") or [] if each}
    found = [
        {
            "who": (each.get("assignedApprover") or {}).get("displayName", ""),
            "by": (each.get("actualApprover") or {}).get("displayName", ""),
            "status": each.get("status", "pending"),
            "comment": each.get("comment") or "",
            "at": each.get("lastModifiedOn") if each.get("actualApprover") else None,
        }
        for each in approval.get("steps") or []
    ]
    for each in found:
        if each["who"] in blocked and not each["by"]:
            each["status"] = "may not: asked for the run"
    return found


async def _environment(visit: Visit, project: str, approval: Document) -> tuple[Document | None, list[Document]]:
    """The environment that the approval holds, with its checks.

    An approval doesn't name it; so it is the one with an approval by the same people, if need be that of the stage's
    name.
    """
    asked = {each["assignedApprover"]["id"] for each in approval.get("steps") or [] if each.get("assignedApprover")}
    found = []
    for each in await visit.api.either(api(project, "distributedtask", "environments"), []):
        query = {"resourceType": "environment", "resourceId": each["id"], "$expand": "settings"}
        checks = await visit.api.either(api(project, "pipelines", "checks", "configurations"), [], **query)
        if any(_asks(check) == asked for check in checks):
            found.append((each, checks))
    stage = str(approval["stage"] or "").casefold()
    found.sort(key=lambda each: each[0]["name"].casefold() != stage)
    return found[0] if found else (None, [])


def _asks(check: Document) -> set[str] | None:
    if check["type"]["name"] != "Approval":
        return None
    return {each["id"] for each in (check.get("settings") or {}).get("approvers") or []}


async def _change(
    visit: Visit, project: str, run: Document, environment: Document | None, repositories: Path
) -> Document | None:
    """What was committed between the release that the environment has and this one."""
    repository = run.get("repository") or {}
    found = await visit.api.either(api(project, "git", "repositories", repository.get("id", "")), None)
    if found is None:
        return None
    here = git_of(repositories, found)
    new = await _commit_of(visit, project, run["definition"]["id"], run["id"], run.get("sourceVersion"))
    last = await _last_deployment(visit, project, environment, run) if environment else None
    old = None
    if last:
        old = await _commit_of(visit, project, last["definition"]["id"], last["owner"]["id"], None)
    if not new or here.resolve(new) is None:
        return None
    if not old or here.resolve(old) is None:
        return {"new": new, "old": None, "last": last, "commits": [], "files": [], "back": False, "name": found["name"]}
    # A rollback goes the other way: the commits that production loses are told, too.
    back = here.is_ancestor(new, old) and new != old
    span = f"{new}..{old}" if back else f"{old}..{new}"
    log = here.text("log", f"--max-count={_SHOWN}", "--format=%H%x09%an%x09%s", span).splitlines()
    return {
        "new": new,
        "old": old,
        "last": last,
        "commits": [dict(zip(("id", "author", "title"), line.split("\t", 2), strict=True)) for line in log],
        "files": diffs.between(here, old, new),
        "back": back,
        "name": found["name"],
    }


async def _commit_of(visit: Visit, project: str, definition: object, run: object, otherwise: str | None) -> str | None:
    """The commit whose artifact a run deploys: that of the pipeline it takes it from, else its own."""
    found = await visit.api.either(api(project, "pipelines", definition, "runs", run), {})
    for each in ((found.get("resources") or {}).get("pipelines") or {}).values():
        pipeline = each.get("pipeline") or {}
        # The version of a pipeline is its run's number; the run itself knows the commit.
        listed = await visit.api.either(
            api(project, "build", "builds"), [], definitions=pipeline.get("id"), buildNumber=each.get("version")
        )
        source = next((build for build in listed if build["buildNumber"] == each.get("version")), None)
        if source:
            return str(source["sourceVersion"])
    return otherwise


async def _last_deployment(visit: Visit, project: str, environment: Document, run: Document) -> Document | None:
    where = api(project, "distributedtask", "environments", environment["id"], "environmentdeploymentrecords")
    records = await visit.api.either(where, [])
    done = [each for each in records if each.get("result") == "succeeded" and each["owner"]["id"] != run["id"]]
    return max(done, key=lambda each: each["id"], default=None)


def check_shown(check: Document) -> Document:
    """A check in words."""
    settings, kind = check.get("settings") or {}, check["type"]["name"]
    inputs = settings.get("inputs") or {}
    name, about = kind, ""
    if kind == "Approval":
        people = ", ".join(each.get("displayName", each["id"]) for each in settings.get("approvers") or [])
        count = settings.get("minRequiredApprovers") or 0
        about = f"by {people}" + (f", at least {count} of them" if count else ", all of them")
        # The service keeps who may not: the requester.
        if settings.get("requesterCannotBeApprover"):
            about += "; not by who asked for the run"
    elif kind == "ExclusiveLock":
        name, about = "Exclusive lock", "one run at a time"
    elif "allowedBranches" in inputs:
        name, about = "Branch control", f"only from {inputs['allowedBranches']}"
        if str(inputs.get("ensureProtectionOfBranch", "")).lower() == "true":
            about += ", which must be protected"
    elif "businessDays" in inputs:
        name = "Business hours"
        about = f"{inputs['businessDays']}, {inputs['startTime']} to {inputs['endTime']} ({inputs['timeZone']})"
    return {"id": check["id"], "name": name, "about": about, "timeout": check.get("timeout")}


async def decide(visit: Visit) -> Done:
    """Approves or rejects, as the person who is signed in."""
    status = visit.form.get("status", "")
    body = [{"approvalId": visit.query.get("approvalId"), "status": status, "comment": visit.form.get("comment", "")}]
    await visit.api.send("PATCH", api(visit.route["project"], "pipelines", "approvals"), body)
    back = page(visit.route["project"], "_build", "results", buildId=visit.query.get("buildId"))
    return Done(back, {"approved": "Approved.", "rejected": "Rejected."}.get(status, status))
