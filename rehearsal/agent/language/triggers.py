"""What starts a pipeline, and the resources it uses.

https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/trigger, .../pr, .../schedules and .../resources
"""

from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.expansion import Bound, entries, items, resolve, scalar
from rehearsal.agent.language.fields import Fields, texts_of
from rehearsal.agent.language.nodes import Mapping, Node, Scalar, Sequence
from rehearsal.agent.language.plan import (
    Filter,
    PipelineResource,
    PipelineTrigger,
    RepositoryResource,
    Schedule,
    Trigger,
)
from rehearsal.agent.language.reading import (
    FILTER,
    PIPELINE_RESOURCE,
    PIPELINE_TRIGGER,
    PULL_REQUEST,
    REPOSITORY,
    RESOURCES,
    SCHEDULE,
    TRIGGER,
)

_MAIN = "refs/heads/main"  # of repository resources without `ref`


def read_trigger(bound: Bound | None) -> Trigger | None:
    """`trigger`: `none`, a list of branches, or a mapping. Without branches every branch counts."""
    outer = None if bound is None else resolve(bound)
    if outer is None:
        return None
    if not isinstance(outer.node, Mapping):
        branches = _branches_or_none(outer)
        return Trigger(enabled=branches is not None, branches=branches or Filter())
    fields = Fields(TRIGGER, entries(outer), outer.position)
    return Trigger(
        enabled=True,
        batch=fields.boolean("batch", False),
        branches=_filter(fields.bound("branches")),
        paths=_filter(fields.bound("paths")),
    )


def check_pull_request(bound: Bound | None) -> None:
    """Raises PipelineError for a `pr` that can't be read. A good one has no effect, as on the service.

    Azure Repos doesn't use it, a branch policy says what a pull request starts:
    https://learn.microsoft.com/azure/devops/pipelines/repos/azure-repos-git#pr-triggers
    """
    outer = None if bound is None else resolve(bound)
    if outer is None:
        return
    if not isinstance(outer.node, Mapping):
        _branches_or_none(outer)
        return
    fields = Fields(PULL_REQUEST, entries(outer), outer.position)
    for key in ("autoCancel", "drafts"):
        fields.boolean(key, True)
    for key in ("branches", "paths"):
        _filter(fields.bound(key))


def _branches_or_none(bound: Bound) -> Filter | None:
    """The branches of a list; None for the word `none`."""
    if isinstance(bound.node, Sequence):
        return Filter(include=texts_of(bound))
    text = scalar(bound).text
    if text.lower() != "none":
        raise PipelineError(f"Unexpected value '{text}'. Allowed: none, a list of branches, a mapping", bound.position)
    return None


def _filter(bound: Bound | None) -> Filter:
    if bound is None:
        return Filter()
    outer = resolve(bound)
    if isinstance(outer.node, Sequence):  # pipeline resources know the short form
        return Filter(include=texts_of(outer))
    fields = Fields(FILTER, entries(outer), outer.position)
    return Filter(include=fields.texts("include") or (), exclude=fields.texts("exclude") or ())


def read_schedules(bound: Bound | None) -> tuple[Schedule, ...]:
    """`schedules`. Five fields of cron are asked for; what stands in them is for the one who starts runs."""
    result = []
    for item in items(bound) if bound else ():
        fields = Fields(SCHEDULE, entries(item), item.position)
        cron = fields.needed("cron")
        if len(cron.split()) != 5:
            raise PipelineError(f"'{cron}' is not a schedule: five fields are needed", fields.place("cron"))
        result.append(
            Schedule(
                cron=cron,
                display_name=fields.text("displayName"),
                branches=_filter(fields.bound("branches")),
                batch=fields.boolean("batch", False),
                always=fields.boolean("always", False),
                position=item.position,
            )
        )
    return tuple(result)


def read_resources(bound: Bound | None) -> tuple[tuple[RepositoryResource, ...], tuple[PipelineResource, ...]]:
    """Repositories and pipelines that a pipeline uses.

    Raises PipelineError for other kinds of resources, directives among them, and an alias that is there twice.
    """
    if bound is None:
        return (), ()
    outer = resolve(bound)
    if isinstance(outer.node, Sequence):
        message = "The older form of resources, a list, is not supported in the rehearsal: use 'repositories'"
        raise PipelineError(message, outer.position)
    _refuse_directives(outer.node)
    fields = Fields(RESOURCES, entries(outer), outer.position)
    listed, used = fields.bound("repositories"), fields.bound("pipelines")
    repositories = tuple(_repository(item) for item in (items(listed) if listed else ()))
    pipelines = tuple(_pipeline(item) for item in (items(used) if used else ()))
    seen = {"self"}
    named = [(item.alias, item.position) for item in repositories] + [(item.alias, item.position) for item in pipelines]
    for alias, position in named:
        if alias.lower() in seen:
            raise PipelineError(f"The resource '{alias}' is already defined", position)
        seen.add(alias.lower())
    return repositories, pipelines


def _refuse_directives(node: Node) -> None:
    """Resources may hold expressions as values, but nothing that decides which of them there are."""
    if isinstance(node, Mapping):
        for key, value in node.pairs:
            if key.is_expression:
                raise PipelineError("A template expression is not allowed in this context", key.position)
            _refuse_directives(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            if isinstance(item, Scalar) and item.is_expression:
                raise PipelineError("A template expression is not allowed in this context", item.position)
            _refuse_directives(item)


def _repository(bound: Bound) -> RepositoryResource:
    fields = Fields(REPOSITORY, entries(bound), bound.position)
    kind = fields.text("type", "git")
    if kind.lower() != "git":
        message = f"Repositories of the type '{kind}' are not supported in the rehearsal: only Azure Repos, 'git'"
        raise PipelineError(message, fields.place("type"))
    ref = fields.text("ref", _MAIN)
    return RepositoryResource(
        alias=_alias(fields, "repository"),
        name=fields.needed("name"),
        ref=ref if ref.startswith("refs/") else f"refs/heads/{ref}",
        position=bound.position,
    )


def _alias(fields: Fields, key: str) -> str:
    fields.needed(key)
    return fields.name(key)


def _pipeline(bound: Bound) -> PipelineResource:
    fields = Fields(PIPELINE_RESOURCE, entries(bound), bound.position)
    alias = _alias(fields, "pipeline")
    return PipelineResource(
        alias=alias,
        project=fields.optional_text("project"),
        source=fields.text("source") or alias,
        version=fields.optional_text("version"),
        branch=fields.optional_text("branch"),
        tags=fields.texts("tags") or (),
        trigger=_pipeline_trigger(fields.bound("trigger")),
        position=bound.position,
    )


def _pipeline_trigger(bound: Bound | None) -> PipelineTrigger | None:
    """`trigger` of a pipeline resource: `true`, `none`, or a mapping. Without branches every branch counts."""
    outer = None if bound is None else resolve(bound)
    if outer is None:
        return None
    if isinstance(outer.node, Mapping):
        fields = Fields(PIPELINE_TRIGGER, entries(outer), outer.position)
        return PipelineTrigger(
            enabled=fields.boolean("enabled", True),
            branches=_filter(fields.bound("branches")),
            stages=fields.texts("stages") or (),
            tags=fields.texts("tags") or (),
        )
    text = scalar(outer).text.lower()
    if text not in {"true", "none"}:
        raise PipelineError(f"Unexpected value '{text}'. Allowed: true, none, a mapping", outer.position)
    return PipelineTrigger(enabled=text == "true")
