"""What the commands say: progress for people on standard error, the result on standard output, mistakes by key.

In a pipeline the agent takes lines of either for commands, wherever in a line `##vso[` stands, and colours those that
begin with `##[` (https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands). What the commands say is
made of foreign words, too: names of stray files, messages of tests, what the engine and the services tell. So within
`harmless_output` nothing is a command but what `tell` is given as one.
"""

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any, TextIO, cast

_COMMAND = re.compile(r"##(?=vso|\[)", re.I)
# As the agent reads them back, the percent sign first.
_ESCAPED = {"%": "%AZP25", "\r": "%0D", "\n": "%0A", ";": "%3B", "]": "%5D"}
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

    def count(self, what: str, done: int, total: int | None = None) -> None:
        """Says how far it is, if nothing was said for a while; without a total where nobody knows it yet."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self.step(f"  {what}: {done:,}" + (f" of {total:,}" if total is not None else ""))


@contextmanager
def harmless_output() -> Iterator[None]:
    """In a pipeline, keeps the agent from taking what is printed for its commands, tracebacks included."""
    if not os.environ.get("TF_BUILD"):
        yield
        return
    out, err = (cast("TextIO", _Harmless(stream)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever it is: as Python itself would end, but through the harmless stream
            traceback.print_exc()
            sys.exit(1)


def agent_command(name: str, value: str, **properties: str) -> str:
    """A command to the agent, for `tell`.

    Args:
        name: such as `task.setvariable`.
        value: what stands behind the bracket.
        properties: what stands within.
    """
    told = ";".join(f"{key}={_escaped(each)}" for key, each in properties.items())
    return f"##vso[{f'{name} {told}' if told else name}]{_escaped(value)}"


def tell(lines: Sequence[str], document: dict[str, Any], *, as_json: bool, agent_commands: Sequence[str] = ()) -> None:
    """Writes the result: the lines for people, and in a pipeline the commands to the agent; or the document as JSON."""
    if as_json:
        # JSON has another way to write the character, so whoever reads it gets the very same.
        _write(sys.stdout, _COMMAND.sub(r"#\\u0023", json.dumps(document, indent=2, ensure_ascii=False)))
        return
    _write(sys.stdout, "\n".join(lines))
    if agent_commands and os.environ.get("TF_BUILD"):
        stream = sys.stdout
        _write(stream.stream if isinstance(stream, _Harmless) else stream, "\n".join(agent_commands))


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


class _Harmless:
    """A stream whose lines are no commands to the agent: a space stands where those have none."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(_COMMAND.sub("## ", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _escaped(text: str) -> str:
    return re.sub(r"[%\r\n;\]]", lambda found: _ESCAPED[found[0]], text)


def _write(stream: Any, text: str) -> None:
    # A name of a file can hold what isn't Unicode, and the terminal may know less than Unicode.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
