"""Notebooks that a notebook calls by `dbutils.notebook.run`: each in a process of its own."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rehearsal.compute.notebook.errors import WorkflowException
from rehearsal.compute.notebook.record import Output
from rehearsal.compute.notebook.redaction import Redactor
from rehearsal.compute.notebook.task import Result, Task

CHECKOUT = Path(__file__).parents[3]
CALLED_OPTION = "--called"
"""What may be secret comes as JSON on stdin: `secrets` that the caller knows, to be redacted there, too, and
`parameters`, of which `task.json` has only what is no secret."""


class Calls:
    """Starts them.

    Args:
        task: the caller.
        token: for the workspace's API.
        redactor: knows the caller's secrets.
        streams: file descriptors for what the called ones print.
    """

    def __init__(self, task: Task, token: str, redactor: Redactor, streams: tuple[int, int]) -> None:
        self._task = task
        self._token = token
        self._redactor = redactor
        self._streams = streams
        self._numbers = itertools.count(1)

    def run(self, path: str, timeout: float, parameters: dict[str, str]) -> tuple[Output, str]:
        """Runs the notebook to its end; gives the output for the caller's cell, and the exit value.

        Args:
            path: absolute path of the notebook.
            timeout: seconds; 0: no limit.
            parameters: for its widgets.

        Raises:
            WorkflowException: it failed, crashed or took too long.
        """
        # Notebooks call others from several threads, too.
        name = f"notebooks/{next(self._numbers)}"
        shown = self._redactor.content(parameters)
        task = replace(self._task, directory=self._task.directory / name, notebook=path, parameters=shown)
        task.write()
        told = {"secrets": self._redactor.values, "parameters": parameters}
        output = {"type": "notebook", "path": path, "directory": name, "state": "FAILED", "result": None}
        try:
            code = self._wait(task.directory, told, timeout)
        except subprocess.TimeoutExpired:
            message = f"{path} did not end within {timeout:g} s and was ended"
            raise WorkflowException(message, output | {"error": message}) from None
        result = Result.read(task.directory)
        if result is None:
            message = f"{path} crashed: its process ended with {code}"
            raise WorkflowException(message, output | {"error": message})
        output |= {"state": result.state, "result": result.result, "error": result.error}
        if result.state == "FAILED":
            raise WorkflowException(f"{path} failed: {result.error}", output)
        return output, result.result or ""

    def _wait(self, directory: Path, told: dict[str, Any], timeout: float) -> int:
        out, error = self._streams
        environment: dict[str, str] = {**os.environ, "DATABRICKS_TOKEN": self._token}
        # In this process's group: whoever ends the group ends it as well.
        with subprocess.Popen(
            [sys.executable, "-m", __package__, str(directory), CALLED_OPTION],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=error,
        ) as process:
            try:
                process.communicate(json.dumps(told).encode(), timeout=timeout or None)
            except BaseException:
                _end(process.pid)
                raise
        return process.returncode


def _end(process_id: int) -> None:
    """Ends the process with all its children."""
    import psutil  # noqa: PLC0415 - few runs need it

    try:
        process = psutil.Process(process_id)
        ended: list[Any] = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in ended:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(ended[1:], timeout=5)
