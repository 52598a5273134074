"""Jobs and deployment jobs of a stage.

https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/jobs-job,
https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/jobs-deployment,
https://learn.microsoft.com/azure/devops/pipelines/process/deployment-jobs
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.expansion import Bound, Entry, entries, resolve, scalar
from rehearsal.agent.language.fields import Fields
from rehearsal.agent.language.nodes import Mapping as MappingNode
from rehearsal.agent.language.plan import DeploymentJob, Hook, Job, Leg, Pool, RegularJob, Variable
from rehearsal.agent.language.reading import (
    DEPLOYMENT,
    DEPLOYMENT_STRATEGY,
    ENVIRONMENT,
    HOOK,
    JOB,
    OUTCOME_HOOKS,
    POOL,
    RUN_ONCE,
    STRATEGY,
    WORKSPACE,
    Section,
)
from rehearsal.agent.language.steps import checked_condition, read_steps, with_checkout, with_downloads
from rehearsal.agent.language.templates import Element, elements
from rehearsal.agent.language.variables import FindGroup, read_variables

_LEG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}\Z")
_MOST_SLICES = 99  # of `parallel`, https://learn.microsoft.com/azure/devops/pipelines/process/phases
_TIMEOUT = 60  # minutes, the service's default
_CANCEL_TIMEOUT = 5  # minutes, likewise


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What jobs need to know of the pipeline: groups of variables, and the aliases of pipeline resources."""

    find_group: FindGroup
    pipelines: tuple[str, ...]


def read_jobs(bound: Bound, known: Mapping[str, str], around: Surroundings) -> tuple[Job, ...]:
    """The jobs of a stage. Raises PipelineError for everything that isn't understood."""
    jobs: list[Job] = []
    for element in elements(bound.within(known), "jobs"):
        default = f"Job{len(jobs) + 1}"  # the service's own names for nameless jobs aren't documented
        jobs.append(read_job(element, known, around, default))
    return tuple(jobs)


def read_job(element: Element, known: Mapping[str, str], around: Surroundings, default_name: str) -> Job:
    """One job. `known` are the variables of the pipeline and the stage."""
    kinds: dict[str, Section] = {"job": JOB, "deployment": DEPLOYMENT}
    kind = next((key for key in element.keys if key in kinds), None)
    if kind is None:
        shown = element.keys[0] if element.pairs else ""
        raise PipelineError(f"Unexpected value '{shown}'", element.position)
    fields = Fields(kinds[kind], element.pairs, element.position)
    variables, within = read_variables(fields.bound("variables"), known, around.find_group, root=False)
    # The variables of a job are known in all that stands in it, so it is read once more with them.
    fields = Fields(kinds[kind], _within(element, within), element.position)
    common = _common(kind, fields, variables, default_name)
    return _regular(fields, common) if kind == "job" else _deployment(fields, common, around)


def _within(element: Element, known: Mapping[str, str]) -> tuple[Entry, ...]:
    return tuple((key, value.within(known)) for key, value in element.pairs)


def _common(kind: str, fields: Fields, variables: tuple[Variable, ...], default_name: str) -> dict[str, Any]:
    name = fields.name(kind) or default_name
    workspace = fields.inner("workspace", WORKSPACE)
    return {
        "name": name,
        "display_name": fields.text("displayName") or name,
        "depends_on": fields.texts("dependsOn") or (),
        "condition": checked_condition(fields, of_step=False),
        "continue_on_error": fields.boolean("continueOnError", False),
        "timeout_minutes": fields.integer("timeoutInMinutes", _TIMEOUT),
        "cancel_timeout_minutes": fields.integer("cancelTimeoutInMinutes", _CANCEL_TIMEOUT),
        "variables": variables,
        "pool": read_pool(fields.bound("pool")),
        "workspace_clean": workspace.choice("clean", ("outputs", "resources", "all")) if workspace else None,
        "position": fields.position,
    }


def read_pool(bound: Bound | None) -> Pool | None:
    """A pool: its name alone, or a mapping."""
    if bound is None:
        return None
    outer = resolve(bound)
    if not isinstance(outer.node, MappingNode):
        return Pool(name=scalar(outer).text, vm_image=None, position=bound.position)
    fields = Fields(POOL, entries(outer), bound.position)
    return Pool(name=fields.optional_text("name"), vm_image=fields.optional_text("vmImage"), position=bound.position)


