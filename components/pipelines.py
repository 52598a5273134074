"""The build, the release and the drift pipeline: YAML definitions in the repository, and what they may use."""

from dataclasses import dataclass

import pulumi

from components import naming
from components.sdk import azuredevops
from components.settings_model import Agents

HOSTED_POOL = "Azure Pipelines"
NIGHTLY = (2, 30)  # when drift is looked for: hours and minutes, UTC


@dataclass(frozen=True, kw_only=True)
class PipelinesArgs:
    """Arguments of `Pipelines`.

    Args:
        project_id: the project's id.
        repository_id: the repository's id, known when its default branch has the YAML files.
        default_branch: the short name of the branch whose YAML counts.
        agents: what the jobs run on.
    """

    project_id: pulumi.Input[str]
    repository_id: pulumi.Input[str]
    default_branch: str
    agents: Agents


class Pipelines(pulumi.ComponentResource):
    """The three pipelines. Creating them starts no run.

    The build takes its trigger from its YAML. Release and drift, which sign in as who deploys, must not: the YAML of
    a branch decides for that branch, so whoever may push one could start them there. Their definitions override what
    a branch can give itself:

    - `trigger`: a definition without any trigger of that kind is "Override the YAML continuous integration trigger
      from here" with continuous integration off (https://github.com/github/gh-gei/issues/1237).
    - `schedules`: where a definition has schedules, those of the YAML don't count. Drift has its nightly one, for the
      default branch alone. Release has one that takes no branch, as it excludes the only one that it includes.

    What starts releases, the end of a build, isn't touched by that. It is read from the YAML of the default branch,
    whatever stands in others. An override is for `trigger` and `pr` alone; `pr` isn't read in Azure Repos at all.
    Whether somebody may run a pipeline by hand, or edit it, is a matter of permissions, which are left as they are.

    The release pipeline is a second YAML pipeline, since the provider has no classic release definitions
    (https://github.com/microsoft/terraform-provider-azuredevops/issues/49). An agent pool of one's own is opened to
    these pipelines and to no other; Microsoft's hosted queue is open to every pipeline of a project already. The
    right to use an environment is given with the environment, by `DeploymentGate`.

    Deliberately not managed: service connections (they hold credentials), retention, folders.

    Sources: https://learn.microsoft.com/azure/devops/pipelines/security/resources, and of the triggers
    .../pipelines/build/triggers#branch-consideration-for-triggers-in-yaml-pipelines,
    .../pipelines/troubleshooting/troubleshoot-triggers, .../pipelines/process/scheduled-triggers#scheduled-triggers and
    .../pipelines/process/pipeline-triggers#branch-considerations-for-pipeline-completion-triggers
    """

    build_id: pulumi.Output[int]
    release_id: pulumi.Output[int]
    drift_id: pulumi.Output[int]

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:Pipelines", name, None, opts)
        self._name, self._args = name, args
        self._branch = naming.branch_ref(args.default_branch)
        of_yaml = azuredevops.BuildDefinitionCiTriggerArgs(use_yaml=True)
        build = self._pipeline(naming.BUILD_PIPELINE, naming.BUILD_YAML, ci_trigger=of_yaml)
        release = self._pipeline(naming.RELEASE_PIPELINE, naming.RELEASE_YAML, schedule=self._never())
        self.build_id = build.id.apply(int)
        self.release_id = release.id.apply(int)
        drift = self._pipeline(naming.DRIFT_PIPELINE, naming.DRIFT_YAML, schedule=self._every_night())
        self.drift_id = drift.id.apply(int)
        ids = {"build": self.build_id, "release": self.release_id, "drift": self.drift_id}
        if args.agents.pool:
            self._open_queue(args.agents.pool, ids)
        self.register_outputs({f"{pipeline}_id": id_ for pipeline, id_ in ids.items()})

    def _every_night(self) -> azuredevops.BuildDefinitionScheduleArgs:
        hours, minutes = NIGHTLY
        return azuredevops.BuildDefinitionScheduleArgs(
            branch_filters=[azuredevops.BuildDefinitionScheduleBranchFilterArgs(includes=[self._branch])],
            days_to_builds=["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            start_hours=hours,
            start_minutes=minutes,
            schedule_only_with_changes=False,
        )

    def _never(self) -> azuredevops.BuildDefinitionScheduleArgs:
        none = azuredevops.BuildDefinitionScheduleBranchFilterArgs(includes=[self._branch], excludes=[self._branch])
        return azuredevops.BuildDefinitionScheduleArgs(branch_filters=[none], days_to_builds=["Sun"])

    def _pipeline(
        self,
        pipeline: str,
        yaml: str,
        ci_trigger: azuredevops.BuildDefinitionCiTriggerArgs | None = None,
        schedule: azuredevops.BuildDefinitionScheduleArgs | None = None,
    ) -> azuredevops.BuildDefinition:
        agents = self._args.agents
        pool = agents.pool or HOSTED_POOL
        # Both are always there: the YAML names both, and would hand an unknown one on as it is written.
        variables = {"agentPool": pool, "agentImage": agents.image or ""}
        return azuredevops.BuildDefinition(
            f"{self._name}-{pipeline}",
            project_id=self._args.project_id,
            name=pipeline,
            path="\\",
            agent_pool_name=pool,
            repository=azuredevops.BuildDefinitionRepositoryArgs(
                repo_type="TfsGit",
                repo_id=self._args.repository_id,
                branch_name=self._branch,
                yml_path=yaml,
                report_build_status=True,
            ),
            ci_trigger=ci_trigger,
            schedules=[schedule] if schedule else None,
            features=[azuredevops.BuildDefinitionFeatureArgs(skip_first_run=True)],
            variables=[
                azuredevops.BuildDefinitionVariableArgs(name=key, value=value, allow_override=False)
                for key, value in variables.items()
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _open_queue(self, pool: str, pipelines: dict[str, pulumi.Output[int]]) -> None:
        queue = azuredevops.get_agent_queue_output(
            name=pool, project_id=self._args.project_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        for pipeline, pipeline_id in pipelines.items():
            azuredevops.PipelineAuthorization(
                f"{self._name}-{pipeline}-queue",
                project_id=self._args.project_id,
                type="queue",
                resource_id=queue.id,
                pipeline_id=pipeline_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
