"""Whole pipelines of Microsoft's documentation, with what the page says comes of them.

Scripts are shortened; what decides is as it stands on the page.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from rehearsal.agent.language.conditions import GraphContexts, ValueContexts, evaluate
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.outcomes import JobOutcome, StageOutcome, dependencies_of_stage, output_key
from rehearsal.agent.language.plan import TaskStep
from rehearsal.agent.language.runtime import RunVariables, resolved
from tests.rehearsal.agent.language.samples import compiled, jobs, scripts, steps

EXPRESSIONS = "https://learn.microsoft.com/azure/devops/pipelines/process/expressions"
PARAMETERS = "https://learn.microsoft.com/azure/devops/pipelines/process/runtime-parameters"
MAIN = {"Build.SourceBranch": "refs/heads/main", "Build.SourceBranchName": "main"}

CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        f"{EXPRESSIONS}#containsvalue",
        """
        parameters:
        - name: branchOptions
          displayName: Source branch options
          type: object
          default:
            - refs/heads/main
            - refs/heads/test
        jobs:
          - job: A1
            steps:
            - ${{ each value in parameters.branchOptions }}:
              - script: echo ${{ value }}
          - job: B1
            condition: ${{ containsValue(parameters.branchOptions, variables['Build.SourceBranch']) }}
            steps:
              - script: echo "Matching branch found"
        """,
        {"predefined": MAIN},
        ["echo refs/heads/main", "echo refs/heads/test", 'echo "Matching branch found"'],
    ),
    (
        f"{EXPRESSIONS}#join",
        """
        parameters:
        - name: myArray
          type: object
          default:
            - FOO
            - BAR
            - ZOO
        variables:
          A: ${{ join(';',parameters.myArray) }}
        steps:
          - script: echo ${{ variables.A }} # outputs FOO;BAR;ZOO
        """,
        {},
        ["echo FOO;BAR;ZOO"],
    ),
    (
        f"{EXPRESSIONS}#split",
        """
        variables:
        - name: environments
          value: prod1,prod2
        steps:
          - ${{ each env in split(variables.environments, ',')}}:
            - script: ./deploy.sh --environment ${{ env }}
        """,
        {},
        ["./deploy.sh --environment prod1", "./deploy.sh --environment prod2"],
    ),
    (
        f"{EXPRESSIONS}#split",
        """
        parameters:
        - name: resourceIds
          type: object
          default:
          - /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/loadBalancers/kubernetes-internal
          - /subscriptions/s02/resourceGroups/g02/providers/Microsoft.Network/loadBalancers/kubernetes
        - name: environments
          type: object
          default:
          - prod1
          - prod2
        trigger:
        - main
        steps:
        - ${{ each env in parameters.environments }}:
          - ${{ each resourceId in parameters.resourceIds }}:
              - script: echo ${{ replace(split(resourceId, '/')[8], '-', '_') }}_${{ env }}
        """,
        {},
        [
            "echo kubernetes_internal_prod1",
            "echo kubernetes_prod1",
            "echo kubernetes_internal_prod2",
            "echo kubernetes_prod2",
        ],
    ),
    (
        f"{EXPRESSIONS}#conditionally-assign-a-variable",
        """
        variables:
          ${{ if eq(variables['Build.SourceBranchName'], 'main') }}: # only works if you have a main branch
            stageName: prod
        pool:
          vmImage: 'ubuntu-latest'
        steps:
        - script: echo ${{variables.stageName}}
        """,
        {"predefined": MAIN},
        ["echo prod"],
    ),
    (
        f"{EXPRESSIONS}#conditionally-run-a-step",
        """
        variables:
          - name: foo
            value: contoso # triggers elseif condition
        steps:
        - script: echo "start"
        - ${{ if eq(variables.foo, 'adaptum') }}:
          - script: echo "this is adaptum"
        - ${{ elseif eq(variables.foo, 'contoso') }}: # true
          - script: echo "this is contoso"
        - ${{ else }}:
          - script: echo "the value is not adaptum or contoso"
        """,
        {},
        ['echo "start"', 'echo "this is contoso"'],
    ),
    (
        f"{PARAMETERS}#use-parameters-to-determine-what-steps-run",
        """
        parameters:
        - name: image
          displayName: Pool Image
          values:
          - windows-latest
          - ubuntu-latest
          - macOS-latest
        - name: test
          displayName: Run Tests?
          type: boolean
          default: false
        trigger: none
        jobs:
        - job: build
          displayName: Build and Test
          pool:
            vmImage: ${{ parameters.image }}
          steps:
          - script: echo building $(Build.BuildNumber)
          - ${{ if eq(parameters.test, true) }}:
            - script: echo "Running all the tests"
        """,
        {"parameters": {"image": "ubuntu-latest", "test": "true"}},
        ["echo building $(Build.BuildNumber)", 'echo "Running all the tests"'],
    ),
    (
        f"{PARAMETERS}#use-parameters-to-set-what-configuration-is-used",
        """
        parameters:
        - name: configs
          type: string
          default: 'x86,x64'
        trigger: none
        jobs:
        - ${{ if contains(parameters.configs, 'x86') }}:
          - job: x86
            steps:
            - script: echo Building x86...
        - ${{ if contains(parameters.configs, 'x64') }}:
          - job: x64
            steps:
            - script: echo Building x64...
        - ${{ if contains(parameters.configs, 'arm') }}:
          - job: arm
            steps:
            - script: echo Building arm...
        """,
        {},
        ["echo Building x86...", "echo Building x64..."],
    ),
    (
        f"{PARAMETERS}#selectively-exclude-a-stage",
        """
        parameters:
        - name: runPerfTests
          type: boolean
          default: false
        trigger: none
        stages:
        - stage: Build
          displayName: Build
          jobs:
          - job: Build
            steps:
            - script: echo running Build
        - ${{ if eq(parameters.runPerfTests, true) }}:
          - stage: PerfTest
            displayName: Performance Test
            dependsOn: Build
            jobs:
            - job: PerfTest
              steps:
              - script: echo running PerfTest
        - stage: Deploy
          displayName: Deploy
          dependsOn: Build
          jobs:
          - job: Deploy
            steps:
              - script: echo running UnitTest
        """,
        {},
        ["echo running Build", "echo running UnitTest"],
    ),
    (
        f"{PARAMETERS}#check-for-an-empty-parameter-object",
        """
        parameters:
        - name: foo
          type: object
          default: []
        steps:
        - checkout: none
        - ${{ if eq(length(parameters.foo), 0) }}:
          - script: echo Foo is empty
            displayName: Foo is empty
        """,
        {},
        ["echo Foo is empty"],
    ),
]


@pytest.mark.parametrize(("page", "text", "options", "expected"), CASES, ids=[case[0].split("/")[-1] for case in CASES])
def test_what_is_left_to_run(page: str, text: str, options: dict[str, Any], expected: list[str]) -> None:
    assert scripts(compiled(text, **options)) == expected


@pytest.mark.parametrize(("branch", "artifact"), [("main", "prod"), ("other", "dev")])
def test_conditionally_set_a_task_input(branch: str, artifact: str) -> None:
    """expressions#conditionally-set-a-task-input"""
    text = """
    steps:
    - task: PublishPipelineArtifact@1
      inputs:
        targetPath: '$(Pipeline.Workspace)'
        ${{ if eq(variables['Build.SourceBranchName'], 'main') }}:
          artifact: 'prod'
        ${{ else }}:
          artifact: 'dev'
        publishLocation: 'pipeline'
    """
    (step,) = steps(compiled(text, predefined={"Build.SourceBranchName": branch}))
    assert isinstance(step, TaskStep)
    assert step.inputs == {
        "targetPath": "$(Pipeline.Workspace)",
        "artifact": artifact,
        "publishLocation": "pipeline",
    }


