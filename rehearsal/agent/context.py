"""What the steps of a job share: variables, secrets, folders, the way to the service, and whether the job goes on."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rehearsal.agent.client import AgentClient, RestClient
from rehearsal.agent.directories import JobDirectories
from rehearsal.agent.feed import Feed, Record
from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.runtime import RunVariables
from rehearsal.agent.masking import SecretMasker
from rehearsal.agent.messages import JobRequest, Json

_ORDER: tuple[Result, ...] = ("Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped", "Abandoned")


def worse(one: Result, other: Result) -> Result:
    """The one of two results that counts for the whole, in the agent's order (`TaskResultUtil.MergeTaskResults`)."""
    return max(one, other, key=_ORDER.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an agent works.

    Args:
        minute: seconds in a minute of the timeouts of jobs and steps.
        sigint_seconds, sigterm_seconds: what processes get after each signal, by default as with Azure's agent.
        retry_pause: seconds before a failed step is tried for the first time again; more each time.
    """

    minute: float = 60.0
    sigint_seconds: float = 7.5
    sigterm_seconds: float = 2.5
    retry_pause: float = 1.0


class Cancellation:
    """Whether a job is to end before its time, why, and how long it may still take. Safe to use from several threads.

    Args:
        seconds: what steps that run always may take after it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked = threading.Event()
        self._until: float | None = None
        self.reason = ""

    def ask(self, reason: str, *, at_once: bool = False) -> None:
        """Ends the job. `at_once`: steps that run always don't run either. What was asked first holds."""
        if self._until is None or at_once:
            self.reason = self.reason or reason
            self._until = time.monotonic() + (0.0 if at_once else self._seconds)
            self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether the job is to end."""
        return self._asked.is_set()

    @property
    def over(self) -> bool:
        """Whether the time has run out that steps had which run always."""
        return self._until is not None and time.monotonic() >= self._until

    def pause(self, seconds: float) -> None:
        """Waits, but not longer than until the job is to end."""
        self._asked.wait(seconds)


@dataclass(kw_only=True)
class PostStep:
    """What a step has left to do at the end of its job."""

    name: str
    run: Callable[["JobContext", Record], None]


@dataclass(kw_only=True)
class JobContext:
    """A running job.

    Args:
        base: the agent's own environment, which steps get too.
        mark: what the processes of the job are known by.
        status: how the job stands so far: `Agent.JobStatus`.
        path: folders that steps have put in front of PATH, the first one first.
        outputs: what goes to later jobs, by its key.
        checked_out: folders of repositories by alias.
        post: what is to be done at the end, the last one first.
    """

    request: JobRequest
    settings: Settings
    directories: JobDirectories
    client: AgentClient
    rest: RestClient
    feed: Feed
    masker: SecretMasker
    cancellation: Cancellation
    base: Mapping[str, str]
    mark: str
    variables: RunVariables
    status: Result = "Succeeded"
    path: list[str] = field(default_factory=list)
    outputs: Json = field(default_factory=dict)
    post: list[PostStep] = field(default_factory=list)

    def variable(self, name: str) -> str:
        """The value of a variable; empty if there is none."""
        return self.variables.values().get(name, "")

    def set_status(self, status: Result) -> None:
        """Says how the job stands, to the steps too."""
        self.status = status
        self.variables.provide("Agent.JobStatus", status)

    def hide_secrets(self) -> None:
        """Takes care that no log shows what is secret now."""
        for value in self.variables.secrets():
            self.masker.add(value)
