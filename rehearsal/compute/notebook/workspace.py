"""The exported tree of a workspace: which notebooks it has, and where their files are."""

import json
import posixpath
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from rehearsal.compute.notebook.errors import UnsupportedError
from rehearsal.compute.notebook.source import Cell, parse


@dataclass(frozen=True)
class Notebook:
    """A notebook of the tree.

    Args:
        path: absolute path in the workspace.
        file: its file on disk; `sys.path` and the working folder are its folder.
        cells: what it consists of.
    """

    path: str
    file: Path
    cells: list[Cell]


class Workspace:
    """Reads notebooks from an exported tree.

    Args:
        root: the folder that holds `.workspace.json`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        listed = json.loads((root / ".workspace.json").read_text(encoding="utf-8"))
        self._objects = {each["path"]: each for each in listed}
        self._read: dict[str, Notebook] = {}

    def notebook(self, path: str) -> Notebook:
        """The notebook with this absolute path.

        Raises:
            FileNotFoundError: there is no such notebook.
            UnsupportedError, ValueError: see `source.parse`.
        """
        if path not in self._read:
            found = self._objects.get(path)
            if found is None:
                raise FileNotFoundError(f"Notebook not found: {path}")
            if found["object_type"] != "NOTEBOOK":
                raise FileNotFoundError(f"{path} is a {found['object_type'].lower()}, not a notebook")
            file = self._root / found["file"]
            cells = parse(file.read_bytes(), language=found["language"], form=found["format"], name=path)
            self._read[path] = Notebook(path, file, cells)
        return self._read[path]

    def check(self, path: str, callers: tuple[str, ...] = ()) -> None:
        """Reads the notebook and all that it takes in by `%run`: what is refused is refused before anything runs.

        Raises:
            UnsupportedError: something is refused, or a notebook takes in itself.
            FileNotFoundError, ValueError: the notebook itself isn't there or can't be read.
        """
        if path in callers:
            raise UnsupportedError(f"%run in a circle: {' -> '.join((*callers, path))}")
        for number, cell in enumerate(self.notebook(path).cells, 1):
            if cell.kind != "run":
                continue
            target, _ = run_arguments(cell.options, path, f"{path}, cell {number}")
            if target in self._objects:  # else the cell fails when it is reached, as on Databricks
                self.check(target, (*callers, path))


def resolve(path: str, caller: str) -> str:
    """The absolute path of what a notebook calls: by an absolute path, with or without `/Workspace`, or one that is
    relative to the caller's folder (docs.databricks.com/notebooks/notebook-workflows).
    """
    if path.startswith("/Workspace/"):
        path = path.removeprefix("/Workspace")
    return posixpath.normpath(posixpath.join(posixpath.dirname(caller), path))


def run_arguments(options: str, caller: str, where: str) -> tuple[str, dict[str, str]]:
    """Path and parameters of `%run path $name="value" ...`.

    Raises:
        UnsupportedError: it isn't written like that.
    """
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise UnsupportedError(f"{where}: %run {options}: {error}") from None
    if not words:
        raise UnsupportedError(f"{where}: %run names no notebook")
    parameters: dict[str, str] = {}
    for word in words[1:]:
        found = re.fullmatch(r"\$([\w.-]+)=(.*)", word, re.DOTALL)
        if found is None:
            raise UnsupportedError(f'{where}: %run takes parameters like $name="value", not {word}')
        parameters[found[1]] = found[2]
    return resolve(words[0], caller), parameters
