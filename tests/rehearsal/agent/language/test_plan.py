"""The plan of a run: https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/ and the pages it leads to."""

from pathlib import Path

import pytest

from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.plan import (
    CheckoutStep,
    DeploymentJob,
    DownloadStep,
    Filter,
    PipelineTrigger,
    PublishStep,
    RegularJob,
    ScriptStep,
    TaskStep,
    Trigger,
    job_steps,
)
from tests.rehearsal.agent.language.samples import compiled, jobs, refusal, steps

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "pipelines").glob("*.yml")))
def test_the_projects_own_pipelines_compile(name: str) -> None:
    def read_file(path: str) -> str | None:
        file = ROOT / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    pipeline = compile_pipeline(f"pipelines/{name}", read_file, find_group=lambda _: {})
    assert pipeline.stages
    assert all(job_steps(job) for job in jobs(pipeline))


def test_the_release_pipeline_says_what_starts_it_and_where_it_deploys() -> None:
    pipeline = compile_pipeline(
        "pipelines/release.yml",
        lambda path: (ROOT / path.lstrip("/")).read_text(encoding="utf-8"),
        find_group=lambda _: {},
    )
    assert pipeline.trigger == Trigger(enabled=False)
    assert pipeline.pipelines[0].trigger == PipelineTrigger(enabled=True, branches=Filter(("main",)))
    assert {stage.lock_behavior for stage in pipeline.stages} == {"sequential"}
    deployments = [job for job in jobs(pipeline) if isinstance(job, DeploymentJob)]
    assert [job.environment for job in deployments] == ["test", "production"]
    assert [stage.depends_on for stage in pipeline.stages] == [(), ("Test",)]


def test_steps_alone_are_a_job_and_jobs_alone_a_stage() -> None:
    (stage,) = compiled("pool: p\nsteps:\n- script: x\n").stages
    assert (stage.name, stage.jobs[0].name) == ("__default", "Job")
    (stage,) = compiled("jobs:\n- job: Build\n  steps: []\n- job:\n  steps: []\n").stages
    assert [job.name for job in stage.jobs] == ["Build", "Job2"]


def test_what_stands_beside_steps_belongs_to_their_job() -> None:
    pipeline = compiled("strategy: {parallel: 2}\ncontinueOnError: true\nworkspace: {clean: outputs}\nsteps: []\n")
    (job,) = jobs(pipeline)
    assert isinstance(job, RegularJob)
    assert (len(job.legs), job.continue_on_error, job.workspace_clean) == (2, True, "outputs")
    assert "'workspace' stands beside 'steps' only" in refusal("workspace: {clean: all}\njobs: []\n")


def test_stages_go_one_after_the_other_unless_they_say_otherwise() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/stages#specify-dependencies, the examples."""
    lines = {
        "FunctionalTest": "",
        "AcceptanceTest": "dependsOn: []",
        "Third": "dependsOn: functionaltest",
        "Deploy": "dependsOn: [Third, AcceptanceTest]",
        "Last": "",
    }
    text = "stages:\n" + "".join(f"- stage: {name}\n  jobs: [{{job: a}}]\n  {line}\n" for name, line in lines.items())
    assert {stage.name: stage.depends_on for stage in compiled(text).stages} == {
        "FunctionalTest": (),
        "AcceptanceTest": (),
        "Third": ("FunctionalTest",),
        "Deploy": ("Third", "AcceptanceTest"),
        "Last": ("Deploy",),
    }


def stages(**depends_on: str) -> str:
    lines = (f"- stage: {name}\n  dependsOn: {names}\n  jobs: [{{job: a}}]\n" for name, names in depends_on.items())
    return "stages:\n" + "".join(lines)


