"""What the service hands to an agent: one job, with everything that is needed to carry it out.

Microsoft's own protocol between service and agent isn't documented; this one is the rehearsal's. A message is a frozen
dataclass with a JSON form; `repr` leaves out what may be secret.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.outcomes import output_key
from rehearsal.agent.language.plan import (
    CheckoutStep,
    DownloadStep,
    Hook,
    Job,
    PublishStep,
    ScriptStep,
    Step,
    TaskStep,
    Variable,
)

Json: TypeAlias = dict[str, Any]

_STEPS: dict[str, type[Step]] = {
    "checkout": CheckoutStep,
    "download": DownloadStep,
    "publish": PublishStep,
    "script": ScriptStep,
    "task": TaskStep,
}
_KINDS = {step: kind for kind, step in _STEPS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project of the organisation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The pipeline. `folder` as the service writes it, e.g. a backslash alone."""

    id: int
    name: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What a `checkout` fetches: `ref` and `commit` of the repository behind the `url` for cloning."""

    id: str
    name: str
    url: str
    default_branch: str
    ref: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """The run that a pipeline resource stands for in this run. `number` is its name, `branch` a full ref."""

    project_id: str
    definition_id: int
    definition_name: str
    run_id: int
    number: str
    branch: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a deployment job deploys to."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A service connection that steps name: what it signs in with, and what else is kept with it."""

    id: str
    name: str
    scheme: str
    parameters: Mapping[str, str] = field(repr=False)
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job for an agent.

    Args:
        id: names the job in the agent's calls; the id of its timeline record.
        attempt: 1, or more after the stage was tried again.
        name, display_name, stage: as the plan has them; with a strategy `name` is that of the job, without the leg.
        run_id: the number of the run.
        token: the job's access token, `System.AccessToken`.
        predefined: the service's own variables, all but `Agent.*`, the directories and `System.AccessToken`.
        variables: all others, `$[ ]` worked out, from the least to the most important.
        secrets: values of secret variables by name. They take the place of the values in `variables`; those that
            aren't there are added, as the least important. No log shows them.
        repositories: by alias; `self` is the pipeline's own.
        pipelines: the runs behind the pipeline resources, by alias.
        connections: the service connections that the steps name.
        steps: of a regular job.
        hooks, on_success, on_failure: of a deployment job.
        output_prefix: what the names of output variables begin with: see the function of this name.
        timeout_minutes: 0 means as long as it takes.
        cancel_timeout_minutes: how long steps that run always may take when the job was cancelled.
        workspace_clean: `outputs`, `resources`, `all` or None.
        environment: of a deployment job.
    """

    id: str
    attempt: int
    name: str
    display_name: str
    stage: str
    project: Project
    run_id: int
    definition: Definition
    token: str = field(repr=False)
    predefined: Mapping[str, str]
    variables: tuple[Variable, ...]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    repositories: Mapping[str, Repository]
    pipelines: Mapping[str, PipelineRun] = field(default_factory=dict)
    connections: tuple[Connection, ...] = ()
    steps: tuple[Step, ...] = ()
    hooks: tuple[Hook, ...] = ()
    on_success: Hook | None = None
    on_failure: Hook | None = None
    output_prefix: str = ""
    timeout_minutes: int = 60
    cancel_timeout_minutes: int = 5
    workspace_clean: str | None = None
    environment: Environment | None = None

    def to_json(self) -> Json:
        """The message as JSON; everything in it is secret, since the token is."""
        return {
            **asdict(self),
            "steps": [step_to_json(step) for step in self.steps],
            "hooks": [_hook_to_json(hook) for hook in self.hooks],
            "on_success": _hook_to_json(self.on_success) if self.on_success else None,
            "on_failure": _hook_to_json(self.on_failure) if self.on_failure else None,
        }

    @classmethod
    def from_json(cls, document: Json) -> "JobRequest":
        """What `to_json` wrote.

        Raises:
            KeyError, TypeError: something is missing, or there is more than this agent knows.
        """
        return cls(
            **document
            | {
                "project": Project(**document["project"]),
                "definition": Definition(**document["definition"]),
                "variables": tuple(variable_from_json(each) for each in document["variables"]),
                "repositories": {alias: Repository(**each) for alias, each in document["repositories"].items()},
                "pipelines": {alias: PipelineRun(**each) for alias, each in document["pipelines"].items()},
                "connections": tuple(Connection(**each) for each in document["connections"]),
                "steps": tuple(step_from_json(each) for each in document["steps"]),
                "hooks": tuple(_hook_from_json(each) for each in document["hooks"]),
                "on_success": _hook_from_json(document["on_success"]) if document["on_success"] else None,
                "on_failure": _hook_from_json(document["on_failure"]) if document["on_failure"] else None,
                "environment": Environment(**document["environment"]) if document["environment"] else None,
            }
        )


def output_prefix(job: Job, leg: str | None) -> str:
    """What stands before `step.variable` in the key of an output variable of a job: see `outcomes.output_key`."""
    return output_key(job, leg, "step", "variable").removesuffix("step.variable")


def step_to_json(step: Step) -> Json:
    """A step of any kind; `kind` says which."""
    return {"kind": _KINDS[type(step)], **asdict(step)}


def step_from_json(document: Json) -> Step:
    """What `step_to_json` wrote."""
    fields = {name: value for name, value in document.items() if name != "kind"}
    return _STEPS[document["kind"]](**fields | {"position": Position(**fields["position"])})


def variable_from_json(document: Json) -> Variable:
    """A variable from its `dataclasses.asdict`."""
    return Variable(**document | {"position": Position(**document["position"])})


def _hook_to_json(hook: Hook) -> Json:
    return {"name": hook.name, "steps": [step_to_json(step) for step in hook.steps]}


def _hook_from_json(document: Json) -> Hook:
    return Hook(name=document["name"], steps=tuple(step_from_json(each) for each in document["steps"]))
