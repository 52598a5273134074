"""File patterns of tasks, as the published task library matches them.

https://learn.microsoft.com/azure/devops/pipelines/tasks/file-matching-patterns: `*`, `?`, `[...]` within a name, `**`
across folders, `!` in front takes away again, one pattern a line. Braces and extended globs aren't understood.
"""

import re
from collections.abc import Iterable
from pathlib import Path


def find(patterns: str, root: Path) -> list[Path]:
    """The files below `root` (or anywhere, for an absolute pattern) that the lines of `patterns` choose, in order.

    The folder `.git` is left out.
    """
    found: dict[Path, None] = {}
    for line in lines(patterns):
        if line.startswith("!"):
            taken = matcher(line[1:], root)
            found = {path: None for path in found if not taken.fullmatch(path.as_posix())}
        else:
            wanted = matcher(line, root)
            start = _start(line, root)
            found |= {path: None for path in sorted(_files(start)) if wanted.fullmatch(path.as_posix())}
    return list(found)


def chosen(patterns: str, names: Iterable[str]) -> list[str]:
    """Those of the names, which are relative paths, that the lines of `patterns` choose."""
    result: dict[str, None] = {}
    known = list(names)
    for line in lines(patterns):
        pattern = re.compile(_translate(line.removeprefix("!")))
        hits = [name for name in known if pattern.fullmatch(name)]
        if line.startswith("!"):
            result = {name: None for name in result if name not in hits}
        else:
            result |= dict.fromkeys(hits)
    return list(result)


def lines(patterns: str) -> list[str]:
    """The patterns; empty lines and comments are none."""
    return [line for each in patterns.splitlines() if (line := each.strip()) and not line.startswith("#")]


def matcher(pattern: str, root: Path) -> re.Pattern[str]:
    """One pattern as a regular expression for absolute paths."""
    rooted = pattern if pattern.startswith("/") else f"{_escaped(root.as_posix().rstrip('/'))}/{pattern}"
    return re.compile(_translate(rooted))


def _start(pattern: str, root: Path) -> Path:
    """The deepest folder below which everything is that can match; the file itself where there are no wildcards."""
    fixed: list[str] = []
    for part in pattern.split("/"):
        if any(character in part for character in "*?["):
            break
        fixed.append(part)
    return root / ("/".join(fixed) or ("/" if pattern.startswith("/") else ""))


def _files(start: Path) -> Iterable[Path]:
    if start.is_file():
        return [start]
    return (path for path in start.rglob("*") if path.is_file() and ".git" not in path.relative_to(start).parts[:-1])


def _escaped(path: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", path)


def _translate(pattern: str) -> str:
    parts = []
    segments = pattern.removeprefix("./").split("/")
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if segment == "**":
            parts.append(".*" if last else "(?:[^/]+/)*")
        else:
            parts.append(_segment(segment) + ("" if last else "/"))
    return "".join(parts)


def _segment(segment: str) -> str:
    result, index = "", 0
    while index < len(segment):
        character = segment[index]
        end = segment.find("]", index + 2)
        if character == "*":
            result += "[^/]*"
        elif character == "?":
            result += "[^/]"
        elif character == "[" and end > 0:
            inner = segment[index + 1 : end].replace("\\", r"\\")
            result += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            index = end
        else:
            result += re.escape(character)
        index += 1
    return result
