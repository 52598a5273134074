"""What a release may not do: it changes Databricks, and leaves alone what guards it.

The identity of the pipeline has no rights over its own gates, so such a plan would fail half-way. And what is protected
goes by an administrator's hand alone. Where it can be, the administrator's command deploys no notebooks: of those the
record of releases would know nothing.
"""

from collections.abc import Sequence

from delivery.console import Mistake, RefusedError
from delivery.plan import GUARDED, Plan, Step, area, is_guarded

DATABRICKS = "databricks:"
# What a release may create, update and, where it isn't protected, delete.
OWN = ("permissions", "notebooks", "jobs")


def refuse(plan: Plan, stack: str) -> None:
    """Refuses a plan that does more than a release may.

    Args:
        plan: of `pulumi preview`.
        stack: the stack's name.

    Raises:
        RefusedError: with every step that is too much, and the command with which an administrator makes it.
    """
    mistakes = [
        Mistake(key=f"{step.operation} {step.kind} {step.name}", found=found, remedy=_remedy(step, plan, stack))
        for step in plan.changes
        if (found := problem_of(step))
    ]
    if mistakes:
        raise RefusedError(mistakes)


def problem_of(step: Step) -> str | None:
    """Why a release may not make this step; None if it may."""
    where = area(step)
    if is_guarded(step):
        return f"it changes the {where}, and a release changes Databricks alone"
    if not step.type.startswith(DATABRICKS):
        return f"it changes a resource of type {step.type}, and a release changes Databricks alone"
    if step.destroys and step.protected:
        return "it deletes or replaces what is protected"
    if "protect" in step.changed:
        return "it changes what is protected from deletion"
    if where not in OWN and step.destroys:
        return "it deletes or replaces the folder"
    return None


def _remedy(step: Step, plan: Plan, stack: str) -> str:
    if is_guarded(step):
        command = only_guarded(plan.changes, stack)
    elif step.protected:
        command = f"pulumi state unprotect --stack {stack} '{step.urn}', and then the release again"
    elif "protect" in step.changed:
        command = f"pulumi state protect --stack {stack} '{step.urn}', and then the release again"
    else:
        command = f"pulumi up --stack {stack}"
    return by_an_administrator(command)


def only_guarded(changes: Sequence[Step], stack: str) -> str:
    """The command that changes control plane and gate of a stack, and deploys no notebook where that can be.

    Permissions depend on all of a stack. What they depend on is taken away only together with a change of theirs, and
    that the engine refuses while something else is missing that they depend on, such as a new notebook.

    Args:
        changes: all that the stack's plan holds.
        stack: the stack's name.
    """
    if not any(step.destroys for step in changes if is_guarded(step)):
        return f"pulumi up --stack {stack} --target '{GUARDED}'"
    if not any(step.operation == "create" for step in changes if not is_guarded(step)):
        return f"pulumi up --stack {stack} --target '{GUARDED}' --target-dependents"
    return f"pulumi up --stack {stack}, and at once the release again: until then the record names the one before"


def by_an_administrator(command: str) -> str:
    """The remedy that has this command."""
    return f"nothing was changed. An administrator does this, with the same commit: {command}"