def in_stage(**depends_on: str) -> str:
    lines = (f"  - job: {name}\n    dependsOn: {names}\n" for name, names in depends_on.items())
    return "stages:\n- stage: S\n  jobs:\n" + "".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (stages(A="[]", B="NoSuchStage"), "Stage B depends on unknown stage NoSuchStage."),
        (in_stage(A="[]", B="NoSuchJob"), "Stage S job B depends on unknown job NoSuchJob."),
        (stages(A="B", B="A"), "The pipeline must contain at least one stage with no dependencies."),
        (stages(A="A"), "The pipeline must contain at least one stage with no dependencies."),
        (in_stage(A="B", B="A"), "Stage S must contain at least one job with no dependencies."),
        ("stages:\n- stage: S\n  jobs: []\n", "Stage S must contain at least one job with no dependencies."),
        ("stages:\n- stage: S\n", "Stage S must contain at least one job with no dependencies."),
        (
            stages(A="[]", B="[A, C]", C="B"),
            "Stage B depends on stage C which creates a cycle in the dependency graph.",
        ),
        (in_stage(A="[]", B="[A, C]", C="B"), "Stage S job B depends on job C which creates a cycle"),
        (stages(A="[]", B="B"), "Stage B depends on stage B which creates a cycle in the dependency graph."),
        (stages(A="[]") + "- stage: a\n  jobs: [{job: a}]\n", "The stage name a appears more than once."),
        ("jobs: [{job: A}, {job: a}]", "Stage __default job a appears more than once."),
    ],
)
def test_orders_that_are_impossible(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_matrix() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/jobs-job-strategy, the example."""
    text = """
    jobs:
    - job: Build
      strategy:
        matrix:
          Python35:
            PYTHON_VERSION: '3.5'
          Python36:
            PYTHON_VERSION: '3.6'
          Python37:
            PYTHON_VERSION: '3.7'
        maxParallel: 2
    """
    (job,) = jobs(compiled(text))
    assert isinstance(job, RegularJob)
    assert [(leg.name, leg.variables[0].value) for leg in job.legs] == [
        ("Python35", "3.5"),
        ("Python36", "3.6"),
        ("Python37", "3.7"),
    ]
    assert job.max_parallel == 2


def test_slices() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/phases#slicing"""
    (job,) = jobs(compiled("jobs:\n- job: SliceItFourWays\n  strategy: {parallel: 4}\n"))
    assert isinstance(job, RegularJob)
    assert [leg.name for leg in job.legs] == ["1", "2", "3", "4"]
    names = {variable.name: variable.value for variable in job.legs[2].variables}
    assert names == {"System.JobPositionInPhase": "3", "System.TotalJobsInPhase": "4"}


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("{matrix: {A: {}}, parallel: 2}", "A strategy is a matrix or parallel, not both"),
        ("{parallel: 2, maxParallel: 1}", "'maxParallel' goes with a matrix only"),
        ("{parallel: 0}", "'parallel' must be 1 to 99"),
        ("{parallel: $(n)}", "'parallel' must be a whole number before the run starts, not '$(n)'"),
        ("{matrix: {1a: {}}}", "'1a' is not a valid name in a matrix"),
        ("{matrix: '$[ dependencies.a.outputs[''m'']]'}", "A matrix that is an expression is not supported"),
    ],
)
def test_strategies_that_are_refused(strategy: str, message: str) -> None:
    assert message in refusal(f"jobs:\n- job: a\n  strategy: {strategy}\n")


