"""From the files of a repository to the plan of a run: the library's entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.expansion import Bound, Entry, Scope, entries
from rehearsal.agent.language.fields import Fields
from rehearsal.agent.language.graph import in_order
from rehearsal.agent.language.jobs import Surroundings, read_job, read_jobs, read_pool
from rehearsal.agent.language.nodes import Mapping as MappingNode
from rehearsal.agent.language.nodes import Scalar
from rehearsal.agent.language.parameters import bind, declared, from_queue
from rehearsal.agent.language.plan import LockBehavior, Pipeline, RepositoryResource, Stage, Variable
from rehearsal.agent.language.reading import EXTENDED, EXTENDS, PIPELINE, STAGE
from rehearsal.agent.language.sources import ReadFile, Sources
from rehearsal.agent.language.steps import checked_condition
from rehearsal.agent.language.templates import Element, elements, opened
from rehearsal.agent.language.triggers import check_pull_request, read_resources, read_schedules, read_trigger
from rehearsal.agent.language.variables import FindGroup, KnownVariables, read_variables

FindRepository: TypeAlias = Callable[[RepositoryResource], ReadFile | None]

_DEFAULT_STAGE = "__default"  # what the service calls the stage that nobody wrote
_DEFAULT_JOB = "Job"
_BODIES = ("stages", "jobs", "steps", "extends")
_JOB_AT_ROOT = ("strategy", "continueOnError", "workspace")  # beside `steps` at the root
_LOCKS = ("sequential", "runLatest")


def no_groups(name: str) -> None:
    """For a pipeline without variable groups: each one that is named is refused."""


def no_repositories(resource: RepositoryResource) -> None:
    """For a pipeline without repository resources: templates of each one are refused."""


def compile_pipeline(
    path: str,
    read_file: ReadFile,
    *,
    parameters: Mapping[str, object] | None = None,
    predefined: Mapping[str, str] | None = None,
    find_group: FindGroup = no_groups,
    find_repository: FindRepository = no_repositories,
) -> Pipeline:
    """Reads a pipeline with all its templates and works out what is known before the run.

    `path` is that of the file, from the root of the repository; `read_file` gives the text of such a path, or None.
    `parameters` are the values given when the run is queued, `predefined` the variables that the service knows before a
    run, e.g. `Build.SourceBranch`. `find_group` gives the variables of a group, `find_repository` the files of a
    repository resource; both give None for what isn't there or may not be used.

    Raises PipelineError, with file, line and column, for everything that can't be read, isn't understood or is refused.
    https://learn.microsoft.com/azure/devops/pipelines/process/runs#process-the-pipeline
    """
    try:
        return _Compiler(find_group, find_repository).pipeline(
            Sources(read_file), path, parameters or {}, predefined or {}
        )
    except RecursionError as error:  # mappings within mappings within mappings
        raise PipelineError("Maximum object depth exceeded", Position(f"/{path.strip('/')}", 1, 1)) from error


@dataclass(frozen=True, slots=True)
class _Body:
    """What of a pipeline is left when all that it extends is put in: stages, jobs or steps, and variables."""

    kind: str
    bound: Bound
    pairs: tuple[Entry, ...]
    variables: tuple[Variable, ...]
    known: KnownVariables


class _Compiler:
    def __init__(self, find_group: FindGroup, find_repository: FindRepository) -> None:
        self._find_group = find_group
        self._find_repository = find_repository

    def pipeline(
        self, sources: Sources, path: str, given: Mapping[str, object], predefined: Mapping[str, str]
    ) -> Pipeline:
        file, root = sources.root(path)
        if not isinstance(root, MappingNode):
            raise PipelineError("Expected a mapping", root.position)
        parameters = declared(root.get("parameters"), in_template=False)
        bound = bind(parameters, from_queue(parameters, given), root.position, strict=True)
        scope = Scope(sources, (file,), bound, KnownVariables(predefined))
        pairs = tuple(entries(Bound(root, scope)))
        fields = Fields(PIPELINE, pairs, root.position)
        repositories, pipelines = read_resources(fields.bound("resources"))
        found = {resource.alias: self._find_repository(resource) for resource in repositories}
        sources.add_repositories({alias: files for alias, files in found.items() if files is not None})
        body = self._body(fields, pairs, (), KnownVariables(predefined))
        # What is left, name and pool, may name the variables too.
        fields = Fields(PIPELINE, ((key, value.within(body.known)) for key, value in pairs), root.position)
        lock = _lock(fields) or "runLatest"
        around = Surroundings(self._find_group, tuple(resource.alias for resource in pipelines))
        check_pull_request(fields.bound("pr"))
        stages = in_order(self._stages(body, around, lock), body.bound.position)
        return Pipeline(
            name=fields.optional_text("name"),
            trigger=read_trigger(fields.bound("trigger")),
            schedules=read_schedules(fields.bound("schedules")),
            repositories=repositories,
            pipelines=pipelines,
            variables=body.variables,
            pool=read_pool(fields.bound("pool")),
            stages=stages,
        )

    def _body(
        self, fields: Fields, pairs: tuple[Entry, ...], variables: tuple[Variable, ...], known: KnownVariables
    ) -> _Body:
        """Follows `extends` from file to file, collecting variables, to the stages, jobs or steps."""
        own, known = read_variables(fields.bound("variables"), known, self._find_group, root=True)
        variables = (*variables, *own)
        kinds = [kind for kind in _BODIES if kind in fields]
        if len(kinds) != 1:
            shown = f"not both {' and '.join(kinds)}" if kinds else "and there is none"
            raise PipelineError(f"A pipeline has one of {', '.join(_BODIES)}, {shown}", fields.position)
        for key in _JOB_AT_ROOT:
            if key in fields and kinds != ["steps"]:
                raise PipelineError(f"'{key}' stands beside 'steps' only", fields.place(key))
        pairs = tuple((key, value.within(known)) for key, value in pairs)
        bound = next(value for key, value in pairs if key.text == kinds[0])
        if kinds != ["extends"]:
            return _Body(kinds[0], bound, pairs, variables, known)
        root, scope = opened(Fields(EXTENDS, entries(bound), bound.position), bound.scope)
        inner = tuple(entries(Bound(root, scope)))
        return self._body(Fields(EXTENDED, inner, root.position), inner, variables, known)

    def _stages(self, body: _Body, around: Surroundings, lock: LockBehavior) -> tuple[Stage, ...]:
        if body.kind == "stages":
            stages: list[Stage] = []
            for element in elements(body.bound, "stages"):
                stages.append(self._stage(element, body.known, around, lock, stages))
            return tuple(stages)
        if body.kind == "jobs":
            jobs = read_jobs(body.bound, body.known, around)
        else:
            kept = tuple(pair for pair in body.pairs if pair[0].text in {"steps", *_JOB_AT_ROOT})
            place = body.bound.position
            name = Scalar("job", "job", place, expanded=True)
            given = Bound(Scalar(_DEFAULT_JOB, _DEFAULT_JOB, place, expanded=True), body.bound.scope)
            jobs = (read_job(Element(((name, given), *kept), place), body.known, around, _DEFAULT_JOB),)
        stage = Stage(
            name=_DEFAULT_STAGE, display_name=_DEFAULT_STAGE, depends_on=(), condition=None, variables=(), pool=None,
            lock_behavior=lock, jobs=jobs, position=body.bound.position,
        )  # fmt: skip
        return (stage,)

    def _stage(
        self, element: Element, known: KnownVariables, around: Surroundings, lock: LockBehavior, earlier: list[Stage]
    ) -> Stage:
        if "stage" not in element.keys:
            shown = element.keys[0] if element.pairs else ""
            raise PipelineError(f"Unexpected value '{shown}'", element.position)
        fields = Fields(STAGE, element.pairs, element.position)
        variables, known = read_variables(fields.bound("variables"), known, self._find_group, root=False)
        pairs = tuple((key, value.within(known)) for key, value in element.pairs)
        fields = Fields(STAGE, pairs, element.position)  # the variables of a stage are known in all that stands in it
        name = fields.name("stage") or f"Stage{len(earlier) + 1}"
        depends_on = fields.texts("dependsOn")
        if depends_on is None:  # stages go one after the other if nothing else is written
            depends_on = (earlier[-1].name,) if earlier else ()
        jobs = fields.bound("jobs")
        if jobs is None:
            raise PipelineError(f"Stage {name} must contain at least one job with no dependencies.", element.position)
        return Stage(
            name=name,
            display_name=fields.text("displayName") or name,
            depends_on=depends_on,
            condition=checked_condition(fields, of_step=False),
            variables=variables,
            pool=read_pool(fields.bound("pool")),
            lock_behavior=_lock(fields) or lock,
            jobs=read_jobs(jobs, known, around),
            position=element.position,
        )


def _lock(fields: Fields) -> LockBehavior | None:
    chosen = fields.choice("lockBehavior", _LOCKS)
    return "sequential" if chosen == "sequential" else "runLatest" if chosen else None
