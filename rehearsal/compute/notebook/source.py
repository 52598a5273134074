"""The cells of a notebook, and what each of them is.

Source format (docs.databricks.com/notebooks/notebook-format): cells are separated by a comment line, those of another
language than the notebook's stand in `MAGIC` comments, titles in `DBTITLE`. Jupyter format is nbformat 4. Magics:
docs.databricks.com/notebooks/notebooks-code, section "Mix languages".
"""

import ast
import json
import re
import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rehearsal.compute.notebook.errors import UnsupportedError

Language: TypeAlias = Literal["PYTHON", "SQL"]
CellKind: TypeAlias = Literal["python", "sql", "md", "run", "sh", "pip", "fs", "raw"]

CELL_LIMIT = 6 * 1024 * 1024
"""Bytes that a cell may have: docs.databricks.com/notebooks/notebook-limitations."""

_COMMENTS: dict[str, str] = {"PYTHON": "#", "SQL": "--"}
_MAGIC = re.compile(r"\s*%{1,2}([A-Za-z_][\w-]*)")
_KINDS: dict[str, CellKind] = {
    "python": "python",
    "sql": "sql",
    "md": "md",
    "md-sandbox": "md",
    "run": "run",
    "sh": "sh",
    "pip": "pip",
    "fs": "fs",
}
_OTHERS = {
    "scala": "Scala cells",
    "r": "R cells",
    "conda": "Conda",
    "tensorboard": "TensorBoard",
    "set_cell_max_output_size_in_mb": "another limit of a cell's output",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell.

    Args:
        kind: what runs it.
        source: what people see of it.
        body: what is run: without the magic word; the lines before it are kept as empty ones, so that line numbers in
            errors are those of the source.
        title: its title, if it has one.
        options: what follows the magic word in its line, for `run`, `sh`, `pip` and `fs`.
    """

    kind: CellKind
    source: str
    body: str
    title: str = ""
    options: str = ""


def parse(data: bytes, *, language: str, form: str, name: str) -> list[Cell]:
    """The cells of a notebook.

    Args:
        data: its content.
        language: `PYTHON`, `SQL`, `SCALA` or `R`.
        form: `SOURCE` or `JUPYTER`.
        name: the notebook's name, for errors.

    Raises:
        UnsupportedError: it has what the rehearsal doesn't know; the message names cell and word.
        ValueError: it is no notebook.
    """
    if language not in _COMMENTS:
        raise UnsupportedError(
            f"{name}: the rehearsal runs notebooks in Python and SQL, not in {language.capitalize()}"
        )
    cells: list[Cell] = []
    texts = _from_jupyter(data, name) if form == "JUPYTER" else _from_source(data, language)
    for number, (kind, title, text) in enumerate(texts, 1):
        where = f"{name}, cell {number}"
        if len(text.encode("utf-8", "replace")) > CELL_LIMIT:
            raise UnsupportedError(f"{where}: a cell has at most 6 MB, as on Databricks")
        if kind in ("md", "raw"):
            cells.append(Cell(kind=kind, source=text, body=text, title=title))
        else:
            cells.append(_cell(text, title, language, where))
    return cells


def _from_source(data: bytes, language: str) -> list[tuple[CellKind | None, str, str]]:
    comment = re.escape(_COMMENTS[language])
    text = data.decode().replace("\r\n", "\n").removeprefix("\ufeff")
    first, _, rest = text.partition("\n")
    if first.rstrip() == f"{_COMMENTS[language]} Databricks notebook source":
        text = rest
    magic = re.compile(rf"^{comment} MAGIC ?", re.MULTILINE)
    titled = re.compile(rf"\A{comment} DBTITLE \d+,(.*)(?:\n|\Z)")
    found: list[tuple[CellKind | None, str, str]] = []
    for part in re.split(rf"^{comment} COMMAND -+[ \t]*$", text, flags=re.MULTILINE):
        cell = part.strip("\n")
        title = titled.match(cell)
        if title:
            cell = cell[title.end() :]
        found.append((None, title[1].strip() if title else "", magic.sub("", cell)))
    return found


def _from_jupyter(data: bytes, name: str) -> list[tuple[CellKind | None, str, str]]:
    try:
        notebook = json.loads(data)
        if notebook["nbformat"] != 4:
            raise UnsupportedError(f"{name}: nbformat {notebook['nbformat']}; the rehearsal reads nbformat 4")
        found: list[tuple[CellKind | None, str, str]] = []
        for cell in notebook["cells"]:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            title = cell.get("metadata", {}).get("application/vnd.databricks.v1+cell", {}).get("title") or ""
            kinds: dict[str, CellKind | None] = {"code": None, "markdown": "md", "raw": "raw"}
            found.append((kinds[cell["cell_type"]], title, source))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name} is not a valid Jupyter notebook: {error!r}") from None
    return found


def _cell(text: str, title: str, language: str, where: str) -> Cell:
    magic = _MAGIC.match(text)
    if magic is None:
        kind: CellKind = "python" if language == "PYTHON" else "sql"
        cell = Cell(kind=kind, source=text, body=text, title=title)
    else:
        word = magic[1]
        known = _KINDS.get(word)
        if known is None:
            raise UnsupportedError(f"{where}: the rehearsal does not know {_named(word)}")
        before = "\n" * text[: magic.start(1)].count("\n")
        options, _, lines = text[magic.end() :].partition("\n")
        if known in ("python", "sql", "md"):
            cell = Cell(kind=known, source=text, body=f"{before}{options}\n{lines}", title=title)
        elif known == "pip":
            cell = Cell(kind=known, source=text, body="\n".join(_pip_lines(text, where)), title=title)
        else:
            if known in ("run", "fs") and lines.strip():
                raise UnsupportedError(f"{where}: %{word} must be alone in its cell")
            cell = Cell(kind=known, source=text, body=lines, title=title, options=options.strip())
    if cell.kind == "python":
        _check_python(cell.body, where)
    return cell


def _named(word: str) -> str:
    return f"%{word} ({_OTHERS[word]})" if word in _OTHERS else f"%{word}"


def _pip_lines(text: str, where: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [re.sub(r"^%{1,2}pip\b\s*", "", line) for line in lines]
    if any(line == command for line, command in zip(lines, found, strict=True)):
        raise UnsupportedError(f"{where}: a cell with %pip holds nothing else")
    return found


def _check_python(body: str, where: str) -> None:
    """Refuses IPython's own syntax; every other mistake is shown when the cell runs, as on Databricks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shown when the cell runs
            ast.parse(body)
    except SyntaxError as error:
        lines = body.splitlines()
        line = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else ""
        magic = _MAGIC.match(line)
        if magic and magic[1] == "run":
            raise UnsupportedError(f"{where}: %run must be alone in its cell") from None
        if magic:
            known = magic[1] in _KINDS
            why = "must be at the beginning of its cell" if known else "is a magic that the rehearsal does not know"
            raise UnsupportedError(f"{where}: {_named(magic[1])} {why}") from None
        if line.startswith("!") or re.match(r"[\w, ]+=\s*!", line):
            raise UnsupportedError(f"{where}: the rehearsal does not know !commands; write a cell with %sh") from None
        assigned = re.match(r"[\w, ]+=\s*%([A-Za-z_]\w*)", line)
        if assigned:
            raise UnsupportedError(f"{where}: the rehearsal does not know {_named(assigned[1])}") from None
        if line.endswith("?") or line.startswith("?"):
            raise UnsupportedError(f"{where}: the rehearsal does not know IPython's `?`; use help()") from None
    except (ValueError, RecursionError, MemoryError):
        return  # found again, with the notebook's lines, when the cell runs
