"""The one comment of the preview in a pull request: made, edited in place, and resolved.

A property of its thread marks it as ours (https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-threads).
Nobody else's comment is edited: the service refuses that, and anybody could set the property.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from delivery.azure_devops import AzureDevOps, AzureDevOpsError

MARK = "databricks-cicd.preview"
CONNECTION_VERSION = "7.1-preview.1"
# What the policy "comments must be resolved" waits for
# (https://learn.microsoft.com/azure/devops/repos/git/branch-policies#check-for-comment-resolution).
OPEN = ("active", "pending")

Outcome = Literal["created", "edited", "unchanged", "resolved", "left to a later push", "nothing to say"]


@dataclass(frozen=True, kw_only=True)
class Comment:
    """What it should say. `flagged` asks for somebody's look, `empty` says that nothing is left to see."""

    text: str
    flagged: bool
    empty: bool


def publish(service: AzureDevOps, pull_request: int, comment: Comment, *, source_commit: str | None = None) -> Outcome:
    """Brings the comment to what it should say.

    A thread that asks for a look is active, which the policy on comments makes a pull request wait for; a person
    resolves it. It becomes active again only when it says something else. Where nothing is destroyed and nothing
    concerns gates, policies or permissions, the thread has no state, and nothing waits for it.

    Args:
        service: signed in as who may contribute to pull requests.
        pull_request: its number.
        comment: the text, at most 150,000 characters.
        source_commit: the commit of the source branch that was previewed. If the pull request has gone on since, a
            later build speaks.

    Raises:
        AzureDevOpsError: the service refuses, or can't be reached.
    """
    told = service.get(f"git/pullrequests/{pull_request}")
    now = (told.get("lastMergeSourceCommit") or {}).get("commitId")
    if source_commit and now and now != source_commit:
        return "left to a later push"
    threads = f"git/repositories/{told['repository']['id']}/pullRequests/{pull_request}/threads"
    thread = _ours(service, threads)
    if thread is None:
        return _created(service, threads, comment)
    first = thread["comments"][0]
    is_new = _same(first.get("content")) != _same(comment.text)
    if is_new:
        service.patch(f"{threads}/{thread['id']}/comments/{first['id']}", {"content": comment.text}, repeat=True)
    is_open = thread.get("status") in OPEN
    wanted = "active" if comment.flagged and is_new else "fixed" if is_open and not comment.flagged else None
    if comment.empty and thread.get("status") not in ("fixed", "closed"):
        wanted = "fixed"
    if wanted and wanted != thread.get("status"):
        service.patch(f"{threads}/{thread['id']}", {"status": wanted}, repeat=True)
    if comment.empty and (is_new or wanted):
        return "resolved"
    return "edited" if is_new or wanted else "unchanged"


def _created(service: AzureDevOps, threads: str, comment: Comment) -> Outcome:
    if comment.empty:
        return "nothing to say"
    document: dict[str, Any] = {
        "comments": [{"parentCommentId": 0, "content": comment.text, "commentType": "text"}],
        "properties": {MARK: {"$type": "System.String", "$value": "1"}},
    }
    if comment.flagged:
        document["status"] = "active"
    try:
        service.post(threads, document)
    except AzureDevOpsError as error:
        # It may be there all the same: then the next push finds it, and this one needn't make a second.
        if not (error.uncertain and _ours(service, threads)):
            raise
    return "created"


def _ours(service: AzureDevOps, threads: str) -> Mapping[str, Any] | None:
    """Our thread; the first one, should two builds have made one each at the same time."""
    user = service.get("/connectionData", api_version=CONNECTION_VERSION)["authenticatedUser"]["id"]
    for thread in sorted(service.get(threads)["value"], key=lambda thread: int(thread["id"])):
        comments = thread.get("comments") or ()
        if thread.get("isDeleted") or MARK not in (thread.get("properties") or {}) or not comments:
            continue
        if comments[0]["author"]["id"] == user and not comments[0].get("isDeleted"):
            return dict(thread)
    return None


def _same(text: str | None) -> list[str]:
    """The service may store other ends of lines."""
    return (text or "").strip().splitlines()
