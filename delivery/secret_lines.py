"""detect-secrets, asked about many files at once: it judges, and is spared the lines in which it can't find anything.

The tool asks some thirty plugins about each line, one call after the other: three thousand lines a second. By their
plugins' own definition most lines hold nothing: no expression of theirs matches, no quoted string is random enough, no
word is one of its keywords. Which lines those are is looked for in the text of all files together, each different line
once; what is left is given to the tool, which judges it as it always does. A plugin of a kind that isn't known here is
asked about every line.

Nothing must get lost so: tests/delivery/test_secret_lines.py compares with the tool's own scan of each file, for text
that is made from the expressions of all plugins.
"""

import io
import re
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath

from detect_secrets.core.plugins.initialize import from_file
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.high_entropy_strings import HighEntropyStringsPlugin
from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector
from detect_secrets.settings import default_settings, get_plugins, get_settings
from detect_secrets.transformers import get_transformed_file
from detect_secrets.types import NamedIO
from detect_secrets.util.filetype import FileType, determine_file_type

from delivery.console import Progress, UnusableError
from delivery.needed import Needed, may_match, needed

RULES = Path(__file__).with_name("secret_rules.py")
# Filters that would hide a file by its name, or a line by a comment or by a call in it.
REFUSED_FILTERS = (
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_swagger_file",
)
# Files that the tool rewrites before it looks: a value counts as quoted there.
SETTINGS = (FileType.YAML, FileType.CONFIG, FileType.INI, FileType.PROPERTIES, FileType.TOML)
TEXT = "text.txt"
CHUNK_LINES = 50
# The first of the lines that the tool is given. With it nothing passes for a file of settings, and the tool must find
# it: silence is no answer.
GUARD = " ".join(("BEGIN", "PRIVATE", "KEY"))

Found = dict[int, set[str]]
"""The kinds of what is found, by the line's index."""


@dataclass(frozen=True)
class _Probe:
    """Says from where to where in a text of several lines a plugin may find something.

    It is spared a text that lacks something which it needs.
    """

    needed: Needed
    spans: Callable[[str], Iterable[tuple[int, int]]]


@contextmanager
def configured() -> Iterator[None]:
    """The tool with all its plugins and those of `secret_rules.py`, and without the filters that hide lines."""
    with default_settings():
        own: Iterable[type[BasePlugin]] = from_file(str(RULES))
        settings = get_settings()
        settings.configure_plugins([{"name": plugin.__name__} for plugin in own])
        settings.filters["delivery.secret_rules.is_call_after_keyword"] = {}
        settings.disable_filters(*REFUSED_FILTERS)
        yield


def scanned(files: Mapping[str, Sequence[str]], progress: Progress) -> Iterator[tuple[str, Found]]:
    """What the tool finds in each file; files without a finding don't come.

    Args:
        files: the lines by path; the tool knows by its extension how a file's format writes strings.
        progress: hears how far it is.

    Raises:
        UnusableError: the tool doesn't work.
    """
    with tempfile.TemporaryDirectory() as scratch, configured():
        # Of a file that it rewrites the tool sees keys and values. What else stands there, in comments, is scanned too.
        rewritten = {path for path, lines in files.items() if _is_rewritten(_named(path), lines)}
        names = {path: TEXT if path in rewritten else _named(path) for path in files}
        formats: dict[str, dict[str, None]] = {}
        for path, lines in files.items():
            formats.setdefault(names[path], {}).update((line.rstrip(), None) for line in lines)
        kinds = {name: _in_lines(Path(scratch, name), list(lines), progress) for name, lines in formats.items()}
        for done, (path, lines) in enumerate(files.items()):
            progress.count("files scanned for secrets", done, len(files))
            known = kinds[names[path]]
            found = {index: one for index, line in enumerate(lines) if (one := known.get(line.rstrip()))}
            if path in rewritten or (not found and _is_rewritten(_named(path), lines, eagerly=True)):
                for index, one in _in_file(Path(scratch, f"{done}{_named(path)}"), lines).items():
                    found[index] = one | found.get(index, set())
            if found:
                yield path, found


def suspicious(lines: Sequence[str], progress: Progress) -> list[str]:
    """The lines in which a plugin may find something; in the others none does.

    Args:
        lines: without spaces at their ends.
        progress: hears how far it is.
    """
    probes: list[_Probe] = []
    for plugin in get_plugins():
        its = _probes(plugin)
        if its is None:
            return list(lines)
        probes += its
    probes = _of_use(probes, "\n".join(lines))
    chosen: list[str] = []
    for start in range(0, len(lines), CHUNK_LINES):
        progress.count("lines scanned for secrets", start, len(lines))
        chunk = lines[start : start + CHUNK_LINES]
        text = "\n".join(chunk)
        spans = [span for probe in _of_use(probes, text) for span in probe.spans(text)]
        if spans:
            chosen += [chunk[index] for index in sorted(_lines_of(spans, chunk))]
    return chosen


