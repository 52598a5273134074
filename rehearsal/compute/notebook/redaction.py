"""Secret values leave the runner as `[REDACTED]`.

docs.databricks.com/security/secrets/redaction: the literal value is replaced, in outputs and in errors. Here also its
form in a `repr` and in JSON. What code makes of a value otherwise (reversed, encoded, painted into a plot) isn't found,
there as here.
"""

import json
import threading
from typing import Any

REDACTED = "[REDACTED]"


class Redactor:
    """Knows the values, and takes them out of text."""

    def __init__(self, values: list[str] | None = None) -> None:
        self._values: set[str] = set()
        self._forms: list[str] = []
        self._lock = threading.Lock()
        for value in values or []:
            self.add(value)

    @property
    def values(self) -> list[str]:
        return sorted(self._values)

    @property
    def forms(self) -> list[str]:
        """What is taken out, the longest first."""
        return self._forms

    def add(self, value: str) -> None:
        """From now on this value is redacted."""
        if not value:
            return
        with self._lock:
            self._values.add(value)
            plain = json.dumps(value, ensure_ascii=False)[1:-1]
            forms = {value, repr(value)[1:-1], ascii(value)[1:-1], plain, json.dumps(value)[1:-1]}
            self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text

    def content(self, content: Any, keep: frozenset[str] = frozenset()) -> Any:
        """A copy of JSON-like content with every text in it redacted.

        Args:
            content: the content.
            keep: keys whose values are the runner's own words and stay as they are; without any, keys are redacted too.
        """
        if not self._forms:
            return content
        match content:
            case str():
                return self.text(content)
            case dict() if keep:
                return {key: value if key in keep else self.content(value, keep) for key, value in content.items()}
            case dict():
                return {self.content(key): self.content(value) for key, value in content.items()}
            case list() | tuple():
                return [self.content(each, keep) for each in content]
        # A number can be a secret as well.
        return REDACTED if not keep and str(content) in self._forms else content


class RedactedStream:
    """Redacts bytes that come in pieces: the end of a piece that may begin a secret waits for the next one."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        forms = [form.encode("utf-8", "surrogateescape") for form in self._redactor.forms]
        if not forms:
            return data
        text = self._held + data
        for form in forms:
            text = text.replace(form, REDACTED.encode())
        held = max(_begun(text, form) for form in forms)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return held


def _begun(text: bytes, form: bytes) -> int:
    """How many bytes at the end of the text are the beginning of the form."""
    for length in range(min(len(form) - 1, len(text)), 0, -1):
        if text.endswith(form[:length]):
            return length
    return 0
