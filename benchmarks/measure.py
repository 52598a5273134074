"""How long a command takes, and what it takes of the machine."""

import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MEBIBYTE = 1024 * 1024
SAMPLED_EVERY_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command took.

    Args:
        wall: seconds from its start to its end.
        cpu: seconds of the processors, in user and system mode, of the command and all processes below it, as the
            system adds them up when they end.
        memory: the most that all of them together held at a time, in MiB, looked at ten times a second. A page that
            several hold counts once (PSS; where the system has no such number, USS, which leaves shared pages out).
        requests: that the services got meanwhile.
    """

    wall: float
    cpu: float
    memory: float
    requests: int = 0


class CommandError(Exception):
    """A command that is measured has failed; what it printed is the message."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Runs a command to its end. No other child of this process may end meanwhile: its time would be counted.

    Raises:
        CommandError: it failed.
    """
    started, cpu_before = time.monotonic(), _cpu_of_ended_children()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    sampler = Sampler(process.pid)
    sampler.start()
    printed, _ = process.communicate()
    wall = time.monotonic() - started
    sampler.end()
    if process.returncode:
        raise CommandError(f"{' '.join(command)}: exit code {process.returncode}\n{printed}")
    return Cost(wall=wall, cpu=_cpu_of_ended_children() - cpu_before, memory=sampler.memory / MEBIBYTE)


def _cpu_of_ended_children() -> float:
    """Those that a child has waited for are in it."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Sampler(threading.Thread):
    """Looks at a process and all below it, again and again; `memory` is the most that they held at a time, in bytes."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(root)
        self._ended = threading.Event()
        self._known: dict[int, psutil.Process] = {}
        self.memory = 0.0

    def run(self) -> None:
        while not self._ended.wait(SAMPLED_EVERY_SECONDS):
            self._look()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _look(self) -> None:
        try:
            found = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        # Those that a dead parent left to the system are no longer below it.
        self._known |= {each.pid: each for each in found}
        total = 0.0
        for number, process in list(self._known.items()):
            try:
                memory = process.memory_full_info()
            except psutil.Error:
                del self._known[number]
                continue
            total += getattr(memory, "pss", memory.uss)
        self.memory = max(self.memory, total)
