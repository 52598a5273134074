"""Typed access to the keys of one mapping, expanded when they are read."""

import re
from collections.abc import Iterable

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.expansion import Bound, Entry, entries, items, resolve, scalar
from rehearsal.agent.language.nodes import Scalar
from rehearsal.agent.language.reading import Keys, Section

_TRUE = {"true", "yes", "on", "y"}  # the published schema's words for booleans
_FALSE = {"false", "no", "off", "n"}
_NAME = re.compile(r"[-_A-Za-z0-9]*\Z")


class Fields:
    """The keys of a mapping. Raises PipelineError for keys that aren't understood, and for values that don't fit."""

    def __init__(self, section: Section, pairs: Iterable[Entry], position: Position) -> None:
        self._keys = Keys(section, pairs, position)
        self.position = position

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def bound(self, key: str) -> Bound | None:
        """The value as it stands."""
        return self._keys.get(key)

    def place(self, key: str) -> Position:
        """Where a key stands."""
        return self._keys.place(key)

    def optional_text(self, key: str) -> str | None:
        """The value as text, or None if the key isn't there."""
        bound = self._keys.get(key)
        return None if bound is None else scalar(bound).text

    def text(self, key: str, default: str = "") -> str:
        """The value as text."""
        found = self.optional_text(key)
        return default if found is None else found

    def needed(self, key: str) -> str:
        """The value as text that isn't empty."""
        text = self.text(key)
        if not text:
            raise PipelineError(f"'{key}' is missing or empty", self.place(key))
        return text

    def name(self, key: str) -> str:
        """The value as name: letters, digits, `_` and `-`."""
        text = self.text(key)
        if not _NAME.match(text):
            raise PipelineError(f"'{text}' is not a valid name: use letters, digits, '_' and '-'", self.place(key))
        return text

    def boolean(self, key: str, default: bool) -> bool:
        """The value as boolean. `$(name)` isn't known yet and is refused."""
        text = self.optional_text(key)
        if text is None:
            return default
        if text.lower() not in _TRUE | _FALSE:
            raise PipelineError(f"'{key}' must be true or false before the run starts, not '{text}'", self.place(key))
        return text.lower() in _TRUE

    def integer(self, key: str, default: int) -> int:
        """The value as whole number, 0 or more. `$(name)` isn't known yet and is refused."""
        text = self.optional_text(key)
        if text is None:
            return default
        if not re.fullmatch("[0-9]{1,9}", text):
            message = f"'{key}' must be a whole number before the run starts, not '{text}'"
            raise PipelineError(message, self.place(key))
        return int(text)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str | None:
        """One of several words, or None if the key isn't there."""
        text = self.optional_text(key)
        if text is not None and text not in allowed:
            raise PipelineError(f"Unexpected value '{text}'. Allowed: {', '.join(allowed)}", self.place(key))
        return text

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; one text alone is a list of one. None if the key isn't there."""
        bound = self._keys.get(key)
        return None if bound is None else texts_of(bound)

    def mapping(self, key: str) -> dict[str, str]:
        """Names with texts."""
        bound = self._keys.get(key)
        return {} if bound is None else {name.text: scalar(value).text for name, value in entries(bound)}

    def inner(self, key: str, section: Section) -> "Fields | None":
        """The keys of a mapping within this one, or None if the key isn't there."""
        bound = self._keys.get(key)
        return None if bound is None else Fields(section, entries(bound), bound.position)


def texts_of(bound: Bound) -> tuple[str, ...]:
    """A list of texts, or one text alone. The empty text is an empty list."""
    outer = resolve(bound)
    if isinstance(outer.node, Scalar):
        return (outer.node.text,) if outer.node.text else ()
    return tuple(scalar(item).text for item in items(outer))