def _of_use(probes: list[_Probe], text: str) -> list[_Probe]:
    """Those that may find something there."""
    if not text.isascii():  # other letters can be an upper or lower case of one of ASCII
        return probes
    lowered = text.lower()
    return [probe for probe in probes if may_match(probe.needed, lowered)]


def _lines_of(spans: Iterable[tuple[int, int]], chunk: Sequence[str]) -> set[int]:
    """In which lines of the chunk the spans are."""
    starts = list(accumulate((len(line) + 1 for line in chunk[:-1]), initial=0))
    marked: set[int] = set()
    for begin, end in spans:
        # A match can go over several lines, and swallow one that begins in the second.
        marked.update(range(bisect_right(starts, begin) - 1, bisect_right(starts, end)))
    return marked


def _probes(plugin: BasePlugin) -> list[_Probe] | None:
    """None for a plugin of a kind that isn't known here."""
    if isinstance(plugin, RegexBasedDetector):
        # ^ and $ stand for the ends of a line, as they do where there is only one.
        return [_probe(re.compile(each.pattern, each.flags | re.MULTILINE)) for each in plugin.denylist]
    if isinstance(plugin, KeywordDetector):
        # Each of its expressions has one of these words in it.
        return [_probe(re.compile(word, re.IGNORECASE)) for word in DENYLIST]
    if isinstance(plugin, HighEntropyStringsPlugin):

        def random_strings(text: str) -> Iterator[tuple[int, int]]:
            return (match.span() for match in plugin.regex.finditer(text) if _may_be_random(plugin, match[2]))

        return [_Probe(frozenset(), random_strings)]
    return None


def _probe(pattern: re.Pattern[str]) -> _Probe:
    return _Probe(needed(pattern), lambda text: (match.span() for match in pattern.finditer(text)))


def _may_be_random(plugin: HighEntropyStringsPlugin, text: str) -> bool:
    # Of N different characters the entropy is log2(N) at the most, which is quicker to know.
    return len(set(text)) >= 2**plugin.entropy_limit and plugin.calculate_shannon_entropy(text) > plugin.entropy_limit


def _in_lines(file: Path, lines: Sequence[str], progress: Progress) -> dict[str, set[str]]:
    """The kinds by the line, for lines that the tool looks at one by one."""
    asked = [GUARD, *suspicious(lines, progress)]
    found = _in_file(file, asked)
    if 0 not in found:
        remedy = "install the locked packages anew: python -m delivery venv --lock requirements.lock"
        raise UnusableError("detect-secrets", "it doesn't find a private key that was put before it", remedy)
    return {asked[index]: kinds for index, kinds in found.items() if index}


def _in_file(file: Path, lines: Sequence[str]) -> Found:
    """What the tool finds in a file, which is written for it."""
    # What JSON can spell and UTF-8 can't is no part of a credential.
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")
    found: Found = {}
    for secret in scan_file(str(file)):
        found.setdefault(_place(lines, secret), set()).add(secret.type)
    return found


def _place(lines: Sequence[str], secret: PotentialSecret) -> int:
    """The index of the line. In a file that the tool has rewritten it counts wrong after a line with several keys."""
    told, value = min(secret.line_number, len(lines)) - 1, secret.secret_value or ""
    if value in lines[told]:
        return told
    return next((index for index, line in enumerate(lines) if value in line), told)


def _is_rewritten(name: str, lines: Sequence[str], *, eagerly: bool = False) -> bool:
    """Whether the tool rewrites a file before it looks, as it does with settings.

    It tries to read every file as one. Where it has found nothing in a file of an unknown format, it tries once more
    with a heading: `eagerly`.
    """
    if not eagerly and determine_file_type(name) in SETTINGS:
        return True
    return bool(get_transformed_file(_Named(name, lines), use_eager_transformers=eagerly))


class _Named(io.StringIO, NamedIO):
    """A file for the tool."""

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        super().__init__("".join(f"{line}\n" for line in lines))
        self.name = name


def _named(path: str) -> str:
    """A name with the extension of the format."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".ipynb":
        return "cells.py"
    # Some of the other extensions are ones that the tool doesn't scan.
    return TEXT if determine_file_type(path) == FileType.OTHER else f"lines{suffix}"
