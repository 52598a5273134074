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
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from detect_secrets.core.plugins.initialize import from_file
from detect_secrets.core.scan import scan_file
from detect_secrets.filters.heuristic import is_non_text_file
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.settings import default_settings, get_plugins, get_settings
from detect_secrets.util.filetype import FileType, determine_file_type

from delivery.console import Mistake, Progress

ALLOWED = "delivery/allowed_secrets.yaml"
RULES = Path(__file__).with_name("secret_rules.py")
# Filters that would hide a file by its name, or a line by a comment or by a call in it.
REFUSED_FILTERS = (
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_swagger_file",
)
# What Pulumi itself writes into a stack's file is encrypted, or says with what: it looks random, and a word in it is
# `secret`. A known token behind such a key is one nevertheless.
STACK = re.compile(r"Pulumi\.[^/]+\.yaml")
ENCRYPTED = re.compile(r"\s*(?:encryptionsalt|encryptedkey|secretsprovider|secure):\s")
GUESSES = {"Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword"}
# Lines of no particular file are scanned so many at a time: where nothing is found in them, the scan is shorter.
CHUNK_LINES = 500
SETTINGS = (FileType.YAML, FileType.CONFIG, FileType.INI, FileType.PROPERTIES, FileType.TOML)


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
    chunks = {
        f"{start}.py": "\n".join(lines[start : start + CHUNK_LINES]).encode(errors="replace")
        for start in range(0, len(lines), CHUNK_LINES)
    }
    return {line.text for _, line, _ in _found_in(chunks, progress)}


def _found_in(files: Mapping[str, bytes], progress: Progress) -> Iterator[tuple[str, Line, str]]:
    """Path, line and what it seems to be.

    The tool asks each of its plugins about each line, some thirty in all. Most of them are only expressions, which are
    searched here in a whole file first; where none is found, the tool asks the others alone, in half the time.
    Settings are left to the tool as a whole, because it rewrites them before it looks.
    """
    texts = {path: lines for path, content in files.items() if path != ALLOWED and (lines := _lines(path, content))}
    with tempfile.TemporaryDirectory() as scratch, default_settings():
        own: Iterable[type[BasePlugin]] = from_file(str(RULES))
        settings = get_settings()
        settings.configure_plugins([{"name": plugin.__name__} for plugin in own])
        settings.filters["delivery.secret_rules.is_call_after_keyword"] = {}
        settings.disable_filters(*REFUSED_FILTERS)
        expressions = [plugin for plugin in get_plugins() if isinstance(plugin, RegexBasedDetector)]
        # ^ and $ stand for the ends of a line, as they do where there is only one.
        patterns = [re.compile(each.pattern, each.flags | re.MULTILINE) for one in expressions for each in one.denylist]
        special = [path for path, lines in texts.items() if _is_special(path, lines, patterns)]
        rest = [path for path in texts if path not in set(special)]
        for done, path in enumerate([*special, *rest]):
            if done == len(special):
                settings.disable_plugins(*(type(plugin).__name__ for plugin in expressions))
            progress.count("scanned for secrets", done, len(texts))
            for line, kind in _found(Path(scratch, str(done)), path, texts[path]):
                yield path, line, kind


def _is_special(path: str, lines: list[Line], patterns: Iterable[re.Pattern[str]]) -> bool:
    if determine_file_type(path) in SETTINGS:
        return True
    text = "\n".join(line.text for line in lines)
    return any(pattern.search(text) for pattern in patterns)


def _mistake(path: str, line: Line, kind: str) -> Mistake:
    remedy = (
        "take it out, make it invalid where it was issued (it stays in git's history), and read it from a secret "
        f"scope or a variable; if it is none, add path, line and reason to {ALLOWED}"
    )
    return Mistake(key=path, found=f"{line.place} looks like a secret ({kind})", remedy=remedy)


def _found(stem: Path, path: str, lines: list[Line]) -> Iterator[tuple[Line, str]]:
    """Each line in which something is found, once, with what it seems to be."""
    # By the extension the tool knows how a file's format writes strings.
    extension = PurePosixPath(path).suffix
    if extension == ".ipynb":
        extension = ".py"
    elif is_non_text_file(path):
        extension = ".txt"
    file = stem.with_name(stem.name + extension)
    file.write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
    kinds: dict[int, set[str]] = {}
    for secret in scan_file(str(file)):
        kinds.setdefault(secret.line_number, set()).add(secret.type)
    for number in sorted(kinds):
        line = lines[number - 1]
        meant = kinds[number] - (GUESSES if STACK.fullmatch(path) and ENCRYPTED.match(line.text) else set())
        if meant:
            yield line, ", ".join(sorted(meant))


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
