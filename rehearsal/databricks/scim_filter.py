"""Filters of the SCIM API, as far as Databricks takes them: simple comparisons, joined by `and` and `or`.

docs.databricks.com/api/workspace/groups/list: `eq`, `co`, `sw` and `ne`. RFC 7644, section 3.4.2.2.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from rehearsal.databricks.errors import ScimError
from rehearsal.store import Document

Filter: TypeAlias = Callable[[Document], bool]

_COMPARISON = re.compile(
    r'\s*([A-Za-z.$]+)\s+(eq|co|sw|ne)\s+("(?:[^"\\]|\\.)*"|true|false|\'[^\']*\'|[^\s()"]+)\s*', re.IGNORECASE
)
_JOIN = re.compile(r"(and|or)\s", re.IGNORECASE)


def parse(text: str) -> Filter:
    """The filter as a function of a resource. `and` binds before `or`; texts are compared without regard to case.

    Raises:
        ScimError: 400, it isn't one.
    """
    alternatives: list[list[Filter]] = [[]]
    position = 0
    while True:
        comparison = _COMPARISON.match(text, position)
        if comparison is None:
            raise ScimError(400, f"Given filter is not supported: {text}", "invalidFilter")
        alternatives[-1].append(_comparison(*comparison.groups()))
        position = comparison.end()
        if position == len(text):
            return lambda resource: any(all(each(resource) for each in every) for every in alternatives)
        join = _JOIN.match(text, position)
        if join is None:
            raise ScimError(400, f"Given filter is not supported: {text}", "invalidFilter")
        if join[1].lower() == "or":
            alternatives.append([])
        position = join.end()


def _comparison(attribute: str, operator: str, literal: str) -> Filter:
    wanted = re.sub(r"\\(.)", r"\1", literal[1:-1]) if literal[0] in "\"'" else literal
    wanted = wanted.casefold()
    compare: dict[str, Callable[[str], bool]] = {
        "eq": lambda value: value == wanted,
        "ne": lambda value: value != wanted,
        "co": lambda value: wanted in value,
        "sw": lambda value: value.startswith(wanted),
    }
    matches = compare[operator.lower()]
    names = attribute.split(".")

    def holds(resource: Document) -> bool:
        values = _values(resource, names)
        # What isn't there differs from everything.
        return any(matches(value) for value in values) if values else operator.lower() == "ne"

    return holds


def _values(value: object, names: list[str]) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in _values(each, names or ["value"])]
    if names:
        if not isinstance(value, dict):
            return []
        inner = next((each for name, each in value.items() if name.casefold() == names[0].casefold()), None)
        return _values(inner, names[1:])
    if isinstance(value, bool):
        return [str(value).casefold()]
    return [] if value is None else [str(value).casefold()]
