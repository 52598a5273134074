"""Comment threads and comments.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-threads and
https://learn.microsoft.com/rest/api/azure/devops/git/pull-request-thread-comments.
"""

from typing import Any

from rehearsal.azuredevops import permissions
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.pull_requests import discussion, documents, lifecycle, views
from rehearsal.azuredevops.routing import Answer
from rehearsal.store import Document

threads = views.of_a_pull_request("pullRequestThreads", "threads/{threadId}", "ab6e2e5d-a0b7-4153-b64a-a4efe0d49449")
comments = views.of_a_pull_request(
    "pullRequestThreadComments", "threads/{threadId}/comments/{commentId}", "965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b"
)


def _named(value: object, names: tuple[str, ...], what: str) -> str:
    """A value of an enumeration, which clients give by name or by number."""
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    known = {each.casefold(): each for each in names}
    if str(value).casefold() not in known:
        raise invalid(f"The value '{value}' is not valid for {what}.")
    return known[str(value).casefold()]


def _comment(call: Call, number: int, given: dict[str, Any]) -> Document:
    kind = _named(given.get("commentType") or "text", discussion.KINDS, "commentType")
    parent = int(given.get("parentCommentId") or 0)
    return discussion.comment(number, parent, call.user, discussion.checked(given.get("content")), kind)


def _shown_comment(call: Call, pull: Document, thread: Document, comment: Document) -> Document:
    address = views.url(call, pull, "threads", thread["id"], "comments", comment["id"])
    shown = {
        **comment,
        "author": views.person(call, comment["author"]),
        "usersLiked": [],
        "_links": {"self": {"href": address}},
    }
    if comment["isDeleted"]:
        del shown["content"]
    else:
        del shown["isDeleted"]
    return shown


def shown(call: Call, pull: Document, thread: Document) -> Document:
    """A thread as the service answers it. One that nobody needs to resolve has no status."""
    document = {
        **thread,
        "comments": [_shown_comment(call, pull, thread, each) for each in thread["comments"]],
        "identities": None,
        "_links": {"self": {"href": views.url(call, pull, "threads", thread["id"])}},
    }
    if thread["status"] is None:
        del document["status"]
    return document


def _find(call: Call, pull: Document) -> Document:
    id_ = call.number("threadId")
    found = call.store.get("pull-request-thread", discussion.key(pull, id_))
    if found is None:
        raise ServiceError(404, f"The thread {id_} was not found.", "CommentThreadNotFoundException")
    return found


def _keep(call: Call, pull: Document, thread: Document) -> None:
    thread["lastUpdatedDate"] = now()
    # A thread whose comments are all gone is gone, too.
    thread["isDeleted"] = all(each["isDeleted"] for each in thread["comments"])
    discussion.keep(call.service, pull, thread)
    lifecycle.refresh(call.service, pull)


@threads.on("POST")
def create(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    body = call.document()
    given = body.get("comments")
    if not isinstance(given, list) or not given:
        raise missing_value("comments")
    status = body.get("status")
    thread = discussion.new_thread(
        call.service,
        pull,
        [_comment(call, number, each) for number, each in enumerate(given, 1)],
        status=None if status is None else _named(status, discussion.STATUSES, "status"),
        threadContext=body.get("threadContext"),
        pullRequestThreadContext=body.get("pullRequestThreadContext"),
        properties={name: discussion.typed(value) for name, value in (body.get("properties") or {}).items()},
    )
    lifecycle.refresh(call.service, pull)
    return shown(call, pull, thread)


@threads.on("GET")
def get(call: Call) -> Answer:
    pull = views.found(call)
    if "threadId" in call.route:
        return shown(call, pull, _find(call, pull))
    return [shown(call, pull, each) for each in documents.threads(call.store, pull)]


@threads.on("PATCH")
def update(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    thread = _find(call, pull)
    body = call.document()
    if body.get("status") is not None:
        thread["status"] = _named(body["status"], discussion.STATUSES, "status")
    for name, value in (body.get("properties") or {}).items():
        thread["properties"][name] = discussion.typed(value)
    for given in body.get("comments") or []:
        if given.get("id"):
            _edit(call, _comment_of(thread, int(given["id"])), given)
        else:
            thread["comments"].append(_comment(call, len(thread["comments"]) + 1, given))
    _keep(call, pull, thread)
    return shown(call, pull, thread)


def _comment_of(thread: Document, number: int) -> Document:
    found: Document | None = next((each for each in thread["comments"] if each["id"] == number), None)
    if found is None:
        raise ServiceError(404, f"The comment {number} was not found.", "CommentNotFoundException")
    return found


def _edit(call: Call, comment: Document, given: dict[str, Any]) -> None:
    if comment["author"] != call.user["id"]:
        raise ServiceError(403, "Only the author of a comment can change it.", "CommentNotEditableException")
    time = now()
    comment |= {
        "content": discussion.checked(given.get("content")),
        "lastUpdatedDate": time,
        "lastContentUpdatedDate": time,
    }


@comments.on("POST")
def add_comment(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    thread = _find(call, pull)
    comment = _comment(call, len(thread["comments"]) + 1, call.document())
    thread["comments"].append(comment)
    _keep(call, pull, thread)
    return _shown_comment(call, pull, thread, comment)


@comments.on("GET")
def get_comments(call: Call) -> Answer:
    pull = views.found(call)
    thread = _find(call, pull)
    if "commentId" in call.route:
        return _shown_comment(call, pull, thread, _comment_of(thread, call.number("commentId")))
    return [_shown_comment(call, pull, thread, each) for each in thread["comments"]]


@comments.on("PATCH")
def edit_comment(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    thread = _find(call, pull)
    comment = _comment_of(thread, call.number("commentId"))
    _edit(call, comment, call.document())
    _keep(call, pull, thread)
    return _shown_comment(call, pull, thread, comment)


@comments.on("DELETE")
def delete_comment(call: Call) -> Answer:
    pull = views.found(call, "PullRequestContribute")
    thread = _find(call, pull)
    comment = _comment_of(thread, call.number("commentId"))
    if comment["author"] != call.user["id"]:
        token = permissions.git_token(pull["project"], pull["repository"])
        permissions.demand(call.store, call.user, GIT, token, "Administer")
    comment |= {"isDeleted": True, "content": "", "lastUpdatedDate": now()}
    _keep(call, pull, thread)
    return None