def _regular(fields: Fields, common: dict[str, Any]) -> RegularJob:
    steps = fields.bound("steps")
    legs, most = _legs(fields)
    written = read_steps(steps) if steps else ()
    return RegularJob(steps=with_checkout(written, fields.position), legs=legs, max_parallel=most, **common)


def _legs(fields: Fields) -> tuple[tuple[Leg, ...], int]:
    """What `strategy` makes of a job, and how much of it runs at once."""
    strategy = fields.inner("strategy", STRATEGY)
    if strategy is None:
        return (), 0
    matrix = strategy.bound("matrix")
    if matrix is not None and "parallel" in strategy:
        raise PipelineError("A strategy is a matrix or parallel, not both", strategy.place("parallel"))
    if matrix is not None:
        return _matrix(matrix), strategy.integer("maxParallel", 0)
    if "maxParallel" in strategy:
        raise PipelineError("'maxParallel' goes with a matrix only", strategy.place("maxParallel"))
    slices = strategy.integer("parallel", 0)
    if not 1 <= slices <= _MOST_SLICES:
        raise PipelineError(f"'parallel' must be 1 to {_MOST_SLICES}", strategy.place("parallel"))
    place = strategy.place("parallel")
    return tuple(_slice(number, slices, place) for number in range(1, slices + 1)), 0


def _slice(number: int, total: int, place: Position) -> Leg:
    given = {"System.JobPositionInPhase": str(number), "System.TotalJobsInPhase": str(total)}
    return Leg(str(number), tuple(Variable(name=name, value=value, position=place) for name, value in given.items()))


def _matrix(bound: Bound) -> tuple[Leg, ...]:
    outer = resolve(bound)
    if not isinstance(outer.node, MappingNode):
        message = "A matrix that is an expression is not supported in the rehearsal: write its legs"
        raise PipelineError(message, bound.position)
    legs: list[Leg] = []
    for key, values in entries(outer):
        if not _LEG.match(key.text):
            message = (
                f"'{key.text}' is not a valid name in a matrix: a letter, then letters, digits and '_', 100 at most"
            )
            raise PipelineError(message, key.position)
        variables = (
            Variable(name=name.text, value=scalar(value).text, position=value.position)
            for name, value in entries(values)
        )
        legs.append(Leg(key.text, tuple(variables)))
    return tuple(legs)


def _deployment(fields: Fields, common: dict[str, Any], around: Surroundings) -> DeploymentJob:
    strategy = fields.inner("strategy", DEPLOYMENT_STRATEGY)
    run_once = strategy.inner("runOnce", RUN_ONCE) if strategy else None
    if run_once is None:
        raise PipelineError("A deployment job needs a strategy: runOnce", fields.place("strategy"))
    deploy = _hook(run_once, "deploy")
    if deploy is not None:
        steps = with_downloads(deploy.steps, around.pipelines, run_once.place("deploy"))
        deploy = Hook(name="deploy", steps=steps)
    hooks = (
        _hook(run_once, "preDeploy"),
        deploy,
        _hook(run_once, "routeTraffic"),
        _hook(run_once, "postRouteTraffic"),
    )
    outcome = run_once.inner("on", OUTCOME_HOOKS)
    return DeploymentJob(
        environment=_environment(fields),
        hooks=tuple(hook for hook in hooks if hook is not None),
        on_success=_hook(outcome, "success") if outcome else None,
        on_failure=_hook(outcome, "failure") if outcome else None,
        **common,
    )


def _hook(
    fields: Fields, name: Literal["preDeploy", "deploy", "routeTraffic", "postRouteTraffic", "failure", "success"]
) -> Hook | None:
    hook = fields.inner(name, HOOK)
    if hook is None:
        return None
    steps = hook.bound("steps")
    return Hook(name=name, steps=read_steps(steps) if steps else ())


def _environment(fields: Fields) -> str:
    """The environment's name. `name.resource` is the short form; the first dot counts."""
    bound = fields.bound("environment")
    if bound is None:
        raise PipelineError("A deployment job needs an environment", fields.position)
    outer = resolve(bound)
    if isinstance(outer.node, MappingNode):
        return Fields(ENVIRONMENT, entries(outer), bound.position).needed("name")
    name, dot, resource = fields.needed("environment").partition(".")
    if dot:
        reason = ENVIRONMENT.refused["resourceName"]
        message = f"The resource '{resource}' of environment '{name}' is not supported in the rehearsal: {reason}"
        raise PipelineError(message, fields.place("environment"))
    return name
