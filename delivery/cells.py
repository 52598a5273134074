"""Notebooks as cells, and how two notebooks differ, cell by cell.

Source format (https://docs.databricks.com/en/notebooks/notebook-format.html): cells stand between comment lines, those
of another language than the notebook's in `MAGIC` comments, titles in `DBTITLE`. Jupyter format is nbformat 4
(https://nbformat.readthedocs.io/en/latest/format_description.html); outputs and metadata are no part of a cell here.
A file that isn't a notebook is one cell.
"""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Format: TypeAlias = Literal["SOURCE", "JUPYTER", "FILE"]

COMMENTS = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
CONTEXT_LINES = 3
# Comparing takes time that grows with the product of both sides; beyond this only numbers are told.
MOST_PAIRS = 4_000_000
# Which part of the lines of two cells has to be common to call one the other's new version.
LEAST_COMMON = 0.4
TITLE_KEY = "application/vnd.databricks.v1+cell"

_MAGIC_WORD = re.compile(r"\s*%{1,2}([A-Za-z_][\w-]*)")
_JUPYTER_KINDS = {"markdown": "md", "raw": "raw"}


class NotTextError(Exception):
    """The content can't be shown as text; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`kind` is the language or the magic word, such as `python`, `sql` or `md`; empty for a file."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CellChange:
    """How a cell differs.

    `number` counts from one: in the new notebook, or in the old one if the cell is removed. `lines` begin with `+`, `-`
    or a space, or are `@@` where lines that are the same are left out. `added` and `removed` count lines; where the
    cell is too large to compare, `lines` is empty and they are what one side has more.
    """

    operation: Literal["added", "removed", "changed"]
    number: int
    kind: str
    title: str
    lines: tuple[str, ...]
    added: int
    removed: int


def cells_of(content: bytes, form: Format, language: str | None = None) -> tuple[Cell, ...]:
    """The cells of a notebook, or a file as its only cell.

    Args:
        content: as it stands in git, or as the workspace exports it.
        form: the notebook's format, or `FILE`.
        language: the notebook's: `PYTHON`, `SQL`, `SCALA` or `R`.

    Raises:
        NotTextError: it isn't text, or no notebook.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise NotTextError("not text") from None
    if "\0" in text:
        raise NotTextError("not text")
    kind = (language or "PYTHON").lower()
    if form == "JUPYTER":
        return tuple(_from_jupyter(text, kind))
    if form == "SOURCE":
        return tuple(_from_source(text, kind))
    return (Cell(kind="", title="", text=text.removesuffix("\n")),) if text else ()


def compare(old: Sequence[Cell], new: Sequence[Cell]) -> tuple[CellChange, ...]:
    """What differs, in the order of the new cells; a removed one stands where it was."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes: list[CellChange] = []
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag != "equal":
            for before, after in _pairs(old, new, range(old_from, old_to), range(new_from, new_to)):
                changes.append(_change(old, new, before, after))
    return tuple(changes)


def _from_source(text: str, kind: str) -> Iterator[Cell]:
    comment = re.escape(COMMENTS.get(kind.upper(), "#"))
    first, _, rest = text.partition("\n")
    if re.fullmatch(rf"{comment} Databricks notebook source\s*", first):
        text = rest
    magic = re.compile(rf"^{comment} MAGIC ?", re.MULTILINE)
    titled = re.compile(rf"\A{comment} DBTITLE \d+,(.*)(?:\n|\Z)")
    for part in re.split(rf"^{comment} COMMAND -+[ \t]*$", text, flags=re.MULTILINE):
        cell = part.strip("\n")
        title = titled.match(cell)
        if title:
            cell = cell[title.end() :]
        yield _cell(magic.sub("", cell), title[1].strip() if title else "", kind)


def _from_jupyter(text: str, kind: str) -> Iterator[Cell]:
    try:
        for cell in json.loads(text)["cells"]:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            told = (cell.get("metadata") or {}).get(TITLE_KEY) or {}
            fixed = _JUPYTER_KINDS.get(cell["cell_type"])
            title = str(told.get("title") or "")
            yield Cell(kind=fixed, title=title, text=source) if fixed else _cell(source, title, kind)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotTextError("not a valid Jupyter notebook") from None


def _cell(text: str, title: str, kind: str) -> Cell:
    word = _MAGIC_WORD.match(text)
    return Cell(kind=word[1] if word else kind, title=title, text=text)


def _pairs(
    old: Sequence[Cell], new: Sequence[Cell], before: range, after: range
) -> Iterator[tuple[int | None, int | None]]:
    """Which old cell became which new one; None where there is no other side."""
    if len(before) == len(after):
        yield from zip(before, after, strict=True)
        return
    following = before.start
    for index in after:
        found = next((other for other in range(following, before.stop) if _alike(old[other], new[index])), None)
        if found is not None:
            yield from ((other, None) for other in range(following, found))
            following = found + 1
        yield found, index
    yield from ((other, None) for other in range(following, before.stop))


def _alike(one: Cell, other: Cell) -> bool:
    first, second = (set(filter(None, map(str.strip, cell.text.split("\n")))) for cell in (one, other))
    return len(first & second) >= LEAST_COMMON * max(len(first), len(second), 1)


def _change(old: Sequence[Cell], new: Sequence[Cell], before: int | None, after: int | None) -> CellChange:
    was = old[before] if before is not None else None
    now = new[after] if after is not None else None
    shown = now or was
    assert shown is not None  # noqa: S101 - a pair has at least one side
    lines, added, removed = _lines(_text(was), _text(now))
    return CellChange(
        operation="changed" if was and now else "added" if now else "removed",
        number=(after if after is not None else before or 0) + 1,
        kind=shown.kind,
        title=shown.title,
        lines=lines,
        added=added,
        removed=removed,
    )


def _text(cell: Cell | None) -> list[str]:
    """The lines; the title and the kind count as text, so that a change of them alone is seen."""
    if cell is None:
        return []
    return [*([f"title: {cell.title}"] if cell.title else []), *(cell.text.split("\n") if cell.text else [])]


def _lines(old: list[str], new: list[str]) -> tuple[tuple[str, ...], int, int]:
    if len(old) * len(new) > MOST_PAIRS:
        return (), max(len(new) - len(old), 0), max(len(old) - len(new), 0)
    shown = ("@@" if line.startswith("@@ ") else line for line in _unified(old, new))
    lines = tuple(shown)[1:]
    return lines, sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines)


def _unified(old: list[str], new: list[str]) -> Iterator[str]:
    """Without the two lines that name the files; each line has its sign in front."""
    told = difflib.unified_diff(old, new, n=CONTEXT_LINES, lineterm="")
    next(told, None)
    next(told, None)
    yield from told
