"""Runs notebooks as the Jobs API does: a tree, a task, a process."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.compute.notebook.task import Result

CHECKOUT = Path(__file__).parents[4]
_LANGUAGES = {".py": "PYTHON", ".sql": "SQL", ".ipynb": "PYTHON", ".scala": "SCALA", ".r": "R"}


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    directory: Path
    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> Result:
        found = Result.read(self.directory)
        assert found is not None, self.stderr
        return found

    @property
    def error(self) -> str:
        assert self.code == 1, self.stderr
        assert self.result.state == "FAILED"
        return self.result.error or ""

    @property
    def value(self) -> Any:
        """What the notebook gave to dbutils.notebook.exit, as JSON."""
        assert self.code == 0, (self.result.error_trace, self.stderr)
        return json.loads(self.result.result or "null")

    @property
    def cells(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.directory / "cells.json").read_text())["cells"]
        return found

    def outputs(self, number: int = 1) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cells[number - 1]["outputs"]
        return found

    def text(self, number: int = 1) -> str:
        """What the cell printed and showed as text."""
        return "".join(output.get("text", "") for output in self.outputs(number))

    @property
    def page(self) -> str:
        return (self.directory / "page.html").read_text()

    def everything(self) -> str:
        """All that the run has left."""
        files = [
            path
            for path in self.directory.rglob("*")
            if path.is_file() and "tmp" not in path.relative_to(self.directory).parts
        ]
        written = [path.read_text() for path in files]
        return "\n".join([*written, self.stdout, self.stderr])


class Runs:
    """Makes trees and runs notebooks of them, below a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._count = 0

    def __call__(self, *cells: str, files: dict[str, str | bytes] | None = None, **task: Any) -> Run:
        """Runs a Python notebook `/work/main` with these cells.

        Args:
            cells: of the notebook.
            files: further files of the tree by path; notebooks are known by their first line or ending.
            task: more of the task.
        """
        process = self.start(*cells, files=files, **task)
        try:
            out, error = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return self.ended(process, out, error)

    def ended(self, process: "subprocess.Popen[str]", out: str = "", error: str = "") -> Run:
        return Run(self._folder / f"run{self._count}", process.returncode, out, error)

    def start(
        self, *cells: str, files: dict[str, str | bytes] | None = None, token: str = "", **task: Any
    ) -> "subprocess.Popen[str]":
        self._count += 1
        workspace = self._folder / f"workspace{self._count}"
        given = dict(files or {})
        if cells:
            given["work/main.py"] = source(*cells)
        write_tree(workspace, given)
        directory = self._folder / f"run{self._count}"
        directory.mkdir()
        told = {"notebook": "/work/main", "workspace": str(workspace), "data": str(self.data), **task}
        (directory / "task.json").write_text(json.dumps(told, default=str))
        return subprocess.Popen(
            [sys.executable, "-m", "rehearsal.compute.notebook", str(directory)],
            cwd=CHECKOUT,
            env={**os.environ, "DATABRICKS_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def write_tree(workspace: Path, files: dict[str, str | bytes]) -> None:
    """Writes an exported tree; notebooks are known by their first line or ending."""
    listed = [_write(workspace, path, content) for path, content in files.items()]
    (workspace / ".workspace.json").write_text(json.dumps(listed))


def source(*cells: str, comment: str = "#") -> str:
    """A notebook in source format; cells that begin with `%` stand in MAGIC comments."""
    written = [
        "\n".join(f"{comment} MAGIC {line}" for line in cell.splitlines()) if cell.startswith("%") else cell
        for cell in cells
    ]
    return f"{comment} Databricks notebook source\n" + f"\n\n{comment} COMMAND ----------\n\n".join(written)


def jupyter(*cells: str | tuple[str, str]) -> str:
    """A Jupyter notebook; a cell is its code, or its type and text."""
    typed = [cell if isinstance(cell, tuple) else ("code", cell) for cell in cells]
    content: list[dict[str, Any]] = [
        {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for kind, text in typed
    ]
    return json.dumps({"cells": content, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _write(workspace: Path, path: str, content: str | bytes) -> dict[str, str]:
    file = workspace / path
    file.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(data)
    language = _LANGUAGES.get(file.suffix)
    if language is None or (file.suffix == ".py" and b"Databricks notebook source" not in data[:60]):
        return {"path": f"/{path}", "object_type": "FILE", "file": path}
    return {
        "path": f"/{path.removesuffix(file.suffix)}",
        "object_type": "NOTEBOOK",
        "language": language,
        "format": "JUPYTER" if file.suffix == ".ipynb" else "SOURCE",
        "file": path,
    }
