"""What a release may not do: it changes Databricks, and leaves alone what guards it.

The identity of the pipeline has no rights over its own gates, so such a plan would fail half-way. And what is protected
goes by an administrator's hand alone.
"""

from delivery.console import Mistake, RefusedError
from delivery.plan import Plan, Step, area

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
        Mistake(key=f"{step.operation} {step.kind} {step.name}", found=found, remedy=remedy_of(stack))
        for step in plan.changes
        if (found := problem_of(step))
    ]
    if mistakes:
        raise RefusedError(mistakes)


def problem_of(step: Step) -> str | None:
    """Why a release may not make this step; None if it may."""
    where = area(step)
    if where in ("control plane", "gate"):
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


def remedy_of(stack: str) -> str:
    """Who does it instead, and how."""
    return f"nothing was changed. An administrator does this, with the same commit: pulumi up --stack {stack}"
