"""What the developers of the small project change, and what becomes of it."""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Pulls:
    """The five pull requests, by what they do."""

    notebook: int
    package: int
    untidy: int
    gate: int
    draft: int


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What became of a merge: the commit on `main`, its build and its release."""

    commit: str
    build: int
    release: int


def content(old: str, new: str) -> Any:
    """An edit that replaces something which is there."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def without_approvers(text: str) -> str:
    """The stack file of production without the setting `gate`, whose only key is `approvers`."""
    shorter, number = re.subn(r"  databricks-cicd:gate:\n(    .*\n)+", "", text)
    assert number == 1
    return shorter
