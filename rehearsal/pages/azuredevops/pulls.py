"""Pull requests: listed, made, read, discussed, voted on and completed."""

import functools
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response

from rehearsal.pages import diffs
from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops.addresses import PROJECT, REPOSITORY, Document, api, page
from rehearsal.pages.azuredevops.code import git_of, opened, rest
from rehearsal.pages.azuredevops.pull_actions import ACTIONS, VOTES, my_id, of_pull, opened_pull
from rehearsal.pages.site import Done, Page, Place, View, Visit

STRATEGIES = {
    "squash": "Squash commit",
    "noFastForward": "Merge (no fast forward)",
    "rebase": "Rebase and fast-forward",
    "rebaseMerge": "Semi-linear merge",
}
_STATES = ("active", "completed", "abandoned", "all")


# ------------------------------------------------------------------------------------------------------------- lists


async def _list(visit: Visit) -> Page:
    content = await opened(visit)
    state = visit.query.get("_a", "active")
    state = state if state in _STATES else "active"
    found = await visit.api.get(rest(content, "pullrequests"), **{"searchCriteria.status": state, "$top": 200})
    return Page("azuredevops/pulls.html.j2", content | {"found": found, "state": state, "states": _STATES})


async def _of_project(visit: Visit) -> Response:
    """To the list of the project's own repository, or of its only one."""
    project = visit.route["project"]
    found = await visit.api.get(api(project, "git", "repositories"))
    if not found:
        raise Refused(404, "There is no repository that you may read.")
    own = next((each for each in found if each["name"].casefold() == project.casefold()), found[0])
    return RedirectResponse(page(project, "_git", own["name"], "pullrequests"), 303)


# ---------------------------------------------------------------------------------------------------------- creation


async def _new(visit: Visit, repositories: Path) -> Page:
    content = await opened(visit)
    refs = await visit.api.get(rest(content, "refs"), filter="heads/")
    branches = {each["name"].removeprefix("refs/heads/"): each["objectId"] for each in refs}
    default = content["repository"].get("defaultBranch", "refs/heads/main").removeprefix("refs/heads/")
    source = _short(visit.form.get("source") or visit.query.get("sourceRef", ""))
    target = _short(visit.form.get("target") or visit.query.get("targetRef", "")) or default
    files: list[diffs.File] = []
    commits: list[str] = []
    if source in branches and target in branches and source != target:
        here = git_of(repositories, content["repository"])
        base = here.text("merge-base", branches[target], branches[source])
        files = diffs.between(here, base, branches[source])
        commits = here.text("log", "--max-count=50", "--format=%s", f"{base}..{branches[source]}").splitlines()
    content |= {
        "branches": list(branches),
        "source": source,
        "target": target,
        "files": files,
        "commits": commits,
        "title": visit.form.get("title") or (commits[0] if commits else ""),
        "description": visit.form.get("description", ""),
    }
    return Page("azuredevops/pull_new.html.j2", content)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


async def _create(visit: Visit) -> Done:
    content = await opened(visit)
    body = {
        "sourceRefName": f"refs/heads/{_short(visit.form.get('source', ''))}",
        "targetRefName": f"refs/heads/{_short(visit.form.get('target', ''))}",
        "title": visit.form.get("title", ""),
        "description": visit.form.get("description", ""),
    }
    made = await visit.api.send("POST", rest(content, "pullrequests"), body)
    where = page(content["project"], "_git", content["name"], "pullrequest", made["pullRequestId"])
    return Done(where, "The pull request is created.")


# ---------------------------------------------------------------------------------------------------------- one of them


async def _one(visit: Visit, repositories: Path) -> Page:
    content = await opened_pull(visit)
    tab = visit.query.get("_a", "overview")
    pull = content["pull"]
    content |= {"tab": tab, "votes": VOTES, "strategies": STRATEGIES, "me": await my_id(visit)}
    content["threads"] = [_thread(each) for each in await visit.api.get(of_pull(content, "threads")) if _is_shown(each)]
    if tab == "files":
        return _files(visit, content, repositories)
    if tab == "commits":
        content["commits"] = await visit.api.get(of_pull(content, "commits"))
        return Page("azuredevops/pull_commits.html.j2", content)
    project_id = content["repository"]["project"]["id"]
    artifact = f"vstfs:///CodeReview/CodeReviewId/{project_id}/{pull['pullRequestId']}"
    evaluations, statuses, members = await visit.api.gather(
        visit.api.either(api(content["project"], "policy", "evaluations"), [], artifactId=artifact),
        visit.api.either(of_pull(content, "statuses"), []),
        _people(visit, content),
    )
    content |= {
        "evaluations": [_evaluation(each, content) for each in evaluations],
        "statuses": statuses,
        "members": members,
        "conflicts": pull.get("mergeStatus") == "conflicts",
    }
    return Page("azuredevops/pull.html.j2", content)


