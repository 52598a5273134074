"""A variable group: what pipelines need to know of a workspace and of the state, credentials included."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import naming
from components.sdk import azuredevops


@dataclass(frozen=True, kw_only=True)
class PipelineVariablesArgs:
    """Arguments of `PipelineVariables`.

    Args:
        project_id: the project's id.
        purpose: what the group is for: `preview`, or an environment that is deployed to.
        pipelines: the only pipelines that may read it, by name.
        only_from: the short name of the only branch whose runs may read it; None: those of each branch, which a pull
            request's build needs.
    """

    project_id: pulumi.Input[str]
    purpose: str
    pipelines: Mapping[str, pulumi.Input[int]]
    only_from: str | None


class PipelineVariables(pulumi.ComponentResource):
    """The group, which pipelines may read it, and from which branch.

    It is made here, so that nobody has to think of its protection: without that, whoever can push a branch could read
    the credentials of production with a pipeline of their own making. Its content is an administrator's, who sets it
    once (README, "Your own organisation"); a value in the settings would stand in the state.

    Deliberately not managed: the variables. `purpose` stands among them because the service takes no empty group. The
    provider sends all variables with each change of the group, and then takes the secret ones for empty
    (https://github.com/microsoft/terraform-provider-azuredevops/issues/1433): so nothing here changes after it is made.

    Source: https://learn.microsoft.com/azure/devops/pipelines/library/variable-groups
    """

    group_id: pulumi.Output[int]

    def __init__(self, name: str, args: PipelineVariablesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:PipelineVariables", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = azuredevops.VariableGroup(
            f"{name}-group",
            project_id=args.project_id,
            name=naming.variable_group(args.purpose),
            description="What the pipelines need to sign in. An administrator sets the values.",
            allow_access=False,
            variables=[azuredevops.VariableGroupVariableArgs(name="purpose", value=args.purpose)],
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["variables", "description"]),
        )
        self.group_id = group.id.apply(int)
        for pipeline, pipeline_id in args.pipelines.items():
            azuredevops.PipelineAuthorization(
                f"{name}-{pipeline}-pipeline",
                project_id=args.project_id,
                type="variablegroup",
                resource_id=group.id,
                pipeline_id=pipeline_id,
                opts=child,
            )
        if args.only_from:
            azuredevops.CheckBranchControl(
                f"{name}-branch",
                project_id=args.project_id,
                target_resource_type="variablegroup",
                target_resource_id=group.id,
                display_name="Only from the default branch",
                allowed_branches=naming.branch_ref(args.only_from),
                verify_branch_protection=True,
                ignore_unknown_protection_status=False,
                opts=child,
            )
        self.register_outputs({"group_id": self.group_id})
