"""Conditions: https://learn.microsoft.com/azure/devops/pipelines/process/conditions, and the status functions of
https://learn.microsoft.com/azure/devops/pipelines/process/expressions#job-status-functions.
"""

from collections.abc import Mapping

import pytest

from rehearsal.agent.language.conditions import GraphContexts, Result, StepContexts, evaluate
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.outcomes import (
    JobOutcome,
    StageOutcome,
    ancestors,
    dependencies_of_stage,
    job_dependencies,
    output_key,
    stage_dependencies,
)
from tests.rehearsal.agent.language.samples import compiled, jobs, refusal, steps

MAIN = {"Build.SourceBranch": "refs/heads/main", "Build.Reason": "PullRequest", "testEmpty": ""}
IS_MAIN = "eq(variables['Build.SourceBranch'], 'refs/heads/main')"


def graph(condition: str | None, results: Mapping[str, Result], canceled: bool = False) -> bool:
    return evaluate(condition, GraphContexts(MAIN, results, canceled=canceled))


def step(condition: str | None, status: Result = "Succeeded") -> bool:
    return evaluate(condition, StepContexts(MAIN, status))


@pytest.mark.parametrize(
    ("condition", "status", "runs"),
    [
        (None, "Succeeded", True),
        (None, "SucceededWithIssues", True),
        (None, "Failed", False),
        (None, "Canceled", False),
        ("", "Failed", False),
        ("always()", "Failed", True),
        ("always()", "Canceled", True),
        ("failed()", "Succeeded", False),
        ("failed()", "Failed", True),
        ("failed()", "Canceled", False),
        ("canceled()", "Canceled", True),
        ("canceled()", "Failed", False),
        ("succeededOrFailed()", "Failed", True),
        ("succeededOrFailed()", "SucceededWithIssues", True),
        ("succeededOrFailed()", "Canceled", False),
        # the examples of the page
        (IS_MAIN, "Failed", True),
        (IS_MAIN, "Canceled", True),
        (f"and(succeeded(), {IS_MAIN})", "Succeeded", True),
        (f"and(succeeded(), {IS_MAIN})", "Failed", False),
        ("and(succeeded(), ne(variables['Build.SourceBranch'], 'refs/heads/main'))", "Succeeded", False),
        ("and(succeeded(), startsWith(variables['Build.SourceBranch'], 'refs/heads/users/'))", "Succeeded", False),
        ("and(succeeded(), in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI'))", "Succeeded", False),
        ("and(failed(), eq(variables['Build.Reason'], 'PullRequest'))", "Failed", True),
        ("eq(variables['Build.Reason'], 'Schedule')", "Succeeded", False),
        ("eq(variables['System.debug'], true)", "Succeeded", False),
        ("eq(variables.testEmpty, '')", "Succeeded", True),
        ("and(succeeded(), eq('True', true))", "Succeeded", True),
        ("true", "Failed", True),
        ("false", "Succeeded", False),
        ("SUCCEEDED()", "Succeeded", True),
    ],
)
def test_steps(condition: str | None, status: Result, runs: bool) -> None:
    assert step(condition, status) is runs


