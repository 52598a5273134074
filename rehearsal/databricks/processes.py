"""The processes of tasks and clusters: started in a session of their own, found again by pid and time, ended whole."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from rehearsal.databricks.compute import MARKER
from rehearsal.marked import end, having
from rehearsal.store import Document

CHECKOUT = Path(__file__).resolve().parents[2]
TASK = "REHEARSAL_TASK"
"""Names the attempt's folder in the environment of its processes: by it even one that left the session is found."""

# What a task has no business with: the credentials of whoever started the stand-in.
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "PASSPHRASE", "CREDENTIAL", "_KEY", "_PAT")


class Children:
    """The processes that this server started or found again.

    A process is known by the document `{"pid", "created"}`: a pid alone may have been given to another since.
    """

    def __init__(self) -> None:
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Document:
        """Starts a command with its output in `stdout` and `stderr` of the folder.

        Args:
            command: program and arguments.
            folder: must exist.
            environment: added to the server's own, without the credentials in that.

        Raises:
            OSError: there is no such program.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not any(word in name.upper() for word in _SECRET)
            and not name.startswith(("DATABRICKS_", "AZDO_", "ARM_"))
        }
        with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,  # where `python -m rehearsal...` finds its package
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._started[process.pid] = process
        return {"pid": process.pid, "created": _created(process.pid)}

    def alive(self, known: Document) -> bool:
        """Whether the process runs; takes note of its end."""
        started = self._started.get(known["pid"])
        if started is not None:
            if started.poll() is None:
                return True
            del self._started[known["pid"]]
            return False
        return find(known) is not None

    def terminate(self, known: Document, *, hard: bool) -> None:
        """Asks the process and all its descendants to end, or ends them."""
        process = find(known)
        if process is None:
            return
        try:
            tree = [process, *process.children(recursive=True)]
        except psutil.Error:
            tree = [process]
        _signal(tree, signal.SIGKILL if hard else signal.SIGTERM)

    def forget(self) -> None:
        """Takes note of those that have ended, so that none stays as a zombie."""
        for pid, process in list(self._started.items()):
            try:
                process.wait(timeout=5)
                del self._started[pid]
            except subprocess.TimeoutExpired:
                continue


def find(known: Document) -> psutil.Process | None:
    """The process, if it still is that one and runs."""
    try:
        process = psutil.Process(known["pid"])
        if abs(process.create_time() - known["created"]) > 1 or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.Error:
        return None
    return process


def marked(variable: str, value: str) -> list[psutil.Process]:
    """The processes with this variable in their environment."""
    return having(variable, lambda found: found == value)


def sweep(variable: str, value: str) -> None:
    """Ends at once what is left with this variable in its environment."""
    end(variable, lambda found: found == value)


def sweep_below(folder: Path) -> None:
    """Ends at once the tasks whose folders are below this one."""
    end(TASK, lambda task: Path(task).is_relative_to(folder))


def end_all(runs: Path, grace_seconds: float = 3) -> int:
    """Ends every process of the runs in this folder, clusters included; gives how many there were.

    For a stand-in that stops, and for what one left behind that was killed.
    """
    found = marked(MARKER, str(runs))
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    psutil.wait_procs(found, timeout=max(0.0, deadline - time.monotonic()))
    sweep(MARKER, str(runs))
    return len(found)


def _created(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0  # it has ended already; its parent will see that


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
