"""Putting the recorded release back."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from delivery import azure_devops_builds as runs
from delivery.console import Mistake, Progress, RefusedError
from delivery.deploy_content import put_back
from delivery.deploy_refusals import only_guarded, problem_of
from delivery.plan import GUARDED, Plan, is_guarded
from delivery.pulumi_cli import Pulumi
from delivery.record import Ledger, Record
from delivery.stack import Stack, azure_devops_client
from delivery.workdir import Prepared, prepared
from delivery.workspace import Workspace
from delivery.workspace_objects import objects_of


@dataclass(frozen=True, kw_only=True)
class Place:
    """A stack, its workspace folder, and the record there."""

    stack: Stack
    pulumi: Pulumi
    workspace: Workspace
    ledger: Ledger


@contextmanager
def the_artifact(
    record: Record, stack: Stack, artifact: Path | None, project_name: str | None, progress: Progress
) -> Iterator[Prepared]:
    """The artifact of the recorded release, verified.

    Args:
        record: which says what that is.
        stack: whose record it is.
        artifact: where the artifact is; None to fetch it from the build that made it.
        project_name: the Azure DevOps project, if the stack's isn't meant.
        progress: hears what is done.

    Raises:
        RefusedError: no release is recorded, or its deployment isn't finished, or the artifact isn't that release.
        UnusableError: the artifact can't be had.
    """
    current = record.current
    if record.state != "deployed" or not current:
        found = f"the record says {record.state}: there is no finished release to put back"
        remedy = "deploy a release; a deployment that was cut off goes on when it is repeated"
        raise RefusedError([Mistake(key=stack.folder, found=found, remedy=remedy)])
    with tempfile.TemporaryDirectory(prefix="databricks-cicd-") as scratch:
        folder, digest = artifact, None
        if folder is None:
            if not current.get("build"):
                remedy = "give its artifact with --artifact; the same commit gives the same files"
                found = f"it was deployed from no build; its commit is {current['commit']}"
                raise RefusedError([Mistake(key=str(current["version"]), found=found, remedy=remedy)])
            client = azure_devops_client(stack, project_name, progress)
            progress.step(f"fetching the artifact of build {current['build']['number']}")
            folder, digest = Path(scratch, runs.ARTIFACT), current["digest"]
            client.download_artifact(current["build"]["id"], runs.ARTIFACT, folder)
        with prepared(folder, digest, progress) as ready:
            if ready.manifest.content != current["content"]:
                found = f"it is {ready.manifest.version}, content {ready.manifest.content}"
                remedy = f"give the one of {current['version']}, content {current['content']}"
                raise RefusedError([Mistake(key="--artifact", found=found, remedy=remedy)])
            yield ready


def repair(artifact: Prepared, place: Place, progress: Progress, *, take_over: bool = False) -> None:
    """Puts back what a release may change. What only an administrator may is left, and told.

    Raises:
        RefusedError: it can't be put back, or somebody deploys.
        UnusableError: a service can't be reached.
    """
    pulumi, workspace, stack = place.pulumi, place.workspace, place.stack
    with place.ledger.turn(workspace.user(), take_over):
        plan = pulumi.preview(refresh=True, progress=progress)
        left = [step for step in plan.changes if problem_of(step)]
        exclude: list[str] = []
        if left:
            _tell(plan, stack, progress)
            # Only what the state knows can be named; what is still forbidden then keeps Pulumi from all of it.
            others = [step.urn for step in left if not is_guarded(step) and step.operation != "create"]
            exclude = [GUARDED, *others]
            plan = pulumi.preview(refresh=True, exclude=exclude, progress=progress)
        if plan.changes and not any(map(problem_of, plan.changes)):
            progress.step(f"pulumi up --refresh --stack {stack.name}")
            pulumi.up(progress, refresh=True, exclude=exclude)
        put_back(workspace, objects_of(artifact.folder, stack.name), artifact.folder, progress)


def _tell(plan: Plan, stack: Stack, progress: Progress) -> None:
    for step in plan.changes:
        if found := problem_of(step):
            progress.step(f"not put back: {step.kind} {step.name}: {found}")
    if any(map(is_guarded, plan.changes)):
        progress.step(f"an administrator does it: {only_guarded(plan.changes, stack.name)} --refresh")