@pytest.mark.parametrize(
    ("condition", "results", "runs"),
    [
        # nothing to depend on
        (None, [], True),
        ("failed()", [], False),
        ("succeededOrFailed()", [], True),
        # all of them must have succeeded
        (None, ["Succeeded", "SucceededWithIssues"], True),
        (None, ["Succeeded", "Failed"], False),
        (None, ["Succeeded", "Skipped"], False),
        (None, ["Canceled"], False),
        # one that failed is enough
        ("failed()", ["Succeeded", "Failed"], True),
        ("failed()", ["Succeeded", "Skipped"], False),
        ("failed()", ["Canceled"], False),
        # one that has run is enough
        ("succeededOrFailed()", ["Succeeded", "Skipped"], True),
        ("succeededOrFailed()", ["Failed"], True),
        ("succeededOrFailed()", ["Skipped"], False),
        # what was skipped, or abandoned because its condition couldn't be evaluated, is none of these
        ("or(succeeded(), failed(), canceled(), succeededOrFailed())", ["Skipped"], False),
        ("or(succeeded(), failed(), canceled(), succeededOrFailed())", ["Abandoned"], False),
        ("and(always(), not(canceled()))", ["Skipped"], True),
        # with names
        ("succeeded('a')", ["Succeeded", "Failed"], True),
        ("succeeded('A')", ["Succeeded", "Failed"], True),
        ("succeeded('a', 'b')", ["Succeeded", "Failed"], False),
        ("failed('b')", ["Succeeded", "Failed"], True),
        ("failed('a')", ["Succeeded", "Failed"], False),
        ("succeededOrFailed('b')", ["Succeeded", "Skipped"], False),
        ("succeeded('nosuch')", ["Succeeded"], False),
        ("failed('nosuch')", ["Succeeded"], False),
    ],
)
def test_stages_and_jobs(condition: str | None, results: list[Result], runs: bool) -> None:
    assert graph(condition, dict(zip("abc", results, strict=False))) is runs


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        (None, False),
        (IS_MAIN, True),
        (f"and(succeeded(), {IS_MAIN})", False),
        ("succeededOrFailed()", False),
        ("succeeded('stage1')", False),
        ("always()", True),
        ("canceled()", True),
        ("not(canceled())", False),
    ],
)
@pytest.mark.parametrize("result", ["Canceled", "Succeeded"])
def test_a_canceled_run(condition: str | None, runs: bool, result: Result) -> None:
    """Section "Pipeline behavior when build is canceled": a condition that doesn't ask for the status still holds."""
    assert graph(condition, {"stage1": result}, canceled=True) is runs


def test_a_condition_that_cannot_be_evaluated() -> None:
    with pytest.raises(ExpressionError, match="Unable to convert from String to Number"):
        graph("gt(1, 'not-a-number')", {})


CONTEXTS = GraphContexts(
    MAIN,
    {"a": "Skipped", "b": "Succeeded"},
    dependencies=Context({"a": Context({"result": "Skipped"}), "b": Context({"result": "Succeeded"})}),
)


def test_the_result_of_a_job() -> None:
    """Of the page of expressions, "Dependencies": C runs, since all it depends on has succeeded or was skipped."""
    condition = """
    and
    (
      in(dependencies.a.result, 'Succeeded', 'SucceededWithIssues', 'Skipped'),
      in(dependencies.b.result, 'Succeeded', 'SucceededWithIssues', 'Skipped')
    )
    """
    assert evaluate(condition, CONTEXTS)
    assert not evaluate("eq(dependencies.b.result, 'SucceededWithIssues')", CONTEXTS)


@pytest.mark.parametrize(
    ("place", "condition", "message"),
    [
        ("step", "succeeded('A')", "Unexpected symbol: ''A''"),
        ("step", "dependencies.A.result", "Unrecognized value: 'dependencies'"),
        ("step", "nosuch()", "Unrecognized value: 'nosuch'"),
        ("step", "always", "Expected '(' to follow a function: 'always'"),
        ("job", "always('A')", "Unexpected symbol: ''A''"),
        ("job", "canceled('A')", "Unexpected symbol: ''A''"),
        ("job", "parameters.x", "Unrecognized value: 'parameters'"),
        ("job", "counter('a', 1)", "Unrecognized value: 'counter'"),
        ("job", "resources.x", "Unrecognized value: 'resources'"),
        ("job", "eq(1)", "Unexpected symbol: ')'"),
        ("job", "true && false", "Unexpected symbol: '&&'"),
        ("stage", "succeeded(", "Unclosed function: 'succeeded'"),
    ],
)
def test_conditions_are_read_before_the_run(place: str, condition: str, message: str) -> None:
    lines = {
        "step": 'steps:\n- script: x\n  condition: "%s"\n',
        "job": 'jobs:\n- job: a\n  condition: "%s"\n  steps: []\n',
        "stage": 'stages:\n- stage: a\n  condition: "%s"\n  jobs: []\n',
    }
    found = refusal(lines[place] % condition)
    assert found.startswith("/azure-pipelines.yml (Line: 3, Col: 3): ")
    assert message in found


