"""What a report says, as words that are ours and code that isn't, and how foreign text is kept from being markup."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

SHORT = 200
# CommonMark ends a line at these; and what changes the direction of writing or can't be seen would show another text
# than the one that is there (https://trojansource.codes).
_KEPT = "\t\n"
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~@!])")


@dataclass(frozen=True)
class Code:
    """Foreign text: a name, a value. It is shown as it is, and never as markup."""

    text: str


Words: TypeAlias = Sequence["str | Code"]
"""A line; a plain string in it is our own text without any foreign part."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Lines of a text difference, with what stands above them."""

    caption: Words
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Item:
    """A point of a list, what stands below it as points, and text differences. `place` is the folder of a file."""

    words: Words
    below: tuple[Words, ...] = ()
    differences: tuple[Difference, ...] = ()
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report. `share` is how many characters it may take of a comment; `more` names what is left out."""

    title: str
    items: tuple[Item, ...]
    share: int
    more: str
    lead: Words = ()


def visible(text: str) -> str:
    """The text with each letter that can't be seen, or that would end a line, as an escape."""
    if text.isascii() and text.isprintable():  # most are
        return text
    return "".join(
        letter if letter in _KEPT or unicodedata.category(letter) not in _INVISIBLE else _escape(letter)
        for letter in text
    )


def one_line(text: str, most: int = SHORT) -> str:
    """The text in one line of at most so many letters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def code(text: str) -> str:
    """Markdown of a piece of code in a line: https://spec.commonmark.org/0.31.2/#code-spans."""
    line = one_line(text)
    if not line:
        return "(empty)"
    longest = max(map(len, re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def plain(text: str) -> str:
    """Markdown of our own words: no letter of them is markup."""
    return _SPECIAL.sub(r"\\\1", visible(text).replace("\n", " "))


def fenced(lines: Sequence[str], language: str = "") -> str:
    """Markdown of a block of code that nothing in the lines can end: https://spec.commonmark.org/0.31.2/#fenced-code-blocks."""
    body = [visible(line).replace("\n", _escape("\n")) for line in lines]
    longest = max((len(run) for line in body for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *body, fence])


def units(text: str) -> int:
    """The length as Azure DevOps may count it, which is written in a language with UTF-16."""
    return len(text) + sum(ord(letter) > 0xFFFF for letter in text)


def _escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08x}"
