"""Keeps secrets out of logs, as the agent does.

https://learn.microsoft.com/azure/devops/pipelines/process/set-secret-variables and
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Sdk/SecretMasking/ILoggedSecretMasker.cs:
every place where the value of a secret stands becomes `***`. Logs are lines, so each line of a secret of several lines
is one. Beside the value itself it is hidden as it stands in JSON and in URLs.
"""

import json
import threading
from urllib.parse import quote

MASK = "***"


class SecretMasker:
    """Hides secrets. Safe to use from several threads. What was written before a secret was added stays as it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._longest_first: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Hides this value, and each of its lines, from now on."""
        added = {form for line in secret.splitlines() if line.strip() for form in _forms(line.strip("\r\n"))}
        with self._lock:
            if not added <= self._values:
                self._values |= added
                # A secret within another one would leave the rest of that one readable if it came first.
                self._longest_first = tuple(sorted(self._values, key=len, reverse=True))

    def mask(self, text: str) -> str:
        """The text without secrets."""
        for value in self._longest_first:
            text = text.replace(value, MASK)
        return text


def _forms(line: str) -> set[str]:
    return {
        line,
        line.strip(),
        json.dumps(line)[1:-1],
        json.dumps(line, ensure_ascii=False)[1:-1],
        quote(line, safe=""),
    }
