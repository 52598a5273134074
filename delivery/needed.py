"""What a regular expression can't match without: so that it needn't be tried where that doesn't stand.

Python tries an expression at each letter of a text, some ten million letters a second. Whether a word stands somewhere
in a text it knows a hundred times as fast.
"""

import re
from collections.abc import Iterator, Sequence
from re import _parser  # type: ignore[attr-defined] # what `re` itself reads expressions with; it isn't published
from typing import Any, TypeAlias

Needed: TypeAlias = frozenset[frozenset[str]]
"""Of each of these sets one text stands in every match, with letters of ASCII in whatever case; here in lower case."""


def needed(pattern: re.Pattern[str]) -> Needed:
    """What the expression needs; nothing where nothing is known.

    Args:
        pattern: of text.
    """
    return frozenset(_of_sequence(_parser.parse(pattern.pattern, pattern.flags)))


def may_match(sets: Needed, lowered: str) -> bool:
    """Whether a text may hold a match.

    Args:
        sets: as `needed` gives them.
        lowered: the text in lower case; of ASCII alone, as other letters have a case of their own.
    """
    return all(any(text in lowered for text in texts) for texts in sets)


def _of_sequence(parts: Sequence[Any]) -> Iterator[frozenset[str]]:
    run = ""
    for operation, value in parts:
        name = str(operation)
        if name == "LITERAL" and value < 128:
            run += chr(value).lower()
            continue
        if run:
            yield frozenset({run})
            run = ""
        yield from _of_part(name, value)
    if run:
        yield frozenset({run})


def _of_part(name: str, value: Any) -> Iterator[frozenset[str]]:
    if name == "SUBPATTERN":
        yield from _of_sequence(value[-1])
    elif name == "ATOMIC_GROUP":
        yield from _of_sequence(value)
    elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0]:
        yield from _of_sequence(value[2])
    elif name == "BRANCH":
        # Of each way its longest; of a way that needs nothing there is none, and then nothing is known.
        longest = [max(_of_sequence(each), key=_shortest, default=frozenset()) for each in value[1]]
        if all(longest):
            yield frozenset[str]().union(*longest)


def _shortest(texts: frozenset[str]) -> int:
    return min(map(len, texts))
