"""What a job tells the service while it runs: records of its steps and their logs, sent in the order they were made."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rehearsal.agent.client import AgentClient, ServiceAwayError, ServiceRefusalError
from rehearsal.agent.masking import SecretMasker
from rehearsal.agent.messages import Json

_EVERY_SECONDS = 0.5
_MOST_ISSUES = 10  # of each type and step, as with Azure's agent


def now() -> str:
    """The time as it stands in records and logs, in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "0Z")


@dataclass
class Record:
    """The timeline's record of one step, in the words of
    https://learn.microsoft.com/rest/api/azure/devops/build/timeline/get#timelinerecord."""

    id: str
    name: str
    order: int
    task: dict[str, str] | None = None
    ref_name: str | None = None
    state: Literal["pending", "inProgress", "completed"] = "pending"
    result: str | None = None
    start_time: str | None = None
    finish_time: str | None = None
    percent_complete: int | None = None
    current_operation: str | None = None
    result_code: str | None = None
    worker: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)
    errors: int = 0
    warnings: int = 0

    def document(self) -> Json:
        """The record in JSON."""
        return {
            "id": self.id, "type": "Task", "name": self.name, "order": self.order, "task": self.task,
            "refName": self.ref_name, "state": self.state, "result": self.result, "startTime": self.start_time,
            "finishTime": self.finish_time, "percentComplete": self.percent_complete,
            "currentOperation": self.current_operation, "resultCode": self.result_code, "workerName": self.worker,
            "issues": [*self.issues], "errorCount": self.errors, "warningCount": self.warnings,
        }  # fmt: skip

    def add_issue(self, kind: Literal["error", "warning"], message: str, data: dict[str, str] | None = None) -> None:
        """Counts an issue, and keeps it unless there are too many. All of it must be masked."""
        if kind == "error":
            self.errors += 1
        else:
            self.warnings += 1
        if sum(issue["type"] == kind for issue in self.issues) < _MOST_ISSUES:
            self.issues.append({"type": kind, "category": "General", "message": message, "data": data or {}})


class Feed:
    """Sends records and logs from a thread of its own, twice a second.

    Args:
        client: the service.
        job: whose.
        masker: hides secrets in every line.
        given_up: called once if the service wants to hear no more of the job.
    """

    def __init__(self, client: AgentClient, job: str, masker: SecretMasker, given_up: Callable[[], None]) -> None:
        self._client = client
        self._job = job
        self._masker = masker
        self._given_up = given_up
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._records: dict[str, Record] = {}
        self._lines: dict[str, list[str]] = {}
        self._sent: dict[str, int] = {}  # lines of each record
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed of {job}", daemon=True)
        self._thread.start()

    def update(self, *records: Record) -> None:
        """These records are new or have changed."""
        with self._lock:
            self._records.update({record.id: record for record in records})

    def line(self, record: str, text: str) -> None:
        """Adds to the log of a record, masked, each line with the time."""
        stamp = now()
        with self._lock:
            lines = self._lines.setdefault(record, [])
            # Masked before it is cut into lines, and after: a secret may be one or the other.
            lines.extend(f"{stamp} {self._masker.mask(line)}" for line in self._masker.mask(text).splitlines() or [""])

    def flush(self) -> None:
        """Sends what is there.

        Raises:
            ServiceAwayError: the service is away for too long.
        """
        with self._sending:
            with self._lock:
                documents = [record.document() for record in self._records.values()]
                lines, self._lines, self._records = self._lines, {}, {}
            try:
                if documents:
                    self._client.timeline(self._job, documents)
                for record, texts in lines.items():
                    first = self._sent.get(record, 0)
                    self._client.log(self._job, record, first, "\n".join(texts) + "\n")
                    self._sent[record] = first + len(texts)
            except ServiceRefusalError:
                self._given_up()

    def close(self) -> None:
        """Sends what is left and ends the thread."""
        self._closing.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_SECONDS):
            try:
                self.flush()
            except ServiceAwayError:
                self._given_up()
                return
