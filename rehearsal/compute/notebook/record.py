"""What is kept of a run: its cells with their outputs, in `cells.json`.

Limits of Databricks (docs.databricks.com/notebooks/notebook-limitations): 10 MB of output a cell, 10,000 rows or 2 MB
of a table. What is left out is said.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rehearsal.compute.notebook.redaction import Redactor
from rehearsal.compute.notebook.source import Cell
from rehearsal.compute.notebook.task import Task, write_json

Output: TypeAlias = dict[str, Any]
"""`{"type": "text", "stream", "text"}`, `{"type": "value", "text"}`, `{"type": "table", "columns", "rows", "note"}`,
`{"type": "html", "html"}`, `{"type": "image", "png"}` (base64), `{"type": "notebook", "path", "directory", ...}` (a run
of another notebook) or `{"type": "note", "text"}` (the runner's own words)."""

OUTPUT_LIMIT = 10 * 1024 * 1024
"""Characters of output that a cell keeps."""

LEFT_OUT: Output = {"type": "note", "text": "The cell shows more than 10 MB; the rest is left out."}
"""Stands after the outputs of such a cell."""

_OWN_WORDS = frozenset({"type", "stream", "kind", "state", "png"})
_SMALL = 256 * 1024  # bytes of a cells.json that is written whenever something happens
_PART_OF_THE_TIME = 20  # writing a larger one may take one part in so many


@dataclass
class CellRecord:
    """A cell and what came of it.

    Args:
        cell: the cell.
        state: `WAITING`, `RUNNING`, `SUCCESS`, `FAILED` or `SKIPPED` (the notebook ended before it).
        outputs: what it shows.
        error: its error, as text with the notebook's lines.
        seconds: how long it took.
        cells: those of the notebook that it takes in by `%run`.
    """

    cell: Cell
    state: str = "WAITING"
    outputs: list[Output] = field(default_factory=list)
    error: str | None = None
    seconds: float | None = None
    cells: "list[CellRecord]" = field(default_factory=list)
    _size: int = 0
    # Threads of the notebook print while the cells are written.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, output: Output) -> None:
        """Adds an output, as far as the cell's limit allows."""
        with self._lock:
            size = sum(
                len(each) for key, each in output.items() if isinstance(each, str) and key not in ("type", "stream")
            )
            left = OUTPUT_LIMIT - self._size
            self._size += size
            if output["type"] in ("text", "value") and left > 0:
                self._add_text(output | {"text": output["text"][:left]})
            elif size <= left:
                self.outputs.append(output)
            if size > left and LEFT_OUT not in self.outputs:
                self.outputs.append(LEFT_OUT)

    def _add_text(self, output: Output) -> None:
        last = self.outputs[-1] if self.outputs else None
        if "stream" not in output:
            self.outputs.append(output)
        elif last is not None and last.get("stream") == output["stream"]:
            last["parts"].append(output["text"])
        else:
            self.outputs.append({"type": "text", "stream": output["stream"], "parts": [output["text"]]})

    def content(self) -> dict[str, Any]:
        """The cell as in `cells.json`."""
        with self._lock:
            for output in self.outputs:
                if "parts" in output:
                    output["parts"] = ["".join(output["parts"])]
            outputs = [
                {"type": "text", "stream": output["stream"], "text": output["parts"][0]}
                if "parts" in output
                else output
                for output in self.outputs
            ]
        return {
            "kind": self.cell.kind,
            "title": self.cell.title,
            "source": self.cell.source,
            "state": self.state,
            "outputs": outputs,
            "error": self.error,
            "seconds": self.seconds,
            "cells": [each.content() for each in self.cells],
        }


class Record:
    """The whole run.

    Args:
        task: the run.
        redactor: takes the secrets out of all that is written.
    """

    def __init__(self, task: Task, redactor: Redactor) -> None:
        self._task = task
        self._redactor = redactor
        self._started = time.time()
        self._written = 0.0
        self._cost = 0.0
        self._size = 0
        self._lock = threading.Lock()
        self.cells: list[CellRecord] = []

    def write(self, *, now: bool = False) -> None:
        """Writes `cells.json`; a large one not after each cell, unless `now`."""
        with self._lock:
            begin = time.monotonic()
            if not now and self._size > _SMALL and begin - self._written < self._cost * _PART_OF_THE_TIME:
                return
            content = {
                "notebook": self._task.notebook,
                "user": self._task.user,
                "parameters": self._task.parameters,
                "started": self._started,
                "seconds": time.time() - self._started,
                "cells": [each.content() for each in self.cells],
            }
            self._size = write_json(self._task.directory / "cells.json", self._redactor.content(content, _OWN_WORDS))
            self._written = time.monotonic()
            self._cost = self._written - begin
