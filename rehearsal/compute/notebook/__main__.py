"""`python -m rehearsal.compute.notebook TASK_DIR`; see `task` for what is in the folder before and after."""

import atexit
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from rehearsal.compute.notebook.calls import CALLED_OPTION
from rehearsal.compute.notebook.redaction import Redactor
from rehearsal.compute.notebook.runner import Runner
from rehearsal.compute.notebook.task import Result, Task, write_json


def main(arguments: list[str]) -> int:
    """Runs the task; gives the exit code."""
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], [CALLED_OPTION]):
        print("usage: python -m rehearsal.compute.notebook TASK_DIR", file=sys.stderr)
        return 2
    task = Task.read(Path(arguments[0]))
    redactor = Redactor()
    if arguments[1:]:
        told = json.load(sys.stdin)
        redactor = Redactor(told["secrets"])
        task = replace(task, parameters=told["parameters"])
    # The notebook doesn't find the token among its variables.
    result = Runner(task, os.environ.pop("DATABRICKS_TOKEN", ""), redactor).run()
    _write(task, result)
    return 0 if result.state == "SUCCESS" else 1


def _write(task: Task, result: Result) -> None:
    from rehearsal.compute.notebook import page  # noqa: PLC0415 - its libraries would hold the notebook up

    page.write(task.directory, result)
    write_json(task.directory / "result.json", vars(result))


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Exception:  # noqa: BLE001 - 1 would say that the notebook failed
        traceback.print_exc()
        code = 2
    # Threads and processes that the notebook has left behind don't keep the run from ending.
    if "multiprocessing" in sys.modules:
        for process in sys.modules["multiprocessing"].active_children():
            process.kill()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
