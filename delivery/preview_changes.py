"""What of a plan is shown to people: each change with its values, and what about it deserves a look."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.plan import Area, Plan, Step, area, each_change

# Values under such names aren't shown, whatever they are.
_SECRET_KEYS = re.compile(r"password|passphrase|secret|token|credential|connectionstring|apikey", re.I)
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


def _reason(step: Step, where: Area, approvers: Sequence[str]) -> str:
    if "protect" in step.changed:
        taken = "is taken off" if step.protected else "is put on"
        return f"protection against deletion {taken}"
    if where not in FLAGGED:
        return ""
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
    if _SECRET_KEYS.search(path.rsplit(".", 1)[-1]):
        return "(not shown)"
    return value if isinstance(value, str) else json.dumps(_without_secrets(value), ensure_ascii=False, sort_keys=True)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "(not shown)" if _SECRET_KEYS.search(key) else _without_secrets(each) for key, each in value.items()
        }
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value
