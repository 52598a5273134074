"""The component `Pipelines`: three YAML definitions and what they may use."""

from pathlib import Path

import pulumi
import yaml

from components import naming
from components.pipelines import Pipelines, PipelinesArgs
from components.settings_model import Agents
from tests.components.conftest import ROOT, Program
from tests.components.recording import Recording, Resource

HOSTED = Agents(image="ubuntu-latest", pool=None)
OWN = Agents(image=None, pool="Linux agents")


def made(program: Program, agents: Agents = HOSTED) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        args = PipelinesArgs(project_id="p", repository_id="r", default_branch="main", agents=agents)
        pipelines = Pipelines("pipelines", args, opts)
        pulumi.export("ids", [pipelines.build_id, pipelines.release_id, pipelines.drift_id])

    return program.part(make)


def variables(pipeline: Resource) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pipeline.inputs["variables"]}


def test_the_pipelines_read_their_yaml_from_the_default_branch(program: Program) -> None:
    pipelines = made(program).all("BuildDefinition")

    assert [pipeline.inputs["name"] for pipeline in pipelines] == ["build", "release", "drift"]
    for pipeline in pipelines:
        path = f"pipelines/{pipeline.inputs['name']}.yml"
        assert pipeline.inputs["projectId"] == "p"
        assert pipeline.inputs["repository"] == {
            "repoType": "TfsGit",
            "repoId": "r",
            "branchName": "refs/heads/main",
            "ymlPath": path,
            "reportBuildStatus": True,
        }


def test_the_yaml_files_are_in_the_repository(program: Program) -> None:
    for pipeline in made(program).all("BuildDefinition"):
        assert yaml.safe_load((ROOT / Path(pipeline.inputs["repository"]["ymlPath"])).read_text(encoding="utf-8"))


def test_creating_the_pipelines_starts_no_run(program: Program) -> None:
    for pipeline in made(program).all("BuildDefinition"):
        assert pipeline.inputs["features"] == [{"skipFirstRun": True}]


def test_the_build_alone_takes_its_trigger_from_its_yaml(program: Program) -> None:
    build, release, drift = made(program).all("BuildDefinition")
    assert build.inputs["ciTrigger"] == {"useYaml": True}
    assert "schedules" not in build.inputs
    for pipeline in (release, drift):
        assert "ciTrigger" not in pipeline.inputs  # with none at all the YAML's is overridden
    for pipeline in (build, release, drift):
        assert not {"pullRequestTrigger", "buildCompletionTriggers"} & pipeline.inputs.keys()


def test_no_branch_can_give_release_or_drift_a_schedule(program: Program) -> None:
    """Schedules of a definition, whichever they are, keep those of the YAML from counting."""
    _, release, drift = made(program).all("BuildDefinition")
    (never,) = release.inputs["schedules"]
    assert never["branchFilters"] == [{"includes": ["refs/heads/main"], "excludes": ["refs/heads/main"]}]
    (nightly,) = drift.inputs["schedules"]
    assert nightly["branchFilters"] == [{"includes": ["refs/heads/main"]}]
    assert nightly["daysToBuilds"] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert (nightly["startHours"], nightly["startMinutes"]) == (2, 30)
    assert nightly["scheduleOnlyWithChanges"] is False


def test_nobody_sets_a_variable_at_queue_time(program: Program) -> None:
    for agents in (HOSTED, OWN):
        for pipeline in made(program, agents).all("BuildDefinition"):
            assert {variable["allowOverride"] for variable in pipeline.inputs["variables"]} == {False}


def test_with_a_hosted_image_the_queue_is_not_touched(program: Program) -> None:
    recorded = made(program)

    assert set(recorded.kinds()) == {"BuildDefinition"}
    for pipeline in recorded.all("BuildDefinition"):
        assert pipeline.inputs["agentPoolName"] == "Azure Pipelines"
        assert variables(pipeline) == {"agentPool": "Azure Pipelines", "agentImage": "ubuntu-latest"}


def test_an_own_pool_is_opened_to_exactly_these_pipelines(program: Program) -> None:
    recorded = made(program, OWN)

    assert [each.inputs for each in recorded.all("PipelineAuthorization")] == [
        {"projectId": "p", "type": "queue", "resourceId": "id of queue Linux agents", "pipelineId": int(pipeline.id)}
        for pipeline in recorded.all("BuildDefinition")
    ]
    for pipeline in recorded.all("BuildDefinition"):
        assert pipeline.inputs["agentPoolName"] == "Linux agents"
        assert variables(pipeline) == {"agentPool": "Linux agents", "agentImage": ""}


def test_the_ids_are_whole_numbers(program: Program) -> None:
    recorded = made(program)

    assert recorded.exports["ids"] == [int(each.id) for each in recorded.all("BuildDefinition")]


def test_the_release_pipeline_starts_on_the_build_pipeline_by_its_name() -> None:
    release = yaml.safe_load((ROOT / naming.RELEASE_YAML).read_text(encoding="utf-8"))

    assert [each["source"] for each in release["resources"]["pipelines"]] == [naming.BUILD_PIPELINE]
