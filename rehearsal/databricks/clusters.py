"""The cluster processes: one that serverless tasks share, and one for each job cluster of a run."""

import json
import shutil
import time
from pathlib import Path

from rehearsal.databricks import run_documents
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.databricks.processes import Children
from rehearsal.store import Document, Store

SERVERLESS = "serverless"


class ClusterError(Exception):
    """A cluster doesn't start; the message says why."""


def of_task(run: Document, task: Document) -> tuple[str, str]:
    """The kind of compute of a task (`serverless` or `classic`), and the key of its cluster."""
    if task.get("job_cluster_key"):
        return "classic", f"{run['run_id']}-{task['job_cluster_key']}"
    if task.get("new_cluster"):
        return "classic", f"{run['run_id']}-task-{task['task_key']}"
    return SERVERLESS, SERVERLESS


class Clusters:
    """Starts clusters when a task needs one and ends them when none does.

    Args:
        store: keeps which there are, so that a server that was killed finds them again.
        compute: program, folders, times.
        children: starts and ends the processes.
    """

    def __init__(self, store: Store, compute: Compute, children: Children) -> None:
        self._store = store
        self._compute = compute
        self._children = children

    def ready(self, key: str) -> Path | None:
        """The folder of the cluster, or None while it starts. Starts it where there is none.

        Raises:
            ClusterError: it ended, or took too long.
        """
        known = self._store.get("cluster", key)
        if known is not None and not self._children.alive(known["process"]):
            self._store.delete("cluster", key)
            if not known["ready"]:
                raise ClusterError(f"The cluster ended while it started. {_tail(Path(known['folder']))}")
            known = None
        if known is None:
            known = self._start(key)
        folder = Path(known["folder"])
        if not known["ready"]:
            if not _announced(folder):
                if run_documents.now() - known["started_at"] > self._compute.start_seconds * 1000:
                    self.end(key)
                    raise ClusterError(f"The cluster was not ready within {self._compute.start_seconds:.0f} seconds.")
                return None
            known["ready"] = True
        self._store.put("cluster", key, known | {"used_at": run_documents.now()})
        return folder

    def tidy(self, in_use: set[str]) -> float | None:
        """Ends the clusters of runs that have ended, and the shared one when it idled long enough.

        Args:
            in_use: the keys that some task needs.

        Returns:
            The seconds after which there is something to do again.
        """
        soonest = None
        for key, known in self._store.items("cluster"):
            if key in in_use:
                self._store.put("cluster", key, known | {"used_at": run_documents.now()})
                continue
            idle = (run_documents.now() - known["used_at"]) / 1000
            if key == SERVERLESS and idle < self._compute.idle_seconds:
                soonest = self._compute.idle_seconds - idle
            else:
                self.end(key)
        return soonest

    def end(self, key: str) -> None:
        """Ends a cluster, children included, and waits for that."""
        known = self._store.get("cluster", key)
        if known is None:
            return
        self._children.terminate(known["process"], hard=False)
        deadline = time.monotonic() + self._compute.grace_seconds
        while self._children.alive(known["process"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._children.terminate(known["process"], hard=True)
        while self._children.alive(known["process"]) and time.monotonic() < deadline + 5:
            time.sleep(0.05)
        self._store.delete("cluster", key)
        shutil.rmtree(known["folder"], ignore_errors=True)

    def _start(self, key: str) -> Document:
        number = self._store.next_number("cluster-folder")
        folder = self._compute.clusters / f"{key}-{number}"
        folder.mkdir(mode=0o700, parents=True)
        self._compute.data.mkdir(parents=True, exist_ok=True)
        # Its own clock for being idle is there for the case that nobody is left to end it.
        idle = str(int(self._compute.idle_seconds * 2 + 60))
        options = ["--data", str(self._compute.data), "--memory", self._compute.memory, "--idle", idle]
        # The rehearsal's data are small. Who wants to see a million rows takes a cluster of the job.
        options += ["--small-data"] if key == SERVERLESS else []
        try:
            process = self._children.start(
                [*self._compute.cluster, str(folder), *options], folder, {MARKER: str(self._compute.runs)}
            )
        except OSError as error:
            raise ClusterError(f"The cluster could not be started: {error}") from error
        at = run_documents.now()
        known: Document = {"process": process, "folder": str(folder), "started_at": at, "used_at": at, "ready": False}
        self._store.put("cluster", key, known)
        return known


def _announced(folder: Path) -> bool:
    try:
        json.loads((folder / "cluster.json").read_text())
    except (OSError, ValueError):
        return False
    return True


def _tail(folder: Path) -> str:
    try:
        lines = (folder / "stderr").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-10:])
