"""Filters of triggers: which branches and which files they take.

https://learn.microsoft.com/azure/devops/pipelines/process/pipeline-triggers-branches#wildcards
"""

import re
from collections.abc import Iterable

from rehearsal.agent.language.plan import Filter


def _pattern(pattern: str, *, folder: bool = False) -> re.Pattern[str]:
    text = re.escape(pattern.removeprefix("refs/heads/").strip("/")).replace(r"\*\*", ".*").replace(r"\*", ".*")
    return re.compile(text.replace(r"\?", ".") + ("(/.*)?" if folder else ""), re.DOTALL)


def _any(patterns: Iterable[str], name: str, *, folder: bool = False) -> bool:
    return any(_pattern(each, folder=folder).fullmatch(name) for each in patterns)


def branch(names: Filter, name: str) -> bool:
    """Whether a branch, named without `refs/heads/`, passes a filter; without `include` every branch does."""
    return (not names.include or _any(names.include, name)) and not _any(names.exclude, name)


def file(paths: Filter, path: str) -> bool:
    """Whether a path passes a filter; a folder stands for all that is in it, and the longer pattern wins."""
    if not _any(paths.exclude, path, folder=True):
        return not paths.include or _any(paths.include, path, folder=True)
    taken = [len(each) for each in paths.include if _any([each], path, folder=True)]
    left = [len(each) for each in paths.exclude if _any([each], path, folder=True)]
    return bool(taken) and max(taken) > max(left)
