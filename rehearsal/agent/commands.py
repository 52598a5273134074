"""Logging commands: the lines `##vso[area.event name=value;...]data` with which a step talks to the agent.

https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands; how they are read follows
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Microsoft.VisualStudio.Services.Agent/Command.cs and
https://github.com/microsoft/azure-pipelines-agent/blob/master/docs/design/percentEncoding.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "##vso["
KEYWORD = "##vso"

_ESCAPES = ((";", "%3B"), ("\r", "%0D"), ("\n", "%0A"), ("]", "%5D"))
_PERCENT = "%AZP25"


@dataclass(frozen=True, slots=True)
class LoggingCommand:
    """One command. `area` and `event` are in lower case, as are the names of `properties`."""

    area: str
    event: str
    properties: Mapping[str, str] = field(repr=False)
    data: str = field(repr=False)

    def flag(self, name: str) -> bool:
        """Whether a property is `true`, in any case."""
        return self.properties.get(name, "").strip().lower() == "true"


def parse(line: str) -> LoggingCommand | None:
    """The command in a line of output, wherever in it the command begins; None if there is none."""
    start = line.find(PREFIX)
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    name, _, rest = line[start + len(PREFIX) : end].partition(" ")
    parts = [part for part in name.split(".") if part]
    if len(parts) != 2:
        return None
    properties = {}
    for pair in rest.split(";"):
        key, _, value = pair.partition("=")
        if key and value:
            properties[key.lower()] = unescape(value)
    return LoggingCommand(parts[0].lower(), parts[1].lower(), properties, unescape(line[end + 1 :]))


def unescape(text: str) -> str:
    """A value as it was before it was put into a command."""
    for token, replacement in _ESCAPES:
        text = text.replace(replacement, token)
    return text.replace(_PERCENT, "%")
