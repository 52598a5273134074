"""Notes of creates that have begun and not ended. They outlive the process, so that the next one can clear up."""

import hashlib
import json
import os
import time
from pathlib import Path

# What was noted longer ago says nothing about what somebody may have made by hand since.
VALID_SECONDS = 24 * 60 * 60


class Unfinished:
    """The notes of one organisation, one small file each, in Pulumi's home on this machine. They hold no secret.

    Args:
        organization_url: keeps apart stacks of the same name in two organisations.
        home: the folder; by default `databricks-cicd/unfinished` in PULUMI_HOME or `~/.pulumi`.
    """

    def __init__(self, organization_url: str, home: Path | None = None) -> None:
        pulumi_home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        self._home = home or pulumi_home / "databricks-cicd" / "unfinished"
        self._organization_url = organization_url

    def begin(self, urn: str, there: set[str]) -> None:
        """Notes that a create begins, and the ids of what was there before and looked like it."""
        self._home.mkdir(parents=True, exist_ok=True)
        note = {"urn": urn, "organization": self._organization_url, "began": time.time(), "before": sorted(there)}
        path = self._path(urn)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(note), encoding="utf-8")
        draft.replace(path)

    def before(self, urn: str) -> set[str] | None:
        """What was there before the unfinished create of this resource; None where there is no such note."""
        try:
            note = json.loads(self._path(urn).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if time.time() - note["began"] > VALID_SECONDS:
            return None
        return set(note["before"])

    def end(self, urn: str) -> None:
        """Forgets the note."""
        self._path(urn).unlink(missing_ok=True)

    def _path(self, urn: str) -> Path:
        return self._home / (hashlib.sha256(f"{self._organization_url}\0{urn}".encode()).hexdigest() + ".json")
