"""`dbutils.notebook`, `dbutils.jobs` and `dbutils.library`.

docs.databricks.com/notebooks/notebook-workflows and docs.databricks.com/jobs/task-values.
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from rehearsal.compute.notebook.dbutils.base import Utility
from rehearsal.compute.notebook.errors import NotebookExit, PythonRestart
from rehearsal.compute.notebook.task import Task

_VALUE_LIMIT = 48 * 1024  # bytes of a task value as JSON
_VALUES_LIMIT = 250  # task values of a run


class Notebooks(Utility):
    """Utilities for the control flow of a notebook. `getContext` and `entry_point` are refused by name."""

    _name = "dbutils.notebook"

    def __init__(self, run: Callable[[str, float, dict[str, str]], str]) -> None:
        self._run = run
        self._exited: str | None = None

    def exit(self, value: Any) -> NoReturn:
        """Ends the notebook at once, as a success, with a value.

        Inside of `%run` it ends the notebook that was started, too: Databricks doesn't document it, and `%run` puts
        the code into the caller. A bare `except:` around it holds the notebook up only until the cell's end.
        """
        self._exited = str(value)
        raise NotebookExit(self._exited)

    def run(self, path: str, timeout_seconds: float = 0, arguments: dict[str, Any] | None = None) -> str:
        """Runs another notebook and gives its exit value, empty without one.

        Args:
            path: absolute, or relative to this notebook's folder.
            timeout_seconds: how long it may take; 0: as long as it wants.
            arguments: values for its widgets.

        Raises:
            WorkflowException: it failed, or took too long.
        """
        # Databricks takes texts alone; numbers are documented as an error there.
        for name, value in (arguments or {}).items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"arguments of dbutils.notebook.run are strings: {name}={value!r}")
        return self._run(path, timeout_seconds, arguments or {})


class TaskValues(Utility):
    """Provides utilities for leveraging job task values."""

    _name = "dbutils.jobs.taskValues"

    def __init__(self, task: Task) -> None:
        self._task = task
        self._set: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        """Sets a value for later tasks of the job; outside of a job nothing happens.

        Raises:
            TypeError: it can't be written as JSON.
            ValueError: it is too large.
        """
        if not isinstance(key, str):
            raise TypeError("the key of a task value is a string")
        text = json.dumps(value)
        if len(text.encode()) > _VALUE_LIMIT:
            raise ValueError(f"the task value {key} is larger than 48 KiB")
        if len({*self._set, key}) > _VALUES_LIMIT:
            raise ValueError("a run has at most 250 task values")
        self._set[key] = json.loads(text)

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:  # noqa: N803 - Databricks' names
        """Gets a value that an earlier task of the job has set.

        Args:
            taskKey: the task.
            key: the value's name.
            default: taken when the task hasn't set it.
            debugValue: taken outside of a job.

        Raises:
            TypeError: outside of a job, without a debugValue.
            ValueError: not set, and no default.
        """
        if not self._task.context.get("jobId") and not self._task.task_values:
            if debugValue is None:
                raise TypeError("Must pass debugValue when calling get outside of a job context.")
            return debugValue
        found = self._task.task_values.get(taskKey, {})
        if key in found:
            return found[key]
        if default is None:
            raise ValueError(f"No task value with the key {key} of the task {taskKey}, and no default.")
        return default

    def _values(self) -> dict[str, Any]:
        return self._set


class Jobs(Utility):
    """Utilities for leveraging job features."""

    _name = "dbutils.jobs"

    def __init__(self, task: Task) -> None:
        self.taskValues = TaskValues(task)


class Library(Utility):
    """Utilities for session-scoped libraries; only `restartPython` is left on Databricks, too."""

    _name = "dbutils.library"

    def restartPython(self) -> NoReturn:  # noqa: N802 - Databricks' name
        """Ends the cell and forgets all names. As nothing was installed, imported modules stay as they are."""
        raise PythonRestart