def test_the_three_syntaxes_of_variables_together() -> None:
    """expressions: `staticVar`, `compileVar`, `isMain`; type casting: `firstEval`, `secondEval`, `coalesceLiteral`."""
    text = """
    variables:
      staticVar: 'my value' # static variable
      compileVar: ${{ variables.staticVar }} # compile time expression
      isMain: $[eq(variables['Build.SourceBranch'], 'refs/heads/main')] # runtime expression
      firstEval: $[lt(False, True)] # 0 vs. 1, True
      secondEval: $[lt(True, False)] # 1 vs. 0, False
      coalesceLiteral: $[coalesce(variables.emptyString, '', 'literal value')]
    steps:
      - script: |
          echo ${{variables.staticVar}} # outputs my value
          echo $(compileVar) # outputs my value
          echo $(isMain) # outputs True
          echo $(firstEval) $(secondEval) $(coalesceLiteral)
    """
    pipeline = compiled(text)
    contexts = ValueContexts(MAIN, lambda _, seed: seed, datetime(2024, 5, 6, tzinfo=UTC))
    run = RunVariables(MAIN, resolved(pipeline.variables, contexts))
    lines = run.expand(scripts(pipeline)[0]).splitlines()
    assert [line.partition(" #")[0] for line in lines] == [
        "echo my value",
        "echo my value",
        "echo True",
        "echo True False literal value",
    ]


