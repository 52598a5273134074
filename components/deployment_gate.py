"""An environment of Azure DevOps with the checks that a deployment to it has to pass."""

from dataclasses import dataclass

import pulumi

from components import identities, naming
from components.sdk import azuredevops
from components.settings_model import BusinessHours, Gate

MINUTES_PER_HOUR = 60


@dataclass(frozen=True, kw_only=True)
class DeploymentGateArgs:
    """Arguments of `DeploymentGate`.

    Args:
        project_id: the project's id.
        environment: the environment's name.
        default_branch: the short name of the only branch to deploy from, where the gate asks for that.
        release_pipeline_id: the one pipeline that may deploy to the environment.
        gate: what the settings ask for.
        organization_url: for the address of the environment's page.
        protect: refuse to delete the environment, and with it the history of its deployments; its checks follow the
            settings all the same.
    """

    project_id: pulumi.Input[str]
    environment: str
    default_branch: str
    release_pipeline_id: pulumi.Input[int]
    gate: Gate
    organization_url: str
    protect: bool


class DeploymentGate(pulumi.ComponentResource):
    """The environment, its approval, branch control, exclusive lock and business hours, and the right to use it.

    The approvers are the members of a group of the project, since an approval takes no group of Entra
    (https://github.com/microsoft/terraform-provider-azuredevops/issues/864) and since the group shows in the project
    who they are. The list of members is authoritative: who is added by hand is removed by the next `up --refresh`.
    Without approvers there is no approval, which makes the delivery a continuous deployment.

    Deliberately not managed: who may administer the environment, and checks that somebody adds by hand.

    Source: https://learn.microsoft.com/azure/devops/pipelines/process/approvals
    """

    environment_id: pulumi.Output[int]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: DeploymentGateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:DeploymentGate", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        environment = azuredevops.Environment(
            f"{name}-environment",
            project_id=args.project_id,
            name=naming.environment(args.environment),
            description=f"The {args.environment} folder in Databricks. Managed by Pulumi.",
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self._environment_id: pulumi.Output[str] = environment.id
        self.environment_id = environment.id.apply(int)
        self.url = pulumi.Output.all(args.project_id, environment.id).apply(
            lambda known: naming.environment_url(args.organization_url, known[0], int(known[1]))
        )
        azuredevops.PipelineAuthorization(
            f"{name}-release-pipeline",
            project_id=args.project_id,
            type="environment",
            resource_id=environment.id,
            pipeline_id=args.release_pipeline_id,
            opts=self._child,
        )
        gate = args.gate
        if gate.approvers:
            self._approval()
        if gate.only_from_default_branch:
            self._branch_control()
        if gate.business_hours:
            self._business_hours(gate.business_hours)
        if gate.exclusive_lock:
            self._exclusive_lock()
        self.register_outputs({"environment_id": self.environment_id, "url": self.url})

    def _approval(self) -> None:
        gate = self._args.gate
        members = [identities.find(name, self._args.project_id, self) for name in gate.approvers]
        group = azuredevops.Group(
            f"{self._name}-approvers",
            scope=self._args.project_id,
            display_name=naming.approvers_group(self._args.environment),
            description=f"Approve deployments to {self._args.environment}. Managed by Pulumi.",
            opts=self._child,
        )
        azuredevops.GroupMembership(
            f"{self._name}-approvers-members",
            group=group.descriptor,
            members=[member.descriptor for member in members],
            mode="overwrite",
            opts=self._child,
        )
        azuredevops.CheckApproval(
            f"{self._name}-approval",
            project_id=self._args.project_id,
            target_resource_type="environment",
            target_resource_id=self._environment_id,
            approvers=[group.origin_id],
            minimum_required_approvers=gate.minimum_approvals,
            requester_can_approve=gate.requester_may_approve,
            instructions=gate.instructions,
            timeout=gate.timeout_hours * MINUTES_PER_HOUR,
            opts=self._child,
        )

    def _branch_control(self) -> None:
        """Only commits that are on the default branch, and only while that branch is protected."""
        azuredevops.CheckBranchControl(
            f"{self._name}-branch",
            project_id=self._args.project_id,
            target_resource_type="environment",
            target_resource_id=self._environment_id,
            display_name="Only from the default branch",
            allowed_branches=naming.branch_ref(self._args.default_branch),
            verify_branch_protection=True,
            ignore_unknown_protection_status=False,
            opts=self._child,
        )

    def _business_hours(self, hours: BusinessHours) -> None:
        azuredevops.CheckBusinessHours(
            f"{self._name}-hours",
            project_id=self._args.project_id,
            target_resource_type="environment",
            target_resource_id=self._environment_id,
            display_name="Business hours",
            monday="monday" in hours.days,
            tuesday="tuesday" in hours.days,
            wednesday="wednesday" in hours.days,
            thursday="thursday" in hours.days,
            friday="friday" in hours.days,
            saturday="saturday" in hours.days,
            sunday="sunday" in hours.days,
            start_time=hours.start,
            end_time=hours.end,
            time_zone=hours.time_zone,
            opts=self._child,
        )

    def _exclusive_lock(self) -> None:
        """One deployment at a time. In which order the waiting ones go on is said in the YAML (`lockBehavior`)."""
        azuredevops.CheckExclusiveLock(
            f"{self._name}-lock",
            project_id=self._args.project_id,
            target_resource_type="environment",
            target_resource_id=self._environment_id,
            opts=self._child,
        )
