"""Processes of steps: each in a session of its own, ended whole.

A process is known by a mark in its environment, so that those are found too that left the session and their parents, or
whose agent was killed. Azure's agent knows them by the same variable and ends what is left when a job ends
(https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/JobExtension.cs); here it is ended when
its step ends.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from rehearsal.marked import end

MARK = "VSTS_PROCESS_LOOKUP_ID"
_DRAIN_SECONDS = 2.0  # what holds a step's output open after its process has ended may go on writing for so long
_SEPARATOR = "|"  # between the marks of an agent and of one that runs within its step

Write = Callable[[str], None]


class StepProcess:
    """One process of a step, with its output read line by line.

    Args:
        command: program and arguments.
        folder: where it runs.
        environment: all of it.
        mark: what the process and its descendants are known by.
        output, errors: get each line, without its end, from a thread; without `errors` both go to `output` in order.

    Raises:
        OSError: there is no such program or folder.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        mark: str,
        output: Write,
        errors: Write | None = None,
    ) -> None:
        self._mark = mark
        outer = environment.get(MARK)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, MARK: f"{outer}{_SEPARATOR}{mark}" if outer else mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if errors else subprocess.STDOUT,
            start_new_session=True,
        )
        self.ended = threading.Event()
        streams = [(self._process.stdout, output), (self._process.stderr, errors)]
        self._readers = [
            threading.Thread(target=_read, args=(stream, write), daemon=True)
            for stream, write in streams
            if stream is not None and write is not None
        ]
        for thread in (*self._readers, threading.Thread(target=self._wait, daemon=True)):
            thread.start()

    def _wait(self) -> None:
        self._process.wait()
        self.ended.set()

    def interrupt(self, sigint_seconds: float, sigterm_seconds: float) -> None:
        """Asks the process to end, with SIGINT, then with SIGTERM, and then ends it with all its descendants."""
        tree = self._descendants()  # those whose parents end first would not be found by them any more
        for number, seconds in ((signal.SIGINT, sigint_seconds), (signal.SIGTERM, sigterm_seconds)):
            if self.ended.is_set():
                break
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            self.ended.wait(seconds)
        _end(lambda mark: mark == self._mark, [*tree, *self._descendants()])

    def finish(self) -> tuple[int, list[str]]:
        """The exit code of the ended process, its output read to the end, and what it had left behind and was ended.

        A negative code is the number of the signal that ended it.
        """
        self.ended.wait()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))
        left = _end(lambda mark: mark == self._mark)
        for reader in self._readers:
            reader.join()
        return self._process.returncode, left

    def _descendants(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []


def end_marked(prefix: str) -> list[str]:
    """Ends at once all processes whose mark begins so, e.g. those of an agent that was killed; names them."""
    return _end(lambda mark: mark.startswith(prefix))


def _end(wanted: Callable[[str], bool], others: Iterable[psutil.Process] = ()) -> list[str]:
    return end(MARK, lambda marks: any(map(wanted, marks.split(_SEPARATOR))), others)


def _read(stream: IO[bytes], write: Write) -> None:
    with stream:
        for line in stream:
            # Programs write what they like; `\r` alone redraws a line in a terminal.
            write(line.decode("utf-8", "replace").rstrip("\r\n"))