def test_a_parameter_in_a_condition() -> None:
    """Section "Use a template parameter as part of a condition": both examples."""
    text = """
    parameters:
    - name: doThing
      default: true
      type: boolean
    steps:
    - script: echo I did a thing
      condition: and(succeeded(), eq('${{ parameters.doThing }}', true))
    - script: echo I did it as well
      condition: ${{ eq(parameters.doThing, true) }}
    """
    for given, runs in ((True, True), (False, False)):
        for found in steps(compiled(text, parameters={"doThing": given})):
            assert step(found.condition) is runs


# --- outputs


STAGES = """
stages:
- stage: S
  jobs:
  - job: A
    steps:
    - bash: echo "##vso[task.setvariable variable=myOutputVar;isOutput=true]this is from job A"
      name: passOutput
  - job: M
    strategy:
      matrix: {debugJob: {x: 1}}
    steps: []
  - deployment: D
    environment: test
    strategy: {runOnce: {deploy: {steps: []}}}
  - job: B
    dependsOn: [A, M, D]
    steps: []
- stage: T
  jobs:
  - job: C
    steps: []
- stage: U
  jobs:
  - job: X
    steps: []
"""


def outcomes() -> tuple[dict[str, JobOutcome], dict[str, StageOutcome]]:
    found = {job.name: job for job in jobs(compiled(STAGES))}
    outputs = {
        name: {output_key(found[name], leg, "passOutput", "myOutputVar"): f"from {name}"}
        for name, leg in {"A": None, "M": "debugJob", "D": None}.items()
    }
    ended = {name: JobOutcome("Succeeded", values) for name, values in outputs.items()}
    return ended, {"S": StageOutcome("SucceededWithIssues", ended)}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("dependencies.A.outputs['passOutput.myOutputVar']", "from A"),
        ("dependencies.a.outputs['PASSOUTPUT.myoutputvar']", "from A"),
        ("dependencies.M.outputs['debugJob.passOutput.myOutputVar']", "from M"),
        ("dependencies.D.outputs['D.passOutput.myOutputVar']", "from D"),
        ("dependencies.D.outputs['Deploy.passOutput.myOutputVar']", None),
        ("dependencies.A.result", "Succeeded"),
        ("dependencies.A.outputs['nosuch']", None),
    ],
)
def test_a_job_sees_jobs_of_its_stage(expression: str, value: str | None) -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/deployment-jobs#support-for-output-variables"""
    job = next(job for job in jobs(compiled(STAGES)) if job.name == "B")
    contexts = GraphContexts({}, {}, dependencies=job_dependencies(job, outcomes()[0]))
    shown = value if value is not None else ""
    assert evaluate(f"eq({expression}, '{shown}')", contexts)
    assert not evaluate(f"eq({expression}, 'other')", contexts)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("dependencies.S.outputs['A.passOutput.myOutputVar']", "from A"),
        ("dependencies.S.outputs['D.D.passOutput.myOutputVar']", "from D"),
        ("dependencies.S.result", "SucceededWithIssues"),
        ("stageDependencies.S.A.outputs['passOutput.myOutputVar']", "from A"),
        ("stageDependencies.S.D.outputs['D.passOutput.myOutputVar']", "from D"),
        ("stageDependencies.S.A.result", "Succeeded"),
    ],
)
def test_a_stage_sees_the_stages_it_depends_on(expression: str, value: str) -> None:
    """Of the page of expressions, "Stage to stage dependencies" and "Job to job dependencies across stages"."""
    _, following, last = compiled(STAGES).stages
    ended = outcomes()[1]
    contexts = GraphContexts(
        {},
        {},
        dependencies=dependencies_of_stage(following, ended),
        stage_dependencies=stage_dependencies(following, ended),
    )
    assert evaluate(f"eq({expression}, '{value}')", contexts)
    # The stage after that doesn't name it in `dependsOn`: for it there is nothing.
    far = GraphContexts({}, {}, dependencies_of_stage(last, ended), stage_dependencies(last, ended))
    assert evaluate(f"eq({expression}, '')", far)


def test_everything_that_something_depends_on() -> None:
    edges = {"a": (), "b": ("a",), "c": ("b",), "d": ("c", "a"), "e": ()}
    assert ancestors("d", edges) == {"a", "b", "c"}
    assert ancestors("e", edges) == set()
