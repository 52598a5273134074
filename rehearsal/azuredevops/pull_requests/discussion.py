"""Comment threads, and the notes that the service itself leaves among them."""

from typing import Any

from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.errors import ServiceError
from rehearsal.azuredevops.pull_requests import documents
from rehearsal.store import Document

LONGEST_COMMENT = 150_000  # characters
STATUSES = ("unknown", "active", "fixed", "wontFix", "closed", "byDesign", "pending")
KINDS = ("unknown", "text", "codeChange", "system")


def key(pull: Document, thread_id: int) -> str:
    return f"{documents.key(pull)}/{thread_id:09}"


def keep(service: Service, pull: Document, thread: Document) -> None:
    """Keeps a thread."""
    service.store.put("pull-request-thread", key(pull, thread["id"]), thread)


def new_thread(service: Service, pull: Document, comments: list[Document], **more: Any) -> Document:
    """Makes a thread of comments."""
    time = now()
    thread = {
        "id": service.store.next_number("pull-request-thread"),
        "status": None,
        "isDeleted": False,
        "threadContext": None,
        "pullRequestThreadContext": None,
        "properties": {},
        "publishedDate": time,
        "lastUpdatedDate": time,
        "comments": comments,
        **more,
    }
    keep(service, pull, thread)
    return thread


def comment(number: int, parent: int, author: Document, content: str, kind: str) -> Document:
    """A comment of a thread."""
    time = now()
    return {
        "id": number,
        "parentCommentId": parent,
        "author": author["id"],
        "content": content,
        "commentType": kind,
        "publishedDate": time,
        "lastUpdatedDate": time,
        "lastContentUpdatedDate": time,
        "isDeleted": False,
    }


def note(service: Service, pull: Document, user: Document, text: str, kind: str) -> None:
    """Tells in a thread of its own what has happened; nobody needs to resolve that.

    Args:
        kind: as clients tell such threads apart: `VoteUpdate`, `RefUpdate`, `StatusUpdate`, ...
    """
    said = comment(1, 0, user, text, "system")
    new_thread(service, pull, [said], properties={"CodeReviewThreadType": typed(kind)})


def typed(value: Any) -> Document:
    """A property's value with its type, as the service shows it (PropertiesCollection)."""
    if isinstance(value, dict) and "$value" in value:
        value = value["$value"]
    if isinstance(value, bool):
        return {"$type": "System.Boolean", "$value": value}
    if isinstance(value, int):
        return {"$type": "System.Int32", "$value": value}
    return {"$type": "System.String", "$value": str(value)}


def checked(content: object) -> str:
    """The text of a comment.

    Raises:
        ServiceError: 400, when it is empty or too long. The words are known from
            https://github.com/runatlantis/atlantis/pull/1585; those for an empty one aren't.
    """
    text = str(content or "")
    if not text.strip():
        raise ServiceError(400, "Value cannot be null.\r\nParameter name: comment.Content", "ArgumentNullException")
    if len(text) > LONGEST_COMMENT:
        message = f"A discussion comment cannot be longer than {LONGEST_COMMENT} characters."
        raise ServiceError(400, f"{message}\r\nParameter name: comment.Content", "ArgumentException")
    return text
