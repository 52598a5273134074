"""What of a plan is shown to people: each change with its values, and what about it deserves a look."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from delivery.console import Progress
from delivery.plan import Area, Plan, Step, area, each_change
from delivery.secret_scan import credentials_among

# Values aren't shown, whatever they are, where such a word stands anywhere in their path: `parameters[token].default`,
# `sparkConf.fs.azure.account.key.lake.dfs.core.windows.net`.
_SECRET_PATHS = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|connection[._-]?string"
    r"|(api|access|account|encryption|private|shared|storage)[._-]?key|(?<![a-z])(pat|sas)(?![a-z])",
    re.I,
)
NOT_SHOWN = "(not shown)"
SUSPICIOUS = "(not shown: it looks like a credential)"
# What a task, a parameter or a cluster is known by in a list of them.
_KEYS = ("taskKey", "jobClusterKey", "name", "key")
# What every job takes over from the release that its notebooks come from (components/jobs.py).
_OF_THE_RELEASE = {"tags.release", "tags.commit", "description"}
_RELEASE_LINE = re.compile(r"Release [0-9a-f]{64}, commit \S+$")
MOST_VALUES = 12
FLAGGED: tuple[Area, ...] = ("control plane", "gate", "permissions")
# The kinds of resources that are files of a release.
FILES = ("Notebook", "WorkspaceFile")


@dataclass(frozen=True, kw_only=True)
class Value:
    """A property that changes; None on a side where there is none."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a stack.

    `reason` says in words why it deserves a look, empty if it doesn't by itself. `more` is how many values are left
    out.
    """

    stack: str
    step: Step
    area: Area
    values: tuple[Value, ...]
    more: int
    reason: str

    @property
    def flagged(self) -> bool:
        """Whether it concerns control plane, gate, policies or permissions, or takes protection off."""
        return bool(self.reason)

    @property
    def is_file(self) -> bool:
        """Whether it is a notebook or a file of the release."""
        return self.step.kind in FILES and self.area == "notebooks"

    @property
    def label(self) -> str:
        """What people know it by: the path or the name in the service, else Pulumi's name."""
        known = {**self.step.old, **self.step.new}
        told = next((known[key] for key in ("path", "name", "displayName") if isinstance(known.get(key), str)), None)
        return told or self.step.name


def changes_of(
    plans: Mapping[str, Plan], approvers: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Change], int]:
    """The changes of several stacks, and how many jobs merely take over the release's digest and commit.

    Args:
        plans: by stack.
        approvers: of each stack, as its settings name them; the engine knows them by their descriptors alone.
    """
    changes, following = [], 0
    for stack, step in each_change(plans):
        values = _values(step)
        if step.kind == "Job" and step.operation == "update" and _release_alone_in(step):
            values = [value for value in values if value.path not in _OF_THE_RELEASE]
            if not values and "protect" not in step.changed:
                following += 1
                continue
        where = area(step)
        changes.append(
            Change(
                stack=stack,
                step=step,
                area=where,
                values=tuple(values[:MOST_VALUES]),
                more=max(0, len(values) - MOST_VALUES),
                reason=_reason(step, where, (approvers or {}).get(stack, ())),
            )
        )
    return changes, following


def without_credentials(changes: Sequence[Change], progress: Progress) -> list[Change]:
    """The changes without the values in which the scan of artifacts finds a credential, whatever they are called.

    Args:
        changes: as `changes_of` gives them.
        progress: hears how far it is.
    """
    told = {side for change in changes for value in change.values for side in (value.old, value.new) if side}
    found = credentials_among(sorted({line for side in told for line in _scanned(side)}), progress)
    secret = {side for side in told if found.intersection(_scanned(side))}
    return [replace(change, values=tuple(_hidden(value, secret) for value in change.values)) for change in changes]


def _scanned(text: str) -> list[str]:
    """The lines; and the whole with quotes, as the tool looks for what is random in strings alone."""
    return [*text.split("\n"), json.dumps(text, ensure_ascii=False)]


def _hidden(value: Value, secret: set[str]) -> Value:
    old, new = (SUSPICIOUS if side in secret else side for side in (value.old, value.new))
    return replace(value, old=old, new=new)


def _reason(step: Step, where: Area, approvers: Sequence[str]) -> str:
    if "protect" in step.changed:
        taken = "is taken off" if step.protected else "is put on"
        return f"protection against deletion {taken}"
    if where not in FLAGGED:
        return _other_identity(step)
    if step.kind == "GroupMembership" and where == "gate":
        before, after = (len(side.get("members") or ()) for side in (step.old, step.new))
        named = f" ({', '.join(approvers)})" if approvers and after else ""
        return f"approvers: {before} before, {after} after{named}"
    if step.kind.startswith("Check") and step.destroys:
        return "a check of deployments is taken away" if step.operation == "delete" else "a check is made anew"
    if "Policy" in step.kind:
        return "a policy on the repository"
    return {"control plane": "the control plane", "gate": "the gate of an environment", "permissions": "permissions"}[
        where
    ]


def _other_identity(step: Step) -> str:
    """Whether it is a job that runs as somebody else than before."""
    before, after = (_runs_as(side) for side in (step.old, step.new))
    if step.kind != "Job" or step.operation == "delete" or before == after:
        return ""
    return f"permissions: it runs as {after}" + (f" instead of {before}" if step.old else "")


def _runs_as(job: Mapping[str, Any]) -> str:
    """Whom a job runs as: without a setting its owner, who is the one that deploys."""
    named = [str(name) for name in (job.get("runAs") or {}).values() if name]
    return named[0] if named else "who deploys"


def _release_alone_in(step: Step) -> bool:
    """Whether a job's description differs at the most by the line that names the release."""
    old, new = (_RELEASE_LINE.sub("", str(side.get("description") or "")) for side in (step.old, step.new))
    return old == new


def _values(step: Step) -> list[Value]:
    if step.operation in ("create", "delete"):
        return []
    found = [
        Value(path=path, old=_shown(path, old), new=_shown(path, new))
        for path, old, new in _differences("", step.old, step.new)
    ]
    # The provider can know a difference that isn't one of the inputs: the content of a file, what somebody did by hand.
    return found or [Value(path=path, old=None, new=None) for path in step.changed if path != "protect"]


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(f"{path}.{key}".lstrip("."), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(path, old, new)
    else:
        yield path, old, new


def _of_lists(path: str, old: list[Any], new: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    key = next((key for key in _KEYS if all(isinstance(each, dict) and key in each for each in [*old, *new])), None)
    if key:
        named = [{str(each[key]): each for each in side} for side in (old, new)]
        for name in sorted({*named[0], *named[1]}):
            yield from _differences(f"{path}[{name}]", named[0].get(name), named[1].get(name))
        return
    yield from ((path, each, None) for each in old if each not in new)
    yield from ((path, None, each) for each in new if each not in old)


def _shown(path: str, value: Any) -> str | None:
    if value is None:
        return None
    shown = _without_secrets(path, value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, sort_keys=True)


def _without_secrets(path: str, value: Any) -> Any:
    # That something is a secret, or may be shared, is none.
    if isinstance(value, bool):
        return value
    name = next((value[key] for key in _KEYS if key in value), None) if isinstance(value, dict) else None
    if _SECRET_PATHS.search(path if name is None else f"{path}[{name}]"):
        return NOT_SHOWN
    if isinstance(value, dict):
        return {key: _without_secrets(f"{path}.{key}", each) for key, each in value.items()}
    return [_without_secrets(path, each) for each in value] if isinstance(value, list) else value
