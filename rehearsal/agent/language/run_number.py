"""The name of a run, from `name:` of a pipeline.

https://learn.microsoft.com/azure/devops/pipelines/process/run-number
"""

import re
from collections.abc import Callable
from datetime import datetime

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.functions import format_time

DEFAULT = "$(Date:yyyyMMdd).$(Rev:r)"
_TOKEN = re.compile(r"\$\((?P<name>[^():]+)(:(?P<format>[^()]+))?\)")
_REVISION = re.compile(r"(?P<before>\.?)(?P<digits>r+)\Z")
_FORBIDDEN = set("\"/\\:<>'|?@*")
_LONGEST = 255

NextRevision = Callable[[str], int]  # the number without its revision: 1 if no run has it, else one more than the last


def run_number(
    template: str | None, start: datetime, lookup: Callable[[str], str | None], next_revision: NextRevision
) -> str:
    """The name of a run that starts at `start` (UTC).

    `lookup` gives the value of a variable or None; an unknown `$(name)` stays as it stands. The revision counts runs
    whose name is the same without it. `$(Rev:.r)`, which older pages have, puts the dot before it.
    Raises ExpressionError for a date format that isn't known and for a name that the service doesn't allow.
    """
    placed = _TOKEN.sub(lambda found: _value(found, start, lookup), template or DEFAULT)
    revisions = [found for found in _TOKEN.finditer(placed) if _is_revision(found)]
    if revisions:
        number = next_revision(_TOKEN.sub(lambda found: "" if _is_revision(found) else found[0], placed))
        placed = _TOKEN.sub(lambda found: _revision(found, number), placed)
    if len(placed) > _LONGEST or placed.endswith(".") or _FORBIDDEN & set(placed):
        raise ExpressionError(
            f"The run number '{placed}' is not valid: too long, with a character of {_shown()}, or ends with '.'"
        )
    return placed


def _shown() -> str:
    return " ".join(sorted(_FORBIDDEN))


def _is_revision(found: re.Match[str]) -> bool:
    return found["name"].lower() == "rev" and bool(_REVISION.match(found["format"] or ""))


def _revision(found: re.Match[str], number: int) -> str:
    shape = _REVISION.match(found["format"] or "") if _is_revision(found) else None
    return f"{shape['before']}{number:0{len(shape['digits'])}}" if shape else found[0]


def _value(found: re.Match[str], start: datetime, lookup: Callable[[str], str | None]) -> str:
    name, shape = found["name"].lower(), found["format"]
    if shape is not None:
        return format_time(start, shape) if name in {"date", "year"} else found[0]
    plain = {
        "dayofmonth": start.day,
        "dayofyear": start.timetuple().tm_yday,
        "hours": start.hour,
        "minutes": start.minute,
        "month": start.month,
        "seconds": start.second,
    }
    if name in plain:
        return str(plain[name])
    aliases = {"sourcebranchname": "Build.SourceBranchName", "teamproject": "System.TeamProject"}
    value = lookup(aliases.get(name, found["name"]))
    return found[0] if value is None else value
