"""What an `up` would do, as the engine tells it, and which part of the system each step concerns.

No Pulumi and no network here: the events of the engine are JSON documents.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Area: TypeAlias = Literal["control plane", "gate", "permissions", "folder", "notebooks", "jobs", "other"]
"""Which part of the system a resource belongs to.

`control plane`: project, repository, policies, pipelines and what else there is in Azure DevOps. `gate`: an environment
with its checks, and who approves. `permissions`: who may do what in the folder, or with a job. `folder`: the folder
itself. `notebooks`: notebooks, files and the folders that they are in. `jobs`: the jobs.
"""

# All of the control plane and of the gates, as `--target` and `--exclude` of Pulumi take it: `**` is any text
# (https://www.pulumi.com/docs/iac/cli/commands/pulumi_up/).
GUARDED = "**:azuredevops:**"

Operation: TypeAlias = Literal["create", "update", "replace", "delete", "same", "read", "import"]

# What stands for a secret in the engine's events
# (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig.go), and what it is shown as.
SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the mark, which is public
SECRET = "[secret]"  # noqa: S105 - what is shown in the place of one

_OWN = "databricks-cicd:"
_AREAS: Mapping[str, Area] = {
    "databricks-cicd:azuredevops:DeploymentGate": "gate",
    "databricks-cicd:databricks:FolderPermissions": "permissions",
    "databricks-cicd:databricks:WorkspaceFolder": "folder",
    "databricks-cicd:databricks:Notebooks": "notebooks",
    "databricks-cicd:databricks:Jobs": "jobs",
}
_PERMISSIONS = "databricks:index/permissions:Permissions"

# A replacement is three steps of the engine; the one in the middle is its whole.
_OPERATIONS: Mapping[str, Operation | None] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "same": "same",
    "read": "read",
    "import": "import",
    "create-replacement": None,
    "delete-replaced": None,
    "discard-replaced": None,
    "remove-pending-replace": None,
    "refresh": None,
    "read-replacement": None,
    "read-discard": "read",
    "discard": "read",
    "import-replacement": "replace",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to one resource.

    `type` is the provider's token, `components` those of the components around it, the outermost first. `name` is the
    logical name. `protected` says whether the resource is protected now, before the step. `changed` has the paths of
    the properties that differ, such as `tags.release`; `protect` stands for the protection itself, which the engine
    changes without a step of its own. `replaces` has those of them that make it a replacement. `old` and `new` are the
    inputs, empty where there is none; secrets are `SECRET`.
    """

    operation: Operation
    urn: str
    type: str
    name: str
    components: tuple[str, ...] = ()
    protected: bool = False
    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""

    @property
    def destroys(self) -> bool:
        """Whether something that exists is gone afterwards, if only to be made anew."""
        return self.operation in ("delete", "replace")

    @property
    def kind(self) -> str:
        """The resource's type in one word, `Notebook`."""
        return self.type.rsplit(":", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps in the engine's order, those that change nothing included, and what it says besides.

    `seconds` is the engine's own time; `warnings` are its words.
    """

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: int = 0

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something; components and the stack itself, which are only names, are left out."""
        return tuple(step for step in self.steps if step.operation not in ("same", "read") and is_real(step))

    def counts(self) -> dict[Operation, int]:
        """How many resources are created, updated, replaced and deleted."""
        return dict(Counter(step.operation for step in self.changes))


def is_real(step: Step) -> bool:
    """Whether the step concerns something outside of Pulumi's own state: no component, stack or provider."""
    return not step.type.startswith((_OWN, "pulumi:"))


def area(step: Step) -> Area:
    """Which part of the system the step concerns; see `Area`."""
    if step.type == _PERMISSIONS:
        return "permissions"
    for token in (*step.components, step.type):
        if token in _AREAS:
            return _AREAS[token]
        # What is added to the control plane one day must not pass for harmless.
        if token.startswith((f"{_OWN}azuredevops:", "azuredevops:")):
            return "control plane"
    return "other"


def is_guarded(step: Step) -> bool:
    """Whether the step concerns the control plane or a gate, which an administrator alone changes."""
    return area(step) in ("control plane", "gate")


def plan_of(events: Iterable[Mapping[str, Any]]) -> Plan:
    """Reads the engine's events of a preview or an update.

    Args:
        events: documents of the type `EngineEvent`
            (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go).
    """
    steps: dict[str, Step] = {}
    warnings: list[str] = []
    seconds = 0
    for event in events:
        if "resourcePreEvent" in event:
            found = _step(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            # A refresh knows only afterwards what it has found.
            found = _refreshed(event["resOutputsEvent"]["metadata"], steps)
        else:
            found = None
        if found:
            steps[found.urn] = found
        if (told := event.get("diagnosticEvent")) and told.get("severity") == "warning" and not told.get("ephemeral"):
            warnings.append(" ".join(str(told.get("message", "")).split()))
        if "summaryEvent" in event:
            seconds = int(event["summaryEvent"].get("durationSeconds") or 0)
    return Plan(steps=tuple(steps.values()), warnings=tuple(warnings), seconds=seconds)


def errors_of(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The engine's errors, each with the resource that it concerns."""
    errors = []
    for event in events:
        told = event.get("diagnosticEvent")
        if told and told.get("severity") == "error" and not told.get("ephemeral"):
            urn, message = str(told.get("urn") or ""), str(told.get("message", "")).strip()
            if message:
                errors.append(f"{urn.rsplit('::', 1)[-1]}: {message}" if urn else message)
        if told := event.get("errorEvent"):
            errors.append(str(told.get("error", "")).strip())
    return list(dict.fromkeys(errors))


def _step(told: Mapping[str, Any]) -> Step | None:
    operation = _OPERATIONS.get(told["op"])
    if operation is None:
        return None
    old, new = told.get("old") or {}, told.get("new") or {}
    changed = tuple(told.get("detailedDiff") or ()) or tuple(told.get("diffs") or ())
    # The engine takes protection off (or puts it on) in its own state, and calls the resource the same.
    if old and new and bool(old.get("protect")) != bool(new.get("protect")):
        operation = "update" if operation == "same" else operation
        changed = (*changed, "protect")
    return _made(told, operation, changed)


def _refreshed(told: Mapping[str, Any], known: Mapping[str, Step]) -> Step | None:
    operation = _OPERATIONS.get(told["op"])
    if operation is None or told["urn"] in known:
        return None
    old, new = (_plain((told.get(side) or {}).get("outputs")) or {} for side in ("old", "new"))
    changed = tuple(told.get("detailedDiff") or ()) or tuple(
        sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    )
    return _made(told, operation, changed if operation == "update" else ())


def _made(told: Mapping[str, Any], operation: Operation, changed: tuple[str, ...]) -> Step:
    urn = str(told["urn"])
    old, new = told.get("old") or {}, told.get("new") or {}
    *components, _ = _types(urn)
    details = told.get("detailedDiff") or {}
    replaces = [path for path, how in details.items() if str(how.get("diffKind", "")).endswith("-replace")]
    return Step(
        operation=operation,
        urn=urn,
        type=str(told["type"]),
        name=urn.rsplit("::", 1)[-1],
        components=tuple(components),
        protected=bool((old or new).get("protect")),
        changed=changed,
        replaces=tuple(replaces or (told.get("keys") or ()) if operation == "replace" else ()),
        old=_inputs(old),
        new=_inputs(new),
        id=str((old or new).get("id") or ""),
    )


def _types(urn: str) -> list[str]:
    """Of `urn:pulumi:STACK::PROJECT::OUTER$INNER::NAME` the types; a name may hold `::` too."""
    return urn.split("::", 3)[2].split("$")


def _inputs(state: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_plain(state.get("inputs") or {}))


def _plain(value: Any) -> Any:
    """Without the engine's wrapping of secrets, and without the bridge's own notes (`__defaults`)."""
    if isinstance(value, dict):
        if SECRET_SIGNATURE in value:
            return SECRET
        return {key: _plain(each) for key, each in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def each_change(plans: Mapping[str, Plan]) -> Iterator[tuple[str, Step]]:
    """Stack and step of every change of several stacks."""
    for stack, plan in plans.items():
        for step in plan.changes:
            yield stack, step