DEPLOYMENT = """
stages:
- stage: build
  jobs:
  - deployment: build_job
    environment:
      name: {name}
    strategy:
      runOnce:
        deploy:
          steps:
          - task: PowerShell@2
            name: setRunTests
- stage: test
  dependsOn:
  - 'build'
  condition: eq(dependencies.build.outputs['build_job.{key}.setRunTests.runTests'], 'true')
  jobs:
  - job: a
"""


@pytest.mark.parametrize(
    ("name", "key"),
    # The page has a second one, with a resource of an environment, which is refused by name.
    [("Production", "build_job")],
)
@pytest.mark.parametrize("value", ["true", "false"])
def test_a_stage_depending_on_the_output_of_a_deployment(name: str, key: str, value: str) -> None:
    """expressions#stage-depending-on-job-output: the job's name twice."""
    pipeline = compiled(DEPLOYMENT.format(name=name, key=key))
    build, test = pipeline.stages
    outputs = {output_key(build.jobs[0], None, "setRunTests", "runTests"): value}
    ended = {"build": StageOutcome("Succeeded", {"build_job": JobOutcome("Succeeded", outputs)})}
    contexts = GraphContexts({}, {"build": "Succeeded"}, dependencies_of_stage(test, ended))
    assert evaluate(test.condition, contexts) is (value == "true")


def test_a_stage_that_runs_if_the_one_before_it_was_skipped() -> None:
    """expressions#stage-to-stage-dependencies, the first example."""
    text = """
    stages:
    - stage: A
      condition: false
      jobs:
      - job: A1
    - stage: B
      condition: in(dependencies.A.result, 'Succeeded', 'SucceededWithIssues', 'Skipped')
      jobs:
      - job: B1
    """
    first, second = compiled(text).stages
    assert not evaluate(first.condition, GraphContexts({}, {}))
    dependencies = dependencies_of_stage(second, {"A": StageOutcome("Skipped", {})})
    assert evaluate(second.condition, GraphContexts({}, {"A": "Skipped"}, dependencies))
    assert not evaluate(None, GraphContexts({}, {"A": "Skipped"}, Context()))


def test_properties_of_a_job_for_a_template() -> None:
    """template-parameters#use-templatecontext...: a template reads what stands in a job; a plan with it is refused.

    The example's own template takes `steps` only, so nothing of `templateContext` is left in the plan.
    """
    template = """
    parameters:
    - name: testSet
      type: jobList
    jobs:
    - ${{ each testJob in parameters.testSet }}:
      - ${{ if eq(testJob.templateContext.expectedHTTPResponseCode, 200) }}:
        - job:
          steps:
          - powershell: 'Invoke-RestMethod'
          - ${{ testJob.steps }}
      - ${{ if eq(testJob.templateContext.expectedHTTPResponseCode, 500) }}:
        - job:
          steps:
          - powershell: 'Get-ChildItem'
          - ${{ testJob.steps }}
    """
    text = """
    extends:
      template: testing-template.yml
      parameters:
        testSet:
        - job: positive_test
          templateContext:
            expectedHTTPResponseCode: 200
          steps:
          - script: echo "Run positive test"
        - job: negative_test
          templateContext:
            expectedHTTPResponseCode: 500
          steps:
          - script: echo "Run negative test"
    """
    pipeline = compiled(text, {"testing-template.yml": template})
    assert scripts(pipeline) == [
        "Invoke-RestMethod",
        'echo "Run positive test"',
        "Get-ChildItem",
        'echo "Run negative test"',
    ]
    assert len({job.name for job in jobs(pipeline)}) == 2
