"""Notes of creates, begun and ended. They outlive the process, so that the next one can clear up after it."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What was noted longer ago says nothing about what somebody may have made by hand since.
VALID_SECONDS = 24 * 60 * 60


class Unfinished:
    """The notes of one service, one small file each, in Pulumi's home on this machine. They hold no secret.

    Args:
        service_url: of the organisation or the workspace; keeps apart stacks of the same name in two of them.
        home: the folder; by default `databricks-cicd/unfinished` in PULUMI_HOME or `~/.pulumi`.
    """

    def __init__(self, service_url: str, home: Path | None = None) -> None:
        pulumi_home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        self._home = home or pulumi_home / "databricks-cicd" / "unfinished"
        self._service_url = service_url

    def begin(self, urn: str, there: set[str], like: Mapping[str, str] | None = None) -> None:
        """Notes that a create begins.

        Args:
            urn: the resource.
            there: the ids of what was there before and looked like it.
            like: what else tells the thing that is made from others.
        """
        note = {"urn": urn, "service": self._service_url, "began": time.time(), "before": sorted(there)}
        self._write(urn, note if like is None else {**note, "like": dict(like)})

    def created(self, urn: str, made: str) -> None:
        """Notes that the create has ended, and what it made.

        The note stays: a process that dies now may have told the service and not yet the state.
        """
        note = self._read(urn)
        if note is not None:
            self._write(urn, {**note, "created": made})

    def noted(self, urn: str) -> bool:
        """Whether there is a note of a create of this resource."""
        return self._path(urn).exists()

    def begun(self, urn: str) -> bool:
        """Whether there is a note of a create of this resource of which no end was noted."""
        note = self._read(urn)
        return note is not None and "created" not in note

    def like(self, urn: str) -> dict[str, str]:
        """What was noted at the begin about the thing that is made.

        Raises:
            LookupError: nothing was.
        """
        note = self._read(urn)
        if note is None:
            raise LookupError(f"there is no note of {urn}")
        return dict(note["like"])

    def leftovers(self, urn: str, found: set[str]) -> set[str]:
        """What of the found things a create of this resource has left, given that the state doesn't know the resource.

        Of a create that had ended that is what it made, and nothing else. Of one that was cut off it is what has come
        since it began. A create that began more than a day ago has left nothing: who knows what was done by hand since.

        Args:
            urn: the resource.
            found: the ids of all that looks like it.
        """
        note = self._read(urn)
        if note is None or time.time() - note["began"] > VALID_SECONDS:
            return set()
        if "created" in note:
            return found & {note["created"]}
        return found - set(note["before"])

    def end(self, urn: str) -> None:
        """Forgets the note."""
        self._path(urn).unlink(missing_ok=True)

    def _read(self, urn: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._path(urn).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, urn: str, note: dict[str, Any]) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        path = self._path(urn)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(note), encoding="utf-8")
        draft.replace(path)

    def _path(self, urn: str) -> Path:
        return self._home / (hashlib.sha256(f"{self._service_url}\0{urn}".encode()).hexdigest() + ".json")
