"""What can be wrong with a pipeline, and where.

The wording is the service's where it is known: the documentation page of expressions
(https://learn.microsoft.com/azure/devops/pipelines/process/expressions) and answers of the preview call
(https://learn.microsoft.com/rest/api/azure/devops/pipelines/preview/preview).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file of the repository. Lines and columns begin with 1, as the service counts."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file} (Line: {self.line}, Col: {self.column})"


class PipelineError(Exception):
    """A pipeline that can't be compiled, or a value that has no place in the file.

    `position` is None only for what was given when the run was queued: that stands in no file.
    """

    def __init__(self, message: str, position: Position | None = None) -> None:
        super().__init__(f"{position}: {message}" if position else message)
        self.message = message
        self.position = position


class ExpressionError(Exception):
    """An expression that can't be read or evaluated.

    `offset` counts characters of the expression from 1, as the service does; it is None for errors of evaluation.
    """

    def __init__(self, message: str, expression: str = "", offset: int | None = None) -> None:
        located = f"{message}. Located at position {offset} within expression: '{expression}'" if offset else message
        super().__init__(located)
        self.message = message
        self.expression = expression
        self.offset = offset
