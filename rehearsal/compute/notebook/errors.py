"""What ends a cell or a notebook."""

from typing import Any


class UnsupportedError(NotImplementedError):
    """The notebook uses something that Databricks has and the rehearsal doesn't; the message names it."""


class InputWidgetNotDefined(Exception):  # noqa: N818 - the name that Databricks' own error has
    """No widget and no parameter has this name."""


class WorkflowException(Exception):  # noqa: N818 - likewise
    """A notebook that was called by `dbutils.notebook.run` failed or ran out of time.

    Args:
        message: which, and how.
        output: what the caller's cell shows of it; see `record.Output`.
    """

    def __init__(self, message: str, output: dict[str, Any]) -> None:
        super().__init__(message)
        self.output = output


class SecretError(Exception):
    """The workspace didn't give the secret; the message is its answer."""


class NotebookExit(BaseException):
    """`dbutils.notebook.exit`. No `Exception`, so that a notebook's `except Exception` doesn't catch it."""


class PythonRestart(BaseException):
    """`dbutils.library.restartPython`."""
