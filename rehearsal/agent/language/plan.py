"""The plan of a run: what a pipeline's files come to once everything known before the run is worked out.

Texts may still hold `$(name)`; values of variables may be `$[ expression ]`; conditions are expressions. Those are for
the one who carries the plan out: see `runtime` and `conditions`. All of it is frozen, and stages, jobs, steps and
variables know their places in the files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.agent.language.errors import Position

LockBehavior = Literal["sequential", "runLatest"]
Shell = Literal["script", "bash", "pwsh", "powershell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable of a scope, in the order of the file. A later one of the same name, whatever its case, wins.

    `group` is the variable group it comes from. A secret one is no environment variable of steps. `repr` leaves the
    value out.
    """

    name: str
    value: str = field(repr=False)
    readonly: bool = False
    secret: bool = False
    group: str | None = None
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where jobs run. All texts, `$(name)` unresolved."""

    name: str | None
    vm_image: str | None
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What all steps have. `condition` None means `succeeded()`; `timeout_minutes` 0 means as long as the job may run.

    `display_name` None: the writer gave none.
    """

    name: str | None
    display_name: str | None
    condition: str | None
    continue_on_error: bool
    enabled: bool
    env: Mapping[str, str]
    timeout_minutes: int
    retries_on_failure: int
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptStep(Step):
    """`script`, `bash`, `pwsh` and `powershell`. Inputs are texts, `$(name)` unresolved; None: not given.

    `script` runs in the system's own shell, bash on Linux
    (https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-script).
    """

    shell: Shell
    script: str
    working_directory: str | None
    fail_on_stderr: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutStep(Step):
    """`checkout`: `self`, `none` or the alias of a repository resource. `inputs` are the other keys of the step."""

    repository: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStep(Step):
    """`download`: `current`, `none` or the alias of a pipeline resource; `artifact` None means all of them."""

    source: str
    artifact: str | None
    patterns: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishStep(Step):
    """`publish`: a path, and the name of the artifact; None: the service makes one up."""

    path: str
    artifact: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStep(Step):
    """`task: Name@Version` with its inputs."""

    task: str
    version: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the jobs that a strategy makes of one. `name` is the key of the matrix, or the position from 1."""

    name: str
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What regular jobs and deployment jobs have.

    `depends_on` holds names of jobs of the same stage. Minutes; `timeout_minutes` 0 means as long as the agent allows.
    """

    name: str
    display_name: str
    depends_on: tuple[str, ...]
    condition: str | None
    continue_on_error: bool
    timeout_minutes: int
    cancel_timeout_minutes: int
    variables: tuple[Variable, ...]
    pool: Pool | None
    workspace_clean: str | None
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularJob(Job):
    """`job`. `legs` is empty without a strategy; `max_parallel` 0 means all legs at once."""

    steps: tuple[Step, ...]
    legs: tuple[Leg, ...]
    max_parallel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One part of a deployment's life."""

    name: Literal["preDeploy", "deploy", "routeTraffic", "postRouteTraffic", "failure", "success"]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentJob(Job):
    """`deployment` with the strategy runOnce: the hooks one after the other, then one of `on_success`, `on_failure`.

    `environment` is a text; environments don't exist before somebody looks.
    """

    environment: str
    hooks: tuple[Hook, ...]
    on_success: Hook | None
    on_failure: Hook | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage.

    `depends_on` is worked out: the stage before it if nothing was written. `lock_behavior`: its own or the pipeline's.
    """

    name: str
    display_name: str
    depends_on: tuple[str, ...]
    condition: str | None
    variables: tuple[Variable, ...]
    pool: Pool | None
    lock_behavior: LockBehavior
    jobs: tuple[Job, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Filter:
    """Names or patterns to take and to leave out."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """`trigger`: which pushes start a run. Not `enabled`: `none`."""

    enabled: bool
    batch: bool = False
    branches: Filter = Filter()
    paths: Filter = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`schedules`: when a run starts by itself. `cron` in UTC; not `always`: only if something has changed.

    `display_name` is empty where there is none.
    """

    cron: str
    display_name: str
    branches: Filter
    batch: bool
    always: bool
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryResource:
    """Another repository of the organisation, to check out or to read templates from."""

    alias: str
    name: str
    ref: str
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTrigger:
    """Which finished runs of a pipeline resource start this pipeline."""

    enabled: bool
    branches: Filter = Filter()
    stages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResource:
    """Another pipeline, whose artifacts are used and whose end may start this one. `trigger` None: it doesn't."""

    alias: str
    project: str | None
    source: str
    version: str | None
    branch: str | None
    tags: tuple[str, ...]
    trigger: PipelineTrigger | None
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The whole plan. `trigger` None: the service's own default, every push to every branch starts a run."""

    name: str | None
    trigger: Trigger | None
    schedules: tuple[Schedule, ...]
    repositories: tuple[RepositoryResource, ...]
    pipelines: tuple[PipelineResource, ...]
    variables: tuple[Variable, ...]
    pool: Pool | None
    stages: tuple[Stage, ...]


def job_steps(job: Job) -> Iterator[Step]:
    """All steps of a job; of a deployment those of all its hooks."""
    if isinstance(job, RegularJob):
        yield from job.steps
    elif isinstance(job, DeploymentJob):
        for hook in (*job.hooks, job.on_success, job.on_failure):
            yield from hook.steps if hook else ()
