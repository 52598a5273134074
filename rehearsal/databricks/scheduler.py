"""The thread that runs jobs: it starts, watches and ends processes, and keeps in the store what became of them.

Every look is: what happened to the processes (outside of any transaction), what follows from it (`run_machine`, one
short transaction a run), which processes are to be started (again outside). A server that was killed in between finds
everything again from the store and from the marks in the processes' environment.
"""

import secrets
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable

from rehearsal.databricks import (
    mail_sink,
    notifications,
    processes,
    run_documents,
    run_machine,
    run_results,
    run_tasks,
)
from rehearsal.databricks.clusters import ClusterError, Clusters, of_task
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.databricks.run_machine import HOLDS_SLOT, Turn
from rehearsal.databricks.run_states import ending
from rehearsal.databricks.run_tasks import RefusedError
from rehearsal.store import Document, Store, secret_key
from rehearsal.worker import Worker

_POLL = 0.15  # seconds between two looks while a process runs


class Scheduler:
    """Runs the jobs of one workspace.

    Args:
        store: the workspace's state.
        compute: folders, programs and limits.
    """

    def __init__(self, store: Store, compute: Compute) -> None:
        self._store = store
        self._compute = compute
        self._children = processes.Children()
        self._clusters = Clusters(store, compute, self._children)
        self._session = secrets.token_hex(4)
        self._lock = threading.RLock()
        self._worker = Worker("runs", self.step)
        self._signaled: dict[int, float] = {}
        self._sink = mail_sink.MailSink(compute.mail)
        self._sender = notifications.Sender(store, self._sink.address, compute.retry_seconds)
        if store.items("active") or store.items("cluster"):
            self._adopt()
            self.wake()
        self._sender.wake()

    def wake(self) -> None:
        """Has the thread look at once; starts it at the first time."""
        self._worker.wake()

    def close(self) -> None:
        """Ends all runs, their processes and the clusters. For the orderly end of the server."""
        with self._lock:
            self._worker.stop()
            processes.end_all(self._compute.runs, self._compute.grace_seconds)
            self._children.forget()
            why = ending(
                "CANCELED", "The rehearsal was stopped while this ran; it ended the run.", code="CANCELED", broken=False
            )
            with self._store.transaction():
                for key, _ in self._store.items("active"):
                    self._end_with_server(int(key), why)
                for key, _ in self._store.items("cluster"):
                    self._store.delete("cluster", key)
        self._worker.join()
        self._sender.close()
        self._sink.close()

    def reset(self, clear: Callable[[], None]) -> None:
        """Ends all processes at once, removes what runs made, and then clears the state."""
        with self._lock:
            processes.sweep(MARKER, str(self._compute.runs))
            self._children.forget()
            self._signaled.clear()
            for folder in self._compute.folders:
                shutil.rmtree(folder, ignore_errors=True)
            clear()

    def _end_with_server(self, run_id: int, why: Document) -> None:
        run = self._store.get("run", str(run_id))
        if run is None:
            return
        for each in run["attempts"]:
            if each["phase"] != "TERMINATED":
                folder = self._compute.runs / each["folder"]
                if each["process"] and not (folder / "result.json").exists():
                    run_results.leave_page(folder, why)
                each |= {"phase": "TERMINATED", "ending": why, "end_time": run_documents.now(), "kill": None}
                if each.get("token"):
                    self._store.delete("run_token", each.pop("token"))
        run |= {"phase": "TERMINATED", "ending": why, "end_time": run_documents.now(), "queue_reason": None}
        run["repairs"][-1] |= {"end_time": run["end_time"], "ending": why}
        run_documents.keep(self._store, run)

    def step(self) -> float | None:
        """One look at everything; gives the seconds until the next one is due, None for when something is asked."""
        with self._lock:
            if self._worker.stopping:
                return None
            keys = [int(key) for key, _ in self._store.items("active")]
            for run_id in keys:
                try:
                    self._advance(run_id)
                except Exception:  # noqa: BLE001 - a mistake with one run must not hold up the others; the log has it
                    traceback.print_exc(file=sys.stderr)
                    self._give_up(run_id)
            started = [self._start(run_id, attempt) for run_id, attempt in self._pending()]
            pause = self._pause()
            idle = self._clusters.tidy(self._needed_clusters())
        self._sender.wake()
        if started:
            return 0.0 if any(started) else _POLL
        return pause if pause is not None else idle

    def _runs(self) -> list[Document]:
        found = (self._store.get("run", key) for key, _ in self._store.items("active"))
        return [each for each in found if each is not None]

    def _pause(self) -> float | None:
        """How long nothing can happen by itself."""
        soonest: float | None = None
        for run in self._runs():
            for each in run_documents.latest(run).values():
                if each["phase"] in HOLDS_SLOT:
                    return _POLL
                if each["phase"] == "WAITING":
                    wait = max(0.0, (each["not_before"] - run_documents.now()) / 1000)
                    soonest = wait if soonest is None else min(soonest, wait)
            if run["phase"] != "QUEUED":
                # A run's own time limit and duration warning count while its tasks wait, too.
                soonest = 1.0 if soonest is None else min(soonest, 1.0)
        return soonest

    def _needed_clusters(self) -> set[str]:
        needed = set()
        for run in self._runs():
            for each in run["attempts"]:
                task = run_documents.task_of(run, each)
                kind, key = of_task(run, task)
                if each["phase"] != "TERMINATED" and (kind == "classic" or each["phase"] in HOLDS_SLOT):
                    needed.add(key)
        return needed

    def _give_up(self, run_id: int) -> None:
        """Ends a run with which the stand-in itself made a mistake."""
        run = self._store.get("run", str(run_id))
        for each in run["attempts"] if run else []:
            # By its number: one that was started a moment ago doesn't show the mark in its environment yet.
            if each["process"]:
                self._children.terminate(each["process"], hard=True)
        processes.sweep_below(self._compute.runs / str(run_id))
        words = "The rehearsal could not go on with this run; its log says why."
        with self._store.transaction():
            self._end_with_server(run_id, ending("FAILED", words, code="INTERNAL_ERROR", broken=True))

    def _advance(self, run_id: int) -> None:
        run = self._store.get("run", str(run_id))
        if run is None:
            return
        seen = {each["run_id"]: found for each in run["attempts"] if (found := self._see(each)) is not None}
        with self._store.transaction():
            run = self._store.get("run", str(run_id))
            if run is None:
                return
            turn = Turn(
                store=self._store,
                run=run,
                now=run_documents.now(),
                seen=seen,
                may_start=lambda: self._may_start(run),
                slots=self._compute.processes - self._taken(),
            )
            run_machine.advance(turn)
            if turn.changed:
                run_documents.keep(self._store, run)
        for each in run["attempts"]:
            if each["kill"] and each["run_id"] not in self._signaled:
                self._children.terminate(each["process"], hard=False)
                self._signaled[each["run_id"]] = time.monotonic()

    def _taken(self) -> int:
        return sum(each["phase"] in HOLDS_SLOT for run in self._runs() for each in run["attempts"])

    def _may_start(self, run: Document) -> bool:
        if run["run_type"] != "JOB_RUN" or len(run["repairs"]) > 1:
            return True
        others = [
            each
            for each in self._runs()
            if each["job_id"] == run["job_id"] and each["phase"] != "QUEUED" and each["run_id"] != run["run_id"]
        ]
        return len(others) < int(run["settings"].get("max_concurrent_runs", 1))

    def _see(self, attempt: Document) -> Document | None:
        """What became of the attempt's process; None while it runs."""
        known = attempt["process"]
        if known is None or attempt["phase"] not in ("RUNNING", "TERMINATING"):
            return None
        folder = self._compute.runs / attempt["folder"]
        if self._children.alive(known):
            since = self._signaled.get(attempt["run_id"])
            if since is not None and time.monotonic() - since > self._compute.grace_seconds:
                self._children.terminate(known, hard=True)
            return None
        self._signaled.pop(attempt["run_id"], None)
        processes.sweep(processes.TASK, str(folder))
        return run_results.seen(attempt, folder, known=known["server"] == self._session)

    def _pending(self) -> list[tuple[int, int]]:
        return [
            (run["run_id"], each["run_id"])
            for run in self._runs()
            for each in run["attempts"]
            if each["phase"] == "PENDING" and each["process"] is None
        ]

    def _start(self, run_id: int, attempt_id: int) -> bool:
        """Starts an attempt whose turn it is; whether that is decided now, one way or the other."""
        run = self._store.get("run", str(run_id))
        if run is None:
            return False
        attempt = next(each for each in run["attempts"] if each["run_id"] == attempt_id)
        task = run_documents.task_of(run, attempt)
        token = secrets.token_hex(24)
        try:
            who, parameters = run_tasks.checked(self._store, run, attempt)
            kind, key = of_task(run, task)
            cluster = self._clusters.ready(key) if self._compute.cluster else None
            if cluster is None and self._compute.cluster:
                return False
            folder = run_tasks.prepare(
                self._store, self._compute, run, attempt, who=who, parameters=parameters, kind=kind, cluster=cluster
            )
            self._keep_token(run_id, attempt_id, token)
            process = self._children.start(
                [*self._compute.runner, str(folder)], folder, run_tasks.environment(self._compute, folder, run, token)
            )
        except RefusedError as refused:
            self._note(run_id, attempt_id, None, refused.ending)
            return True
        except ClusterError as error:
            self._note(run_id, attempt_id, None, ending("FAILED", str(error), code="CLUSTER_ERROR", broken=True))
            return True
        except OSError as error:
            message = f"The task could not be started: {error}"
            self._note(run_id, attempt_id, None, ending("FAILED", message, code="INTERNAL_ERROR", broken=True))
            return True
        known = process | {"server": self._session}
        started = {"process": known, "cluster": key, "kind": kind, "parameters": parameters}
        self._note(run_id, attempt_id, started, None)
        return True

    def _keep_token(self, run_id: int, attempt_id: int, token: str) -> None:
        """Makes the token valid until the attempt ends. Its hash is kept, so that it outlives this server."""
        hashed = secret_key(token)
        with self._store.transaction():
            run = self._store.get("run", str(run_id))
            if run is not None:
                next(each for each in run["attempts"] if each["run_id"] == attempt_id)["token"] = hashed
                run_documents.keep(self._store, run)
                self._store.put("run_token", hashed, dict(run["run_as"]))

    def _note(self, run_id: int, attempt_id: int, started: Document | None, end: Document | None) -> None:
        """Keeps that an attempt runs, or how it ended without."""
        with self._store.transaction():
            run = self._store.get("run", str(run_id))
            if run is None:
                return
            attempt = next(each for each in run["attempts"] if each["run_id"] == attempt_id)
            if started is not None:
                attempt |= started | {"phase": "RUNNING", "running_since": run_documents.now()}
                run_documents.keep(self._store, run)
                notifications.post(self._store, run, attempt, "on_start")
                return
            output = {"error": end["message"] if end else ""}
            seen = {attempt_id: {"ending": end, "output": output, "values": {}}}
            turn = Turn(store=self._store, run=run, now=run_documents.now(), seen=seen, may_start=lambda: True, slots=0)
            run_machine.advance(turn)
            run_documents.keep(self._store, run)

    def _adopt(self) -> None:
        """Finds the processes whose start a kill kept from being noted."""
        for run in self._runs():
            for each in run["attempts"]:
                if each["phase"] != "PENDING" or each["process"] is not None:
                    continue
                found = processes.marked(processes.TASK, str(self._compute.runs / each["folder"]))
                for process in found:
                    known = {"pid": process.pid, "created": process.create_time(), "server": ""}
                    self._note(run["run_id"], each["run_id"], {"process": known, "kind": "", "parameters": {}}, None)
                    break
