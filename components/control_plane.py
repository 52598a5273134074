"""What the stacks share in Azure DevOps: made by the stack that owns it, read by the others."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime

from components import naming
from components.branch_policies import BranchPolicies, BranchPoliciesArgs
from components.errors import words_of
from components.pipeline_variables import PipelineVariables, PipelineVariablesArgs
from components.pipelines import Pipelines, PipelinesArgs
from components.settings_model import ControlPlane as ControlPlaneSettings
from components.settings_model import Settings
from components.source_control import SourceControl, SourceControlArgs

# Set by who leaves control plane and gate out of an update: `deploy` in a rollback, and `drift --repair`.
LEFT = "DATABRICKS_CICD_GUARDS_LEFT"
NEEDED = ("project_id", "default_branch", "release_pipeline_id", "drift_pipeline_id", "folder", "folder_url")


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """The shared things, as far as a stack's own gate needs them.

    Args:
        project_id: the project that the environment is made in.
        default_branch: the short name of the branch to deploy from.
        release_pipeline_id: the one pipeline that deploys.
        drift_pipeline_id: the one that compares what is there with what was deployed.
        exports: what the owning stack exports of it: for people, and for the other stacks.
        owned: the components, in the stack that owns them.
    """

    project_id: pulumi.Input[str]
    default_branch: str
    release_pipeline_id: pulumi.Input[int]
    drift_pipeline_id: pulumi.Input[int]
    exports: Mapping[str, Any] = field(default_factory=dict)
    owned: tuple[pulumi.Resource, ...] = ()


def own_control_plane(settings: Settings, owned: ControlPlaneSettings, opts: pulumi.ResourceOptions) -> ControlPlane:
    """Makes the shared things: source control, then the pipelines, then the policies on the default branch.

    Args:
        settings: all settings of the stack.
        owned: what they say of the control plane.
        opts: the options with the providers.
    """
    branch = owned.repository.default_branch
    source = SourceControl(
        "source",
        SourceControlArgs(
            services=settings.services, project=owned.project, repository=owned.repository, checkout=Path.cwd()
        ),
        opts,
    )
    pipelines = Pipelines(
        "pipelines",
        PipelinesArgs(
            project_id=source.project_id,
            repository_id=source.repository_id,
            default_branch=branch,
            agents=owned.agents,
        ),
        opts,
    )
    variables = PipelineVariables(
        "preview-variables",
        PipelineVariablesArgs(
            project_id=source.project_id,
            purpose=naming.PREVIEW,
            pipelines={"build": pipelines.build_id},
            only_from=None,
        ),
        opts,
    )
    policies = BranchPolicies(
        "review",
        BranchPoliciesArgs(
            project_id=source.project_id,
            repository_id=source.repository_id,
            default_branch=branch,
            review=owned.review,
            build_pipeline_id=pipelines.build_id,
        ),
        opts,
    )
    url = settings.services.organization_url
    return ControlPlane(
        project_id=source.project_id,
        default_branch=branch,
        release_pipeline_id=pipelines.release_id,
        drift_pipeline_id=pipelines.drift_id,
        exports={
            "project_id": source.project_id,
            "project_url": naming.project_url(url, owned.project.name),
            "repository_id": source.repository_id,
            "repository_url": naming.clone_url(url, owned.project.name, owned.repository.name),
            "default_branch": branch,
            "build_pipeline_id": pipelines.build_id,
            "build_pipeline_url": _pipeline_url(url, source.project_id, pipelines.build_id),
            "release_pipeline_id": pipelines.release_id,
            "release_pipeline_url": _pipeline_url(url, source.project_id, pipelines.release_id),
            "drift_pipeline_id": pipelines.drift_id,
            "drift_pipeline_url": _pipeline_url(url, source.project_id, pipelines.drift_id),
        },
        owned=(source, pipelines, variables, policies),
    )


def guards_are_left() -> bool:
    """Whether this update leaves control plane and gate as they are, by Pulumi's `--exclude`.

    Nothing may depend on them then. What the program has and the stack hasn't is not made; the engine would keep a
    dependency on it all the same, and write a state that it refuses to read. The next update without the variable
    notes the dependencies again.
    """
    return os.environ.get(LEFT) == "true"


def read_control_plane(settings: Settings) -> ControlPlane:
    """The control plane as its owner exports it.

    The program waits for the answer, so that nothing is made while it isn't there or while both stacks would deploy to
    the same folder.

    Args:
        settings: all settings of the stack; `control_plane_stack` is the owner.

    Raises:
        pulumi.RunError: the owner doesn't exist, hasn't been deployed, or deploys to an overlapping folder.

    Source: https://www.pulumi.com/docs/iac/concepts/stacks/#stackreferences
    """
    owner = settings.control_plane_stack
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{owner}"
    try:
        # What a StackReference asks, too. But that one is a resource: where the stack is missing it ends the update by
        # itself, before the program can say what to do.
        exported = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name}).value["outputs"] or {}
    except Exception as error:  # noqa: BLE001 - the engine reports a missing stack with a bare Exception
        raise pulumi.RunError(_not_deployed(owner, words_of(error))) from None
    missing = [name for name in NEEDED if name not in exported]
    if missing:
        raise pulumi.RunError(_not_deployed(owner, f"it exports no {', '.join(missing)}"))
    _refuse_overlap(owner, exported, settings)
    reference = pulumi.StackReference("control-plane", stack_name=name)
    return ControlPlane(
        project_id=reference.require_output("project_id"),
        default_branch=str(exported["default_branch"]),
        release_pipeline_id=reference.require_output("release_pipeline_id").apply(int),
        drift_pipeline_id=reference.require_output("drift_pipeline_id").apply(int),
    )


def _refuse_overlap(owner: str | None, exported: Mapping[str, Any], settings: Settings) -> None:
    """The settings compare the stack files; what the other stack has deployed counts as well."""
    theirs, ours = str(exported["folder"]), settings.workspace.folder
    same_workspace = str(exported["folder_url"]).startswith(f"{settings.services.workspace_host}/")
    if same_workspace and naming.folders_overlap(theirs, ours):
        raise pulumi.RunError(
            f"databricks-cicd:workspace.folder is {ours!r}, and stack {owner!r} deploys to {theirs!r} in the same "
            "workspace. Neither folder may be the other or inside it: set another one "
            "(`pulumi config set --path databricks-cicd:workspace.folder /FOLDER`). Nothing was changed."
        )


def _not_deployed(owner: str | None, why: str) -> str:
    return (
        f"databricks-cicd:controlPlaneStack is {owner!r}, and the control plane can't be read from that stack: {why}. "
        f"Deploy it first (`pulumi up --stack {owner}`), or name the stack that has `controlPlane` in its settings "
        "(`pulumi config set databricks-cicd:controlPlaneStack NAME`). Nothing was changed."
    )


def _pipeline_url(
    organization_url: str, project_id: pulumi.Output[str], pipeline_id: pulumi.Output[int]
) -> pulumi.Output[str]:
    return pulumi.Output.all(project_id, pipeline_id).apply(
        lambda known: naming.pipeline_url(organization_url, known[0], known[1])
    )