async def _people(visit: Visit, content: Document) -> list[Document]:
    """Who can be asked for a review: the project's team, without those who are asked already."""
    project = content["repository"]["project"]["id"]
    teams = await visit.api.either(api(None, "projects", project, "teams"), [])
    if not teams:
        return []
    found = await visit.api.either(api(None, "projects", project, "teams", teams[0]["id"], "members"), [])
    asked = {each["id"] for each in content["pull"]["reviewers"]} | {content["pull"]["createdBy"]["id"]}
    return [each["identity"] for each in found if each["identity"]["id"] not in asked]


def _is_shown(thread: Document) -> bool:
    return not thread.get("isDeleted") and any(not each.get("isDeleted") for each in thread["comments"])


def _thread(thread: Document) -> Document:
    """A thread as the pages show it. One of the system tells what happened, and has no status to be resolved."""
    comments = [each for each in thread["comments"] if not each.get("isDeleted")]
    where = thread.get("threadContext") or {}
    line = (where.get("rightFileStart") or where.get("leftFileStart") or {}).get("line")
    status = thread.get("status")
    return {
        "id": thread["id"],
        "status": status,
        "is_open": status in ("active", "pending", 1, 6),
        "is_system": all(each.get("commentType") == "system" for each in comments),
        "comments": comments,
        "path": where.get("filePath"),
        "line": line,
        "left": bool(where.get("leftFileStart") and not where.get("rightFileStart")),
    }


def _evaluation(evaluation: Document, content: Document) -> Document:
    """A policy with its state and, where it says one, its reason."""
    configuration = evaluation["configuration"]
    settings, context = configuration.get("settings") or {}, evaluation.get("context") or {}
    name = configuration["type"]["displayName"]
    build = context.get("buildId")
    return {
        "id": evaluation["evaluationId"],
        "name": settings.get("displayName") or name,
        "kind": name,
        "status": evaluation["status"],
        "blocking": configuration["isBlocking"],
        "about": _about(name, settings, content),
        "expired": bool(context.get("isExpired")),
        "build": build,
        "build_page": page(content["project"], "_build", "results", buildId=build) if build else None,
        "is_build": name == "Build",
    }


def _about(name: str, settings: Document, content: Document) -> str:
    """What the policy wants, in words."""
    if name == "Minimum number of reviewers":
        count = settings.get("minimumApproverCount", 1)
        wanted = f"{count} approval{'' if count == 1 else 's'} needed"
        if not settings.get("creatorVoteCounts"):
            wanted += "; the author's own does not count"
        if settings.get("resetOnSourcePush"):
            wanted += "; a new push takes votes back"
        return wanted
    if name == "Comment requirements":
        left = sum(each["is_open"] and not each["is_system"] for each in content["threads"])
        return f"all comments must be resolved; {left} open" if left else "all comments are resolved"
    if name == "Require a merge strategy":
        allowed = [words for key, words in STRATEGIES.items() if settings.get(f"allow{key[:1].upper()}{key[1:]}")]
        return "allowed: " + ", ".join(allowed or ["Squash commit"])
    if name == "Required reviewers":
        return str(settings.get("message") or "certain people must approve")
    return ""


def _files(visit: Visit, content: Document, repositories: Path) -> Page:
    pull = content["pull"]
    here = git_of(repositories, content["repository"])
    source, target = (
        str((pull.get(f"lastMerge{side}Commit") or {}).get("commitId", "")) for side in ("Source", "Target")
    )
    only = visit.query.get("path")
    files: list[diffs.File] = []
    if here.resolve(source) and here.resolve(target):
        files = diffs.between(here, here.text("merge-base", target, source), source, only)
    by_place: dict[tuple[str, Any, bool], list[Document]] = {}
    for thread in content["threads"]:
        if thread["path"]:
            by_place.setdefault((thread["path"], thread["line"], thread["left"]), []).append(thread)
    content |= {"files": files, "only": only, "by_place": by_place, "asked": _asked(visit)}
    return Page("azuredevops/pull_files.html.j2", content)


def _asked(visit: Visit) -> tuple[str, int] | None:
    """The line that somebody wants to comment on."""
    path, _, line = visit.query.get("comment", "").rpartition(":")
    return (path, int(line)) if path and line.isdigit() else None


def places(repositories: Path) -> list[Place]:
    """The pages."""
    one: View = functools.partial(_one, repositories=repositories)
    new: View = functools.partial(_new, repositories=repositories)
    return [
        Place(f"{REPOSITORY}/pullrequests", _list),
        Place(f"{REPOSITORY}/pullrequestcreate", new, {"create": _create}),
        Place(rf"{REPOSITORY}/pullrequest/(?P<pull>\d+)", one, ACTIONS),
        Place(f"{PROJECT}/_pullrequests", _of_project),
    ]