def test_a_deployment_with_all_its_hooks() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/deployment-jobs#runonce-deployment-strategy

    Without the environment's resource and the hook's own pool, which are refused by name.
    """
    text = """
    jobs:
    - deployment: DeployWeb
      displayName: deploy Web App
      pool:
        vmImage: 'ubuntu-latest'
      environment: 'smarthotel-dev'
      strategy:
        runOnce:
          preDeploy: {steps: [{script: 'echo initialize, cleanup'}]}
          deploy: {steps: [{script: echo deploy web app}]}
          routeTraffic: {steps: [{script: echo routing traffic}]}
          postRouteTraffic: {steps: [{script: echo health check}]}
          on:
            failure: {steps: [{script: echo clean up}]}
            success: {steps: [{script: echo notify}]}
    """
    (job,) = jobs(compiled(text))
    assert isinstance(job, DeploymentJob)
    assert [hook.name for hook in job.hooks] == ["preDeploy", "deploy", "routeTraffic", "postRouteTraffic"]
    assert job.on_failure
    assert job.on_success
    assert job.environment == "smarthotel-dev"
    written = [step.script for step in job_steps(job) if isinstance(step, ScriptStep)]
    assert written[-2:] == ["echo notify", "echo clean up"]
    assert not any(isinstance(step, CheckoutStep) for step in job_steps(job))


PIPELINES = "resources:\n  pipelines:\n  - pipeline: build\n  - pipeline: other\n"


@pytest.mark.parametrize(
    ("written", "sources"),
    [
        ("", ["current", "build", "other"]),
        ("{download: none}", ["none"]),
        ("{download: build, artifact: release}", ["build"]),
    ],
)
def test_artifacts_of_a_deployment(written: str, sources: list[str]) -> None:
    """All artifacts come by themselves, but only to the hook `deploy`, and only if it says nothing itself.

    https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-download
    """
    hooks = f"{{preDeploy: {{steps: []}}, deploy: {{steps: [{written}]}}}}"
    text = f"{PIPELINES}jobs:\n- deployment: d\n  environment: e\n  strategy:\n    runOnce: {hooks}\n"
    (job,) = jobs(compiled(text))
    assert isinstance(job, DeploymentJob)
    before, deploy = job.hooks
    assert before.steps == ()
    assert [step.source for step in deploy.steps if isinstance(step, DownloadStep)] == sources


def test_a_job_checks_out_its_repository_unless_it_says_otherwise() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-checkout"""
    for written, found in {"": "self", "{checkout: none}": "none"}.items():
        (job,) = jobs(compiled(f"steps: [{written}]\n"))
        (step,) = job_steps(job)
        assert isinstance(step, CheckoutStep)
        assert step.repository == found


def test_the_environment_in_full() -> None:
    text = "jobs:\n- deployment: d\n  environment: {name: e}\n  strategy: {runOnce: {deploy: {steps: []}}}\n"
    (job,) = jobs(compiled(text))
    assert isinstance(job, DeploymentJob)
    assert job.environment == "e"


