"""What the forms on a pull request's page do, as the person who is signed in."""

from urllib.parse import quote

from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops.addresses import Document, api
from rehearsal.pages.azuredevops.code import opened, rest
from rehearsal.pages.site import Action, Done, Visit

VOTES = {10: "Approved", 5: "Approved with suggestions", 0: "No vote", -5: "Waiting for the author", -10: "Rejected"}


async def my_id(visit: Visit) -> str:
    """The id of who looks."""
    data = await visit.api.get(api(None, "connectionData"))
    return str(data["authenticatedUser"]["id"])


async def opened_pull(visit: Visit) -> Document:
    """What `opened` gives, and the pull request that the address names."""
    content = await opened(visit)
    pull = await visit.api.get(rest(content, "pullrequests", visit.route["pull"]))
    return content | {"pull": pull}


def of_pull(content: Document, *segments: object) -> str:
    """The path of a part of the REST interface that belongs to the pull request."""
    return rest(content, "pullRequests", content["pull"]["pullRequestId"], *segments)


def _here(visit: Visit) -> str:
    return visit.address(comment=None)


async def _vote(visit: Visit) -> Done:
    content = await opened_pull(visit)
    vote = int(visit.form["vote"])
    me = await my_id(visit)
    await visit.api.send("PUT", of_pull(content, "reviewers", me), {"id": me, "vote": vote})
    return Done(_here(visit), f"Your vote: {VOTES.get(vote, vote)}.")


async def _add_reviewer(visit: Visit) -> Done:
    content = await opened_pull(visit)
    id_ = visit.form.get("reviewer", "")
    await visit.api.send("PUT", of_pull(content, "reviewers", id_), {"id": id_, "vote": 0})
    return Done(_here(visit), "The reviewer is asked.")


async def _comment(visit: Visit) -> Done:
    """A new thread, on the whole or on a line."""
    content = await opened_pull(visit)
    text = visit.form.get("text", "").strip()
    if not text:
        raise Refused(400, "The comment is empty.")
    body: Document = {"comments": [{"parentCommentId": 0, "content": text, "commentType": 1}], "status": 1}
    if visit.form.get("path"):
        line = int(visit.form["line"])
        body["threadContext"] = {
            "filePath": visit.form["path"],
            "rightFileStart": {"line": line, "offset": 1},
            "rightFileEnd": {"line": line, "offset": 1},
        }
    await visit.api.send("POST", of_pull(content, "threads"), body)
    return Done(_here(visit), "The comment is added.")


async def _reply(visit: Visit) -> Done:
    content = await opened_pull(visit)
    thread, text = visit.form.get("thread", ""), visit.form.get("text", "").strip()
    if text:
        body = {"parentCommentId": 1, "content": text, "commentType": 1}
        await visit.api.send("POST", of_pull(content, "threads", thread, "comments"), body)
    status = visit.form.get("status")
    if status:
        await visit.api.send("PATCH", of_pull(content, "threads", thread), {"status": status})
    if not text and not status:
        raise Refused(400, "The comment is empty.")
    return Done(_here(visit), {"fixed": "Resolved.", "active": "Open again."}.get(status or "", "The reply is added."))


async def _resolve(visit: Visit) -> Done:
    visit.form = {**visit.form, "status": "fixed"}
    return await _reply(visit)


async def _reactivate_thread(visit: Visit) -> Done:
    visit.form = {**visit.form, "status": "active"}
    return await _reply(visit)


def _completion(visit: Visit) -> Document:
    options: Document = {
        "mergeStrategy": visit.form.get("strategy", "squash"),
        "deleteSourceBranch": "delete_branch" in visit.form,
    }
    if visit.form.get("message", "").strip():
        options["mergeCommitMessage"] = visit.form["message"].strip()
    return options


async def _complete(visit: Visit) -> Done:
    content = await opened_pull(visit)
    body = {
        "status": "completed",
        "lastMergeSourceCommit": {"commitId": visit.form.get("source_commit", "")},
        "completionOptions": _completion(visit),
    }
    await visit.api.send("PATCH", of_pull(content), body)
    return Done(_here(visit), "The pull request is completed.")


async def _auto_complete(visit: Visit) -> Done:
    content = await opened_pull(visit)
    body = {"autoCompleteSetBy": {"id": await my_id(visit)}, "completionOptions": _completion(visit)}
    await visit.api.send("PATCH", of_pull(content), body)
    return Done(_here(visit), "It completes by itself when all policies are satisfied.")


async def _cancel_auto_complete(visit: Visit) -> Done:
    content = await opened_pull(visit)
    nobody = {"id": "00000000-0000-0000-0000-000000000000"}
    await visit.api.send("PATCH", of_pull(content), {"autoCompleteSetBy": nobody})
    return Done(_here(visit), "It waits for somebody to complete it.")


async def _abandon(visit: Visit) -> Done:
    content = await opened_pull(visit)
    await visit.api.send("PATCH", of_pull(content), {"status": "abandoned"})
    return Done(_here(visit), "The pull request is abandoned.")


async def _reactivate(visit: Visit) -> Done:
    content = await opened_pull(visit)
    await visit.api.send("PATCH", of_pull(content), {"status": "active"})
    return Done(_here(visit), "The pull request is active again.")


async def _edit(visit: Visit) -> Done:
    content = await opened_pull(visit)
    body = {"title": visit.form.get("title", ""), "description": visit.form.get("description", "")}
    await visit.api.send("PATCH", of_pull(content), body)
    return Done(_here(visit), "Title and description are changed.")


async def _requeue(visit: Visit) -> Done:
    content = await opened_pull(visit)
    where = api(content["project"], "policy", "evaluations") + "/" + quote(visit.form.get("evaluation", ""), safe="")
    await visit.api.send("PATCH", where)
    return Done(_here(visit), "The policy is evaluated again.")


ACTIONS: dict[str, Action] = {
    "vote": _vote,
    "add-reviewer": _add_reviewer,
    "comment": _comment,
    "reply": _reply,
    "resolve": _resolve,
    "reactivate-thread": _reactivate_thread,
    "complete": _complete,
    "auto-complete": _auto_complete,
    "cancel-auto-complete": _cancel_auto_complete,
    "abandon": _abandon,
    "reactivate": _reactivate,
    "edit": _edit,
    "requeue": _requeue,
}
