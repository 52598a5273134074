"""Processes that are known by a variable in their environment, so that those are found too that left their session and
their parents, or whose server or agent was killed.
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

_LINUX = Path("/proc/self/environ").exists()
_ROUNDS = 5
_SECONDS = 2.0  # for processes to be gone that were killed
_LOADING_SECONDS = 1.0  # for a process to have its program read, and then an environment
_STARTING_SECONDS = 0.05
_LOOK_SECONDS = 0.001
_ENV_END = 48  # its place in /proc/PID/stat, counted from the state on


def having(variable: str, wanted: Callable[[str], bool]) -> list[psutil.Process]:
    """The processes that live, but for this one, whose variable has a value that is wanted."""
    found = []
    for pid in psutil.pids():
        if pid == os.getpid():
            continue
        try:
            value = _value(pid, variable)
            if value and wanted(value):
                found.append(psutil.Process(pid))
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
    return list(filter(_is_alive, found))


def _value(pid: int, variable: str) -> str | None:
    if not _LINUX:
        return psutil.Process(pid).environ().get(variable)
    # Looked up in the bytes: every process of the machine is asked, and taking each apart takes ten times as long.
    name = f"\0{variable}=".encode()
    _, found, rest = (b"\0" + _environment(pid)).partition(name)
    return os.fsdecode(rest.partition(b"\0")[0]) if found else None


def _environment(pid: int) -> bytes:
    began = time.monotonic()
    while not (environment := _bytes(pid, "environ")) and time.monotonic() - began < _patience(pid):
        time.sleep(_LOOK_SECONDS)
    return environment


def _patience(pid: int) -> float:
    """For how many seconds a process without an environment may be within `execve`, where it has none yet.

    There it has a program, as zombies and the kernel's threads have not, and the environment's address is 0 at first.
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, env_end.
    """
    try:
        Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return 0
    fields = _bytes(pid, "stat").rpartition(b") ")[2].split()
    return _LOADING_SECONDS if fields[_ENV_END:][:1] == [b"0"] else _STARTING_SECONDS


def _bytes(pid: int, name: str) -> bytes:
    try:
        # Asked of every process of the machine: making a Path of each name would take as long as reading it.
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - see above
            return file.read()
    except OSError:
        return b""  # ended meanwhile, or another user's


def end(variable: str, wanted: Callable[[str], bool], others: Iterable[psutil.Process] = ()) -> list[str]:
    """Ends at once the processes whose variable has a value that is wanted, and the others; names them."""
    names: dict[int, str] = {}
    for number in range(_ROUNDS):  # a process may be about to start another
        found = [*having(variable, wanted), *(others if number == 0 else ())]
        alive = {process.pid: process for process in found if process.is_running()}
        if not alive:
            break
        for process in alive.values():
            try:
                names[process.pid] = process.name()
                process.kill()
            except psutil.Error:
                continue
        deadline = time.monotonic() + _SECONDS
        while any(map(_is_alive, alive.values())) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
    return [f"pid ({pid}) ({name})" for pid, name in names.items()]


def _is_alive(process: psutil.Process) -> bool:
    """Whether it isn't even a zombie, as which it may stay for long: whoever took it over takes notice of its end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
