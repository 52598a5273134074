"""Commands as processes of their own: run to their end, begun, or killed on the way."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, seconds: float = 600
) -> "subprocess.CompletedProcess[str]":
    """Runs a command that reads nothing, whatever its exit code. All that it says is in `stdout`.

    Raises:
        subprocess.TimeoutExpired: it has taken more than so many seconds.
    """
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )


def begin(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Begins such a command, in a session of its own: a signal to its group is what a terminal would send."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    when: Callable[[], object],
    seconds: float = 120,
) -> bool:
    """Begins a command, and kills it with all that it has started as soon as the condition holds.

    Gives whether the condition has come about before the command's end.

    Raises:
        AssertionError: neither has come about within so many seconds.
    """
    deadline = time.monotonic() + seconds
    with begin(command, folder, environment) as running:
        try:
            while running.poll() is None and not when():
                assert time.monotonic() < deadline, f"neither its end nor the moment to kill it: {' '.join(command)}"
                time.sleep(0.02)
            return running.poll() is None
        finally:
            if running.poll() is None:
                _kill_all(running.pid)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Waits.

    Raises:
        AssertionError: the condition has not come about in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)


def _kill_all(pid: int) -> None:
    """Also what is in process groups of its own, such as Pulumi's plugins: they would outlive the test."""
    children = psutil.Process(pid).children(recursive=True)
    os.killpg(pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=10)
