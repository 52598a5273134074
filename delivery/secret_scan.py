"""Credentials among the files of an artifact, as detect-secrets finds them (https://github.com/Yelp/detect-secrets).

It reads words such as `password = "..."`, the forms of known tokens, and strings that are too random to be words. All
its plugins are used, and those of `secret_rules.py`. It asks no service whether what it finds is valid.

What it takes for a secret and isn't one stands in `allowed_secrets.yaml`, a list of `path`, `line` (the whole line,
without the spaces around it) and `reason`. The line stands there as it is, so that a reviewer sees what is let through;
the tool's own comments (`pragma: allowlist secret`), which give no reason, have no effect. An entry that nothing needs
any more is a mistake.

The tool reads UTF-8 and skips other text, many extensions, and lines in a notebook's JSON are hard for it. So it is
given text: a notebook's cells and the text of its outputs (not its pictures), and whatever else has no zero bytes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from delivery.console import Mistake, Progress

if TYPE_CHECKING:
    from delivery.secret_lines import Found

ALLOWED = "delivery/allowed_secrets.yaml"
# What Pulumi itself writes into a stack's file is encrypted, or says with what: it looks random, and a word in it is
# `secret`. A known token behind such a key is one nevertheless.
STACK = re.compile(r"Pulumi\.[^/]+\.yaml")
ENCRYPTED = re.compile(r"\s*(?:encryptionsalt|encryptedkey|secretsprovider|secure):\s")
GUESSES = {"Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """`place` is what people call it: `line 7`, or `cell 2, line 3`."""

    place: str
    text: str


def secrets(files: Mapping[str, bytes], progress: Progress) -> list[Mistake]:
    """What looks like a credential and isn't allowed; and entries of the list of those that are which don't fit.

    The text found is not in the messages: they go to logs.

    Args:
        files: the contents by path.
        progress: hears how far it is.
    """
    mistakes: list[Mistake] = []
    allowed = _allowed(files.get(ALLOWED, b""), mistakes)
    unused = set(allowed)
    for path, line, kind in sorted(_found_in(files, progress), key=lambda found: found[0]):
        unused.discard((path, line.text.strip()))
        if (path, line.text.strip()) not in allowed:
            mistakes.append(_mistake(path, line, kind))
    for path, _ in sorted(unused):
        found = f"a line of {path} that isn't there or in which nothing is found"
        mistakes.append(Mistake(key=ALLOWED, found=found, remedy="take the entry away, or copy the line anew"))
    return mistakes


def credentials_among(lines: Sequence[str], progress: Progress) -> set[str]:
    """Those of the lines that look like a credential; what is allowed in an artifact isn't asked for.

    Args:
        lines: of whatever files.
        progress: hears how far it is.
    """
    if not lines:
        return set()
    # A heading could make a file of settings of them.
    whole = ["lines", *lines]
    return {whole[index] for _, found in _scanned({"lines.py": whole}, progress) for index in found}


def _scanned(files: Mapping[str, Sequence[str]], progress: Progress) -> "Iterator[tuple[str, Found]]":
    # Loading the tool takes a tenth of a second, which a command that starts an engine has while that works.
    from delivery.secret_lines import scanned  # noqa: PLC0415 - see above

    return scanned(files, progress)


def _found_in(files: Mapping[str, bytes], progress: Progress) -> Iterator[tuple[str, Line, str]]:
    """Path, line and what it seems to be."""
    texts = {path: lines for path, content in files.items() if path != ALLOWED and (lines := _lines(path, content))}
    for path, found in _scanned({path: [line.text for line in lines] for path, lines in texts.items()}, progress):
        for index in sorted(found):
            line = texts[path][index]
            meant = found[index] - (GUESSES if STACK.fullmatch(path) and ENCRYPTED.match(line.text) else set())
            if meant:
                yield path, line, ", ".join(sorted(meant))


def _mistake(path: str, line: Line, kind: str) -> Mistake:
    remedy = (
        "take it out, make it invalid where it was issued (it stays in git's history), and read it from a secret "
        f"scope or a variable; if it is none, add path, line and reason to {ALLOWED}"
    )
    return Mistake(key=path, found=f"{line.place} looks like a secret ({kind})", remedy=remedy)


def _lines(path: str, content: bytes) -> list[Line]:
    """The text in a file; none in one that isn't text."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in content:
        return []
    text = content.decode(encoding, errors="replace")
    if path.endswith(".ipynb"):
        try:
            return list(_notebook(json.loads(text)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not a notebook: its own mistake, elsewhere; here it is text
    return [Line(place=f"line {number}", text=each) for number, each in enumerate(_split(text), 1)]


def _notebook(notebook: Any) -> Iterator[Line]:
    """https://nbformat.readthedocs.io/en/latest/format_description.html; everything but pictures."""
    for number, cell in enumerate(notebook["cells"], 1):
        for row, each in enumerate(_split(_joined(cell["source"])), 1):
            yield Line(place=f"cell {number}, line {row}", text=each)
        for output in cell.get("outputs", ()):
            shown = {key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")}
            for told in (output.get("text", ""), output.get("traceback", ""), *shown.values()):
                for each in _split(_joined(told)):
                    yield Line(place=f"output of cell {number}", text=each)
        yield from _metadata(f"metadata of cell {number}", cell)
    yield from _metadata("metadata", notebook)


def _metadata(place: str, holder: Any) -> Iterator[Line]:
    for each in _split(json.dumps(holder.get("metadata", {}), indent=0, ensure_ascii=False)):
        yield Line(place=place, text=each)


def _joined(text: Any) -> str:
    """nbformat has text as a string or as a list of lines; of JSON output it is JSON."""
    if isinstance(text, list) and all(isinstance(each, str) for each in text):
        return "".join(text)
    return text if isinstance(text, str) else json.dumps(text, indent=0, ensure_ascii=False)


def _split(text: str) -> list[str]:
    # As the tool reads a file: a line ends at a line feed, with or without a carriage return, and nowhere else.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _allowed(content: bytes, mistakes: list[Mistake]) -> set[tuple[str, str]]:
    """Path and line of each entry."""
    try:
        entries = yaml.safe_load(content) or []
        if not isinstance(entries, list):
            raise TypeError("it isn't a list")
        allowed = set()
        for entry in entries:
            path, line, reason = (entry[key] for key in ("path", "line", "reason"))
            if len(entry) != 3 or not all(isinstance(each, str) and each.strip() for each in (path, line, reason)):
                raise TypeError(f"the entry {entry} has something else")
            allowed.add((path, line.strip()))
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        remedy = "write a list of entries with path, line and reason, each a text"
        mistakes.append(Mistake(key=ALLOWED, found=f"it can't be read: {error}", remedy=remedy))
        return set()
    return allowed