def test_steps_of_each_kind() -> None:
    text = """
    steps:
    - checkout: self
      clean: true
      fetchDepth: 1
    - script: echo $(name)
      workingDirectory: $(dir)
      failOnStderr: true
      displayName: Shown
      name: named
      condition: succeededOrFailed()
      continueOnError: true
      enabled: false
      timeoutInMinutes: 5
      retryCountOnTaskFailure: 2
      env: {TOKEN: $(token), NUMBER: 1}
    - pwsh: ls
      workingDirectory: $(dir)
      failOnStderr: true
    - task: UsePythonVersion@0
      inputs: {versionSpec: '3.11', addToPath: true}
    - download: current
      artifact: drop
      patterns: '**/*.js'
    - publish: $(Build.ArtifactStagingDirectory)
      artifact: drop
    """
    checkout, script, pwsh, task, download, publish = steps(compiled(text))
    assert isinstance(checkout, CheckoutStep)
    assert checkout.inputs == {"clean": "true", "fetchDepth": "1"}
    assert isinstance(script, ScriptStep)
    assert (script.shell, script.script, script.working_directory) == ("script", "echo $(name)", "$(dir)")
    assert (script.fail_on_stderr, script.display_name, script.name) == ("true", "Shown", "named")
    assert (script.condition, script.continue_on_error, script.enabled) == ("succeededOrFailed()", True, False)
    assert (script.timeout_minutes, script.retries_on_failure) == (5, 2)
    assert script.env == {"TOKEN": "$(token)", "NUMBER": "1"}
    assert isinstance(pwsh, ScriptStep)
    assert (pwsh.shell, pwsh.script, pwsh.fail_on_stderr) == ("pwsh", "ls", "true")
    assert isinstance(task, TaskStep)
    assert (task.task, task.version, task.inputs["addToPath"]) == ("UsePythonVersion", "0", "true")
    assert isinstance(download, DownloadStep)
    assert (download.source, download.artifact, download.patterns) == ("current", "drop", "**/*.js")
    assert isinstance(publish, PublishStep)
    assert (publish.path, publish.artifact) == ("$(Build.ArtifactStagingDirectory)", "drop")
    assert str(publish.position) == "/azure-pipelines.yml (Line: 25, Col: 3)"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("- nosuch: x", "(Line: 2, Col: 3): Unexpected value 'nosuch'"),
        ("- displayName: x", "Unexpected value 'displayName'"),
        ("- text", "Unexpected value 'text': expected a mapping in steps"),
        ("- {}", "Unexpected value ''"),
        ("- script: x\n  bash: y", "(Line: 3, Col: 3): Unexpected value 'bash'"),
        ("- script: [a]", "(Line: 2, Col: 11): A sequence was not expected"),
        ("- task: NoVersion", "(Line: 2, Col: 3): A task is written Name@Version"),
        ("- task: x@1\n  inputs: [a]", "Expected a mapping"),
        ("- task: x@1\n  inputs: {a: {b: c}}", "A mapping was not expected"),
        ("- checkout:", "'checkout' is missing or empty"),
        ("- script: x\n  enabled: $(on)", "(Line: 3, Col: 3): 'enabled' must be true or false before the run starts"),
        ("- script: x\n  timeoutInMinutes: soon", "'timeoutInMinutes' must be a whole number"),
        ("- script: x\n  name: a b", "'a b' is not a valid name"),
        ("- script: x\n  name: n\n- script: y\n  name: N", "The step name N appears more than once."),
        ("- script: x\n  env: {A: a, a: b}", "'a' is already defined"),
    ],
)
def test_steps_that_are_refused(lines: str, message: str) -> None:
    assert message in refusal(f"steps:\n{lines}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "A pipeline has one of stages, jobs, steps, extends, and there is none"),
        ("steps: []\njobs: []", "not both jobs and steps"),
        ("- script: x", "Expected a mapping"),
        ("steps: text", "Expected a sequence"),
        ("stages: [{jobs: []}]", "Unexpected value 'jobs'"),
        ("jobs: [{steps: []}]", "Unexpected value 'steps'"),
        ("jobs: [{job: a, environment: e}]", "Unexpected value 'environment'"),
        ("jobs: [{deployment: a, steps: []}]", "Unexpected value 'steps'"),
        ("jobs: [{deployment: a, environment: e}]", "A deployment job needs a strategy: runOnce"),
        ("jobs: [{deployment: a, strategy: {runOnce: {}}}]", "A deployment job needs an environment"),
        ("jobs: [{job: a b}]", "'a b' is not a valid name"),
        ("lockBehavior: latest\nsteps: []", "Unexpected value 'latest'. Allowed: sequential, runLatest"),
        ("trigger: all\nsteps: []", "Unexpected value 'all'. Allowed: none, a list of branches, a mapping"),
        ("schedules: [{cron: '0 0 * *'}]\nsteps: []", "'0 0 * *' is not a schedule: five fields are needed"),
        ("resources: [{repo: self}]\nsteps: []", "The older form of resources, a list, is not supported"),
        ("resources: {repositories: [{repository: r, type: github, name: n}]}\nsteps: []", "type 'github'"),
        ("resources: {repositories: [{repository: r}]}\nsteps: []", "'name' is missing or empty"),
        ("resources: {pipelines: [{pipeline: a}, {pipeline: A}]}\nsteps: []", "The resource 'A' is already defined"),
        ("resources: {pipelines: [{pipeline: a, trigger: maybe}]}\nsteps: []", "Allowed: true, none, a mapping"),
        (
            "resources: {pipelines: [{'${{ if true }}': {pipeline: a}}]}\nsteps: []",
            "A template expression is not allowed in this context",
        ),
        (
            "resources: {pipelines: ['${{ parameters.x }}']}\nsteps: []",
            "A template expression is not allowed in this context",
        ),
    ],
)
def test_pipelines_that_are_refused(text: str, message: str) -> None:
    found = refusal(text)
    assert message in found
    assert found.startswith("/azure-pipelines.yml (Line: ")


