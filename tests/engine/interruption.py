"""An `up` that is killed in the middle."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from tests.engine.system import System


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits.

    Raises:
        AssertionError: the condition has not come about in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.1)


def killed_up(system: System, stack: str, when: Callable[[], bool]) -> None:
    """Begins an `up` and kills it, with the engine and all plugins, as soon as the condition holds."""
    running = subprocess.Popen(
        system.project.command("up", "--yes", "--skip-preview", "--stack", stack),
        cwd=system.project.path,
        env=system.project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(when, seconds=120)
    # The plugins are in process groups of their own and would outlive the engine, and the test.
    plugins = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    for plugin in plugins:
        with contextlib.suppress(psutil.NoSuchProcess):
            plugin.kill()
