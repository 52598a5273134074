"""Changes, differences and reports for tests, without an engine."""

from typing import Any

from delivery.cells import CellChange
from delivery.plan import Operation, Plan, Step
from delivery.preview_changes import Change, changes_of
from delivery.preview_files import FileDifference
from delivery.report import Report

COMPONENTS = {
    "GroupMembership": "azuredevops:DeploymentGate",
    "CheckApproval": "azuredevops:DeploymentGate",
    "Environment": "azuredevops:DeploymentGate",
    "BranchPolicyMinReviewers": "azuredevops:BranchPolicies",
    "Permissions": "databricks:FolderPermissions",
    "Directory": "databricks:WorkspaceFolder",
    "Notebook": "databricks:Notebooks",
    "WorkspaceFile": "databricks:Notebooks",
    "Job": "databricks:Jobs",
}


def step(operation: Operation, kind: str, name: str, **more: Any) -> Step:
    """A step of the resource, in the component that it belongs to."""
    component = f"databricks-cicd:{COMPONENTS[kind]}"
    provider = "azuredevops" if component.startswith("databricks-cicd:azuredevops") else "databricks"
    token = f"{provider}:index/{kind[0].lower()}{kind[1:]}:{kind}"
    urn = f"urn:pulumi:prod::databricks-cicd::{component}${token}::{name}"
    return Step(operation=operation, urn=urn, type=token, name=name, components=(component,), **more)


def changes(*steps: Step, stack: str = "prod") -> list[Change]:
    """As a preview of one stack gives them."""
    return changes_of({stack: Plan(steps=steps)})[0]


def cell(*lines: str, number: int = 1, title: str = "", kind: str = "python") -> CellChange:
    """A changed cell."""
    return CellChange(
        operation="changed",
        number=number,
        kind=kind,
        title=title,
        lines=lines,
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
    )


def changed(source: str, *cells: CellChange, stacks: tuple[str, ...] = ("test", "prod")) -> FileDifference:
    """A changed notebook."""
    return FileDifference(source=source, stacks=stacks, operation="update", cells=cells)


def report(*made: Change, files: tuple[FileDifference, ...] = (), **more: Any) -> Report:
    """A report of both stacks."""
    return Report(stacks=("test", "prod"), changes=made, files=files, **more)
