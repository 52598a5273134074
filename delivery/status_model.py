"""What `status` shows, whichever way it shows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from delivery.status_record import Release


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job with its last run: `result` as Databricks calls it, None if it hasn't run; `ended` in UTC."""

    name: str
    result: str | None
    ended: str | None
    page: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One side of the table.

    Args:
        name, stack, folder, folder_url: which.
        state: of the record: `deployed`, `deploying`, `failed`; `nothing` without a record.
        current: what is deployed.
        attempt: what is being deployed, or has failed to be.
        jobs: of this environment.
        history: releases that were deployed, the newest first.
        files: SHA-256 of the deployed notebooks and files by their path; None if that isn't recorded.
        problem: why it couldn't be read; None if it could.
    """

    name: str
    stack: str
    folder: str
    folder_url: str
    state: str = "nothing"
    current: Release | None = None
    attempt: Release | None = None
    jobs: tuple[Job, ...] = ()
    history: tuple[Release, ...] = ()
    files: Mapping[str, str] | None = None
    problem: str | None = None

    @property
    def health(self) -> str:
        """In a few words: of the last deployment and of each job's last run."""
        if self.problem:
            return "unknown"
        if self.state in ("deploying", "failed"):
            return "a deployment isn't finished" if self.state == "deploying" else "the last deployment failed"
        failed = [job.name for job in self.jobs if job.result not in (None, "SUCCESS")]
        if failed:
            return f"failed last: {', '.join(failed)}"
        return "well" if any(job.result for job in self.jobs) else "no job has run yet"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How the first environment differs from the second: files of the release by path; None if that isn't known."""

    same: bool
    added: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None
    removed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class OnItsWay:
    """A run of the release pipeline that has not ended. `stage` is the one that it is in, `waits` for what."""

    number: str
    page: str
    stage: str
    waits: str | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything that is shown. `pipeline` says why the releases on their way aren't known, if they aren't."""

    at: str
    environments: tuple[Environment, ...]
    difference: Difference | None
    on_their_way: tuple[OnItsWay, ...]
    pipeline: str | None

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        shown = asdict(self)
        for each, environment in zip(shown["environments"], self.environments, strict=True):
            del each["files"]
            each["health"] = environment.health
        return shown
