"""Processes that are known by a variable in their environment, so that those are found too that left their session and
their parents, or whose server or agent was killed.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

_LINUX = Path("/proc/self/environ").exists()
_ROUNDS = 5
_SECONDS = 2.0  # for processes to be gone that were killed


def having(variable: str, wanted: Callable[[str], bool]) -> list[psutil.Process]:
    """The processes that live, but for this one, whose variable has a value that is wanted."""
    found = []
    for pid in psutil.pids():
        if pid == os.getpid() or not _may_have(pid, variable):
            continue
        try:
            process = psutil.Process(pid)
            value = process.environ().get(variable)
            if value and wanted(value) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
    return found


def _may_have(pid: int, variable: str) -> bool:
    """Whether it is worth taking the environment apart. On Linux its bytes say so in a tenth of the time."""
    if not _LINUX:
        return True
    try:
        # Asked of every process of the machine: making a Path of each name would take as long as reading it.
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123 - see above
            return f"{variable}=".encode() in file.read()
    except OSError:
        return False  # ended meanwhile, or another user's


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
        psutil.wait_procs(list(alive.values()), timeout=_SECONDS)
    return [f"pid ({pid}) ({name})" for pid, name in names.items()]
