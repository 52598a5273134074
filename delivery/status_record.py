"""What is recorded of releases in a workspace folder, for those who only read it."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ExportFormat

from delivery.stack import Stack

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

FOLDER = ".release"
RECORD = "record.json"
# What reading raises where the record isn't what `deploy` writes.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A recorded release; None where the record says nothing."""

    version: str
    content: str
    digest: str
    commit: str
    branch: str | None
    build_id: int | None
    build: str | None
    approvers: tuple[str, ...]
    deployed_at: str | None
    by: str | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """`state` is `deployed`, `deploying` or `failed`; `nothing` where nothing was ever recorded."""

    state: str
    current: Release | None
    attempt: Release | None
    history: tuple[Release, ...]


def read_record(client: "WorkspaceClient", stack: Stack) -> Record:
    """The record of a stack's folder.

    Raises:
        DatabricksError: the workspace refuses.
        (UNREADABLE): it isn't what `deploy` writes.
    """
    read = _read(client, f"{stack.folder}/{FOLDER}/{RECORD}") or {"state": "nothing"}
    history = [_release(each) for each in read.get("history", [])]
    return Record(
        state=str(read["state"]),
        current=_release(read.get("current")),
        attempt=_release(read.get("attempt")),
        history=tuple(each for each in history if each),
    )


def read_manifest(client: "WorkspaceClient", stack: Stack, content: str) -> Any:
    """The manifest of a recorded release; None if it isn't kept any more."""
    return _read(client, f"{stack.folder}/{FOLDER}/{content}.json")


def _read(client: "WorkspaceClient", path: str) -> Any:
    """The JSON file in the workspace, or None if there is none."""
    try:
        with client.workspace.download(path, format=ExportFormat.AUTO) as content:
            return json.loads(content.read())
    except NotFound:
        return None


def _release(read: Any) -> Release | None:
    if not read:
        return None
    build = read.get("build") or {}
    return Release(
        version=str(read["version"]),
        content=str(read["content"]),
        digest=str(read["digest"]),
        commit=str(read["commit"]),
        branch=read.get("branch"),
        build_id=build.get("id"),
        build=build.get("number"),
        approvers=tuple(map(str, read.get("approvers") or ())),
        deployed_at=read.get("deployed_at"),
        by=read.get("by"),
    )
