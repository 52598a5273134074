"""The difference between two commits, file by file, as git tells it; of Jupyter notebooks by their cells."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.azuredevops.git_store import Git, GitError
from rehearsal.pages import notebooks

MAX_LINES = 4000
"""Lines of all files on one page; the other files are named, and each has a page of its own."""

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # every git knows it
_CHANGES = {"A": "add", "D": "delete", "M": "edit", "R": "rename", "C": "add", "T": "edit"}
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")


@dataclass(frozen=True)
class Line:
    """A line: the same in both, added or removed, or a heading between two parts."""

    kind: Literal["same", "added", "removed", "part"]
    old: int | None
    new: int | None
    text: str


@dataclass
class File:
    """A file that differs.

    Args:
        path: where it is now, or was when it is gone; begins with a slash.
        before: where it was, for one that was renamed.
        change: `add`, `edit`, `delete` or `rename`.
        added, removed: numbers of lines; None for what is no text.
        lines: the difference; None where the page would become too long.
    """

    path: str
    change: str
    before: str | None = None
    added: int | None = None
    removed: int | None = None
    lines: list[Line] | None = field(default=None)


def between(here: Git, old: str | None, new: str, only: str | None = None) -> list[File]:
    """What differs.

    Args:
        here: the repository.
        old: a commit, or None for an empty tree.
        new: a commit.
        only: the path of the one file that is wanted, however long it is.
    """
    base = old or _EMPTY_TREE
    where = ["--", only.strip("/")] if only else []
    options = ["--literal-pathspecs", "diff", "--no-color", "--no-ext-diff", "-M"]
    files = list(_files(here.text(*options, "--numstat", "-z", base, new, *where)))
    changes = _changes(here.text(*options, "--name-status", "-z", base, new, *where))
    left = MAX_LINES
    for each in files:
        each.change = changes.get(each.path, "edit")
        if only is None and ((each.added or 0) + (each.removed or 0) > left or left <= 0):
            continue
        each.lines = _lines(here, base, new, each)
        left -= len(each.lines)
    return files


def _files(raw: str) -> Iterator[File]:
    fields = iter(raw.split("\0"))
    for entry in fields:
        if not entry:
            continue
        added, removed, path = entry.split("\t", 2)
        before = None
        if not path:  # a renamed file has both names in fields of their own
            before, path = f"/{next(fields)}", next(fields)
        numbers = (None, None) if added == "-" else (int(added), int(removed))
        yield File(f"/{path}", "edit", before, *numbers)


def _changes(raw: str) -> dict[str, str]:
    fields = iter(raw.split("\0"))
    found = {}
    for status in fields:
        if not status:
            continue
        path = next(fields)
        if status[0] in "RC":
            path = next(fields)
        found[f"/{path}"] = _CHANGES.get(status[0], "edit")
    return found


def _lines(here: Git, old: str, new: str, file: File) -> list[Line]:
    if file.added is None:
        return []
    before, path = (file.before or file.path).strip("/"), file.path.strip("/")
    if path.endswith(".ipynb"):
        texts = [notebooks.as_text(path, _blob(here, *each)) for each in ((old, before), (new, path))]
        return list(_parsed(difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), lineterm="")))
    names = [before, path] if before != path else [path]
    raw = here.text("--literal-pathspecs", "diff", "--no-color", "--no-ext-diff", "-M", old, new, "--", *names)
    return list(_parsed(iter(raw.split("\n"))))


def _blob(here: Git, commit: str, path: str) -> bytes:
    try:
        return here.run("cat-file", "blob", f"{commit}:{path}")
    except GitError:
        return b""


def _parsed(raw: Iterator[str]) -> Iterator[Line]:
    old = new = 0
    for line in raw:
        part = _HUNK.match(line)
        if part:
            old, new = int(part[1]), int(part[2])
            yield Line("part", None, None, part[3])
        elif old == new == 0:
            continue  # the heading of the file
        elif line.startswith("+"):
            yield Line("added", None, new, line[1:])
            new += 1
        elif line.startswith("-"):
            yield Line("removed", old, None, line[1:])
            old += 1
        elif not line.startswith("\\"):
            yield Line("same", old, new, line[1:])
            old, new = old + 1, new + 1
