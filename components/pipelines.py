"""The build, the release and the drift pipeline: YAML definitions in the repository, and what they may use."""

from dataclasses import dataclass

import pulumi

from components import naming
from components.sdk import azuredevops
from components.settings_model import Agents

HOSTED_POOL = "Azure Pipelines"


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
    """The three pipelines. They read their triggers from their YAML; creating them starts no run.

    The release pipeline is a second YAML pipeline, since the provider has no classic release definitions
    (https://github.com/microsoft/terraform-provider-azuredevops/issues/49). An agent pool of one's own is opened to
    these pipelines and to no other; Microsoft's hosted queue is open to every pipeline of a project already. The
    right to use an environment is given with the environment, by `DeploymentGate`.

    Deliberately not managed: service connections (they hold credentials), retention, folders.

    Source: https://learn.microsoft.com/azure/devops/pipelines/security/resources
    """

    build_id: pulumi.Output[int]
    release_id: pulumi.Output[int]
    drift_id: pulumi.Output[int]

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:Pipelines", name, None, opts)
        self._name, self._args = name, args
        build = self._pipeline(naming.BUILD_PIPELINE, naming.BUILD_YAML)
        release = self._pipeline(naming.RELEASE_PIPELINE, naming.RELEASE_YAML)
        self.build_id = build.id.apply(int)
        self.release_id = release.id.apply(int)
        drift = self._pipeline(naming.DRIFT_PIPELINE, naming.DRIFT_YAML)
        self.drift_id = drift.id.apply(int)
        ids = {"build": self.build_id, "release": self.release_id, "drift": self.drift_id}
        if args.agents.pool:
            self._open_queue(args.agents.pool, ids)
        self.register_outputs({f"{pipeline}_id": id_ for pipeline, id_ in ids.items()})

    def _pipeline(self, pipeline: str, yaml: str) -> azuredevops.BuildDefinition:
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
                branch_name=naming.branch_ref(self._args.default_branch),
                yml_path=yaml,
                report_build_status=True,
            ),
            ci_trigger=azuredevops.BuildDefinitionCiTriggerArgs(use_yaml=True),
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