def test_what_starts_a_pipeline() -> None:
    text = """
    trigger:
      batch: true
      branches: {include: [main, 'releases/*'], exclude: [releases/old*]}
      paths: {include: [docs]}
    pr: {branches: {include: [main]}, autoCancel: false, drafts: false}
    schedules:
    - cron: '0 3 * * Mon-Fri'
      displayName: nightly
      branches: {include: [main]}
      always: true
    resources:
      pipelines:
      - pipeline: build
        source: The build
        project: Other
        branch: main
        version: '1'
        tags: [good]
        trigger: {branches: {include: [main], exclude: [x]}, stages: [Test], tags: [t]}
    name: $(Date:yyyyMMdd)$(Rev:.r)
    steps: []
    """
    pipeline = compiled(text)
    assert pipeline.trigger
    assert pipeline.trigger.batch
    assert pipeline.trigger.branches == Filter(("main", "releases/*"), ("releases/old*",))
    assert pipeline.trigger.paths == Filter(("docs",))
    (schedule,) = pipeline.schedules
    assert schedule.display_name == "nightly"
    assert (schedule.cron, schedule.always, schedule.batch) == ("0 3 * * Mon-Fri", True, False)
    (resource,) = pipeline.pipelines
    assert (resource.alias, resource.source, resource.project, resource.tags) == (
        "build",
        "The build",
        "Other",
        ("good",),
    )
    expected = PipelineTrigger(enabled=True, branches=Filter(("main",), ("x",)), stages=("Test",), tags=("t",))
    assert resource.trigger == expected
    assert pipeline.name == "$(Date:yyyyMMdd)$(Rev:.r)"


@pytest.mark.parametrize(
    ("written", "trigger"),
    [
        ("none", Trigger(enabled=False)),
        ("[main, develop]", Trigger(enabled=True, branches=Filter(("main", "develop")))),
        ("['${{ ''main'' }}']", Trigger(enabled=True, branches=Filter(("main",)))),
    ],
)
def test_short_forms_of_triggers(written: str, trigger: Trigger) -> None:
    assert compiled(f"trigger: {written}\nsteps: []\n").trigger == trigger
    assert compiled("steps: []\n").trigger is None
    (resource,) = compiled("resources:\n  pipelines:\n  - {pipeline: b, trigger: true}\nsteps: []\n").pipelines
    assert resource.trigger == PipelineTrigger(enabled=True)
    short = "resources:\n  pipelines:\n  - {pipeline: b, trigger: {branches: [main]}}\nsteps: []\n"
    assert compiled(short).pipelines[0].trigger == PipelineTrigger(enabled=True, branches=Filter(("main",)))


def test_all_steps_of_its_jobs() -> None:
    hooks = "{deploy: {steps: [{task: b@1}]}, on: {failure: {steps: [{task: c@1}]}}}"
    jobs_of_both_kinds = "jobs:\n- job: a\n  steps: [{task: a@1}]\n- deployment: d\n  environment: e\n"
    text = f"{jobs_of_both_kinds}  strategy: {{runOnce: {hooks}}}\n"
    found = (step for job in jobs(compiled(text)) for step in job_steps(job))
    assert [step.task for step in found if isinstance(step, TaskStep)] == ["a", "b", "c"]
