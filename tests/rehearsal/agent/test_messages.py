"""The message of a job, and which tasks there are."""

import json
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.plan import ScriptStep, Step, TaskStep, job_steps
from rehearsal.agent.messages import JobRequest
from rehearsal.agent.tasks import KNOWN, Task, check

from .jobs import job_of, pipeline_run, repository

_EVERYTHING = """
variables:
- name: a
  value: b
jobs:
  - deployment: D
    environment: test
    strategy:
      runOnce:
        preDeploy:
          steps:
            - checkout: self
              fetchDepth: 1
        deploy:
          steps:
            - download: current
              artifact: x
            - script: echo
              env: {A: $(a)}
              condition: always()
            - publish: .
              artifact: y
            - task: Bash@3
              inputs: {targetType: inline, script: echo}
        on:
          success:
            steps: [{bash: echo}]
          failure:
            steps: [{bash: echo}]
"""


def test_a_job_comes_out_of_json_as_it_went_in() -> None:
    request = job_of(
        _EVERYTHING,
        repositories={"self": repository("http://localhost/r", "0" * 40)},
        pipelines={"build": pipeline_run(3)},
        secrets={"password": "hunter22"},
    )
    assert JobRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert request.hooks


def test_a_job_does_not_show_its_secrets_when_it_is_printed() -> None:
    request = job_of(_EVERYTHING, secrets={"password": "hunter22"})
    assert "hunter22" not in repr(request)
    assert request.token not in repr(request)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("task: Npm@1", "The pipeline references a task called 'Npm'"),
        ("task: Bash@2", "The pipeline references a task called 'Bash'"),
        (
            "{task: AzureCLI@2, inputs: {azureSubscription: x, scriptType: pscore}}",
            "'pscore' as input 'scriptType' of AzureCLI@2 is not supported in the rehearsal; it has: bash",
        ),
        ("pwsh: echo", "'pwsh' steps are not supported"),
        ("{task: PublishPipelineArtifact@1, inputs: {fileSharePath: x}}", "Input 'fileSharePath'"),
        (
            "{task: PublishPipelineArtifact@1, inputs: {publishLocation: FilePath}}",
            "'FilePath' as input 'publishLocation' of PublishPipelineArtifact@1 is not supported in the rehearsal; it "
            "has: pipeline",
        ),
        (
            "{task: PublishTestResults@2, inputs: {testResultsFormat: NUnit}}",
            "'NUnit' as input 'testResultsFormat' of PublishTestResults@2 is not supported in the rehearsal; it "
            "has: JUnit",
        ),
        (
            "{task: PublishCodeCoverageResults@1, inputs: {summaryFileLocation: x}}",
            "'JaCoCo' as input 'codeCoverageTool' of PublishCodeCoverageResults@1 is not supported in the rehearsal; "
            "it has: Cobertura",
        ),
        ("{checkout: self, submodules: true}", "'submodules' of checkout is not supported"),
    ],
)
def test_what_the_agent_cannot_do_is_refused_before_a_run_with_its_place(step: str, message: str) -> None:
    pipeline = compile_pipeline("p.yml", {"p.yml": f"steps:\n- bash: echo\n- {step}\n"}.get)
    with pytest.raises(PipelineError) as error:
        check(pipeline)
    assert message in error.value.message
    assert error.value.position is not None
    assert error.value.position.line == 3


def test_what_the_agent_can_do_is_not_refused() -> None:
    steps = "".join(f"- task: {name.lower()}.1\n  inputs: {{codeCoverageTool: cobertura}}\n" for name in KNOWN)
    check(compile_pipeline("p.yml", {"p.yml": f"steps:\n- checkout: self\n  clean: true\n{steps}"}.get))


def _schema() -> dict[str, Any]:
    """The schema that Microsoft publish, as check-jsonschema carries it."""
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    definition: dict[str, Any] = json.loads(file.read_text())["definitions"]["task"]
    return definition


def _published(name: str) -> dict[str, Any] | None:
    for each in _schema()["anyOf"]:
        pattern = each["properties"]["task"].get("pattern")
        if pattern == f"^{name}$":
            found: dict[str, Any] = each
            return found
    return None


@pytest.mark.parametrize(("name", "task"), KNOWN.items())
def test_each_known_task_has_the_published_inputs_and_no_others(name: str, task: Task) -> None:
    published = _published(name)
    assert published is not None
    inputs = published["properties"]["inputs"]["properties"]
    assert {each.lower() for each in _names(inputs)} <= {each.lower() for each in task.names()}
    extra = {each.lower() for each in task.names()} - {each.lower() for each in _names(inputs)}
    # What task.json has and the schema leaves out: an alias of workingDirectory, and an input that came later.
    assert extra <= {"cwd", "allownosubscriptions"}
    for each, declared in inputs.items():
        known = task.input(each)
        assert known is not None
        if "enum" in declared:
            assert set(known.options) == set(declared["enum"]), each


def _names(inputs: dict[str, Any]) -> set[str]:
    return {name for each, declared in inputs.items() for name in (each, *declared.get("aliases", ()))}


_ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("path", sorted(path.name for path in (_ROOT / "pipelines").glob("*.yml")))
def test_the_projects_own_pipelines_use_nothing_that_the_agent_would_refuse(path: str) -> None:
    check(compile_pipeline(f"pipelines/{path}", _read, find_group=lambda _: {}))


@pytest.mark.parametrize("path", sorted(path.name for path in (_ROOT / "pipelines").glob("*.yml")))
def test_with_a_service_connection_they_do_the_same_signed_in(path: str) -> None:
    """It must not become another than the one that is rehearsed day by day."""
    plain, signed_in = (
        compile_pipeline(f"pipelines/{path}", read, find_group=lambda _: {}) for read in (_read, _with_connection)
    )
    steps = [
        [step for stage in pipeline.stages for job in stage.jobs for step in job_steps(job)]
        for pipeline in (plain, signed_in)
    ]
    found = [pair for pair in zip(*steps, strict=True) if _of_azure(pair[1])]
    assert found
    for one, other in zip(*steps, strict=True):
        assert _placeless(one) == _placeless(_as_script(other) if _of_azure(other) else other)


def _of_azure(step: Step) -> bool:
    return isinstance(step, TaskStep) and step.task == "AzureCLI"


def _as_script(step: Step) -> ScriptStep:
    """The script that the task runs once it has signed in: no other input adds anything to it.

    https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/azure-cli-v2
    """
    assert isinstance(step, TaskStep)
    inputs = dict(step.inputs)
    assert inputs.pop("azureSubscription") == "azure"
    assert (inputs.pop("scriptType"), inputs.pop("scriptLocation")) == ("bash", "inlineScript")
    assert (inputs.pop("visibleAzLogin"), inputs.pop("keepAzSessionActive")) == ("false", "true")
    script, folder = inputs.pop("inlineScript"), inputs.pop("workingDirectory")
    assert not inputs
    common = {field.name: getattr(step, field.name) for field in fields(Step)}
    common["env"] = {name: value for name, value in step.env.items() if name != "AZURE_TOKEN_CREDENTIALS"}
    common |= {"script": script, "working_directory": folder, "fail_on_stderr": None}
    return ScriptStep(shell="script", **common)  # noqa: S604 - the kind of step; nothing is run


def _placeless(step: Step) -> Step:
    return replace(step, position=Position("", 0, 0))


def _with_connection(name: str) -> str | None:
    text = _read(name)
    return text.replace('ServiceConnection: ""', "ServiceConnection: azure") if text else text


def _read(name: str) -> str | None:
    file = _ROOT / name.strip("/")
    return file.read_text() if file.is_file() else None
