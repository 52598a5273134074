"""What `doctor` finds."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "missing", "warning", "skipped"]
"""`missing` has to be seen to; a `warning` is told; what is `skipped` couldn't be looked at."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A prerequisite.

    Args:
        area: what it belongs to, such as `tools`.
        name: the prerequisite.
        state: how it is.
        found: what was found.
        remedy: how to get it; empty where all is well.
    """

    area: str
    name: str
    state: State
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """In one line."""
        word = self.state if self.state == "ok" else self.state.upper()
        return f"{word:<8} {self.name}: {self.found}{f'; {self.remedy}' if self.remedy else ''}"
