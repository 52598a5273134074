"""The record of releases, for those who show it or look something up in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delivery.console import Progress, UnusableError
from delivery.later import Client
from delivery.record import NAME, Ledger
from delivery.stack import Stack
from delivery.workspace import RECORD, Workspace


@dataclass(frozen=True, kw_only=True)
class Release:
    """A recorded release; None where the record says nothing. `error` is why it couldn't be deployed."""

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
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Releases:
    """`state` is `deployed`, `deploying` or `failed`; `nothing` where nothing was ever recorded.

    `current` is what is deployed, `attempt` what is being deployed or has failed to be, `history` what was deployed,
    the newest first. `files` are those of `current` without its tests: SHA-256 by path; None if that isn't kept.
    """

    state: str
    current: Release | None
    attempt: Release | None
    history: tuple[Release, ...]
    files: Mapping[str, str] | None


def read_releases(client: Client, stack: Stack) -> Releases:
    """The releases of a stack's folder.

    Raises:
        UnusableError: they can't be read, or aren't what `deploy` writes.
    """
    workspace = Workspace(client, stack.folder)
    record = Ledger(workspace, Progress()).read()
    try:
        current = _release(record.current)
        manifest = workspace.read_json(f"{current.content}.json") if current else None
        # The tests of a release are delivered to one environment alone.
        kept = [each for each in manifest["files"] if each["part"] != "tests"] if manifest else None
        return Releases(
            state=record.state,
            current=current,
            attempt=_release(record.attempt),
            history=tuple(release for each in record.history if (release := _release(each))),
            files={each["path"]: each["sha256"] for each in kept} if kept is not None else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        path = f"{stack.folder}/{RECORD}/{NAME}"
        raise UnusableError(path, f"not a record of releases ({error!r})", "put back what it was") from None


def _release(read: Mapping[str, Any] | None) -> Release | None:
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
        error=read.get("error"),
    )
