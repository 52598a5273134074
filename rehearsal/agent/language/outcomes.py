"""What later stages and jobs see of earlier ones: the contexts `dependencies` and `stageDependencies`.

https://learn.microsoft.com/azure/devops/pipelines/process/expressions#dependencies and
https://learn.microsoft.com/azure/devops/pipelines/process/deployment-jobs#support-for-output-variables

| asked by | of | expression |
|---|---|---|
| job | job of the same stage | `dependencies.A.outputs['step.name']` |
| job | leg of a matrix | `dependencies.A.outputs['leg.step.name']` |
| job | deployment job | `dependencies.A.outputs['A.step.name']` |
| job | job of another stage | `stageDependencies.S.A.outputs['step.name']` |
| stage | job of another stage | `dependencies.S.outputs['A.step.name']` |

Only what is named in `dependsOn` is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.plan import DeploymentJob, Job, Stage


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended, and its output variables by `output_key`."""

    result: Result
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """How a stage ended, and its jobs."""

    result: Result
    jobs: Mapping[str, JobOutcome]


def output_key(job: Job, leg: str | None, step: str, variable: str) -> str:
    """The name of an output variable among those of its job. `leg`: that of the job's strategy, if it has one."""
    if isinstance(job, DeploymentJob):
        return f"{job.name}.{step}.{variable}"
    return f"{leg}.{step}.{variable}" if leg else f"{step}.{variable}"


def job_dependencies(job: Job, outcomes: Mapping[str, JobOutcome]) -> Context[object]:
    """`dependencies` of a job: the jobs of its stage that it names."""
    return Context({name: _job(outcomes[name]) for name in job.depends_on if name in outcomes})


def stage_dependencies(stage: Stage, outcomes: Mapping[str, StageOutcome]) -> Context[object]:
    """`stageDependencies` of a stage and its jobs: the jobs of the stages that it names."""
    return Context(
        {
            name: Context({job: _job(outcome) for job, outcome in outcomes[name].jobs.items()})
            for name in stage.depends_on
            if name in outcomes
        }
    )


def dependencies_of_stage(stage: Stage, outcomes: Mapping[str, StageOutcome]) -> Context[object]:
    """`dependencies` of a stage: the stages that it names."""
    return Context({name: _stage(outcomes[name]) for name in stage.depends_on if name in outcomes})


def _job(outcome: JobOutcome) -> Context[object]:
    return Context({"result": outcome.result, "outputs": Context(outcome.outputs)})


def _stage(outcome: StageOutcome) -> Context[object]:
    outputs = {f"{name}.{key}": value for name, job in outcome.jobs.items() for key, value in job.outputs.items()}
    return Context({"result": outcome.result, "outputs": Context(outputs)})


def ancestors(name: str, depends_on: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that a stage or job depends on, directly or not: what its `succeeded()` asks for."""
    found: set[str] = set()
    waiting = list(depends_on[name])
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(depends_on.get(current, ()))
    return found
