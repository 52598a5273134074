"""What the commands say: progress for people on standard error, the result on standard output, mistakes by key."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SECONDS_BETWEEN_LINES = 2.0
# Lines that people are shown of a long list.
SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """`key` is the file, setting or option concerned, `found` what is wrong with it, `remedy` what to do."""

    key: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.found}; {self.remedy}"


class RefusedError(Exception):
    """What is asked for may not be done: exit code 1. Every reason is in `mistakes`."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


class UnusableError(Exception):
    """Wrong usage, or something that can't be read or written: exit code 2."""

    def __init__(self, key: str, found: str, remedy: str) -> None:
        self.mistakes = (Mistake(key=key, found=found, remedy=remedy),)
        super().__init__(str(self.mistakes[0]))


class Progress:
    """Lines on standard error: one a step, and within a long step one every two seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def step(self, text: str) -> None:
        """Says what is done now, or has been done."""
        self._last = time.monotonic()
        _write(sys.stderr, text)

    def count(self, what: str, done: int, total: int) -> None:
        """Says how far it is, if nothing was said for a while."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self.step(f"  {what}: {done:,} of {total:,}")


def tell(lines: Sequence[str], document: dict[str, Any], *, as_json: bool) -> None:
    """Writes the result: the lines for people, or the document as JSON."""
    _write(sys.stdout, json.dumps(document, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))


def tell_mistakes(mistakes: Sequence[Mistake], *, as_json: bool) -> None:
    """Writes why nothing came of it: on standard error for people; as JSON on standard output, `{"errors": [...]}`."""
    if as_json:
        tell([], {"errors": [asdict(mistake) for mistake in mistakes]}, as_json=True)
    else:
        _write(sys.stderr, "\n".join(shortened([f"error: {mistake}" for mistake in mistakes])))


def shortened(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many there are besides."""
    rest = len(lines) - SHOWN
    return [*lines[:SHOWN], f"... and {rest:,} more; --json has them all"] if rest > 0 else list(lines)


def _write(stream: Any, text: str) -> None:
    # A name of a file can hold what isn't Unicode, and the terminal may know less than Unicode.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
