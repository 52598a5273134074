"""Whether stages and jobs can be put in an order: unique names, known dependencies, a beginning, no circle.

https://learn.microsoft.com/azure/devops/pipelines/process/stages and .../phases; sentences are the service's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.outcomes import ancestors
from rehearsal.agent.language.plan import Job, Stage

_Node = TypeVar("_Node", bound=Stage | Job)


def in_order(stages: Sequence[Stage], position: Position) -> tuple[Stage, ...]:
    """The stages, `depends_on` with the names as they are written where they are defined: case doesn't count in them.

    `position` is that of the whole. Raises PipelineError for the first mistake among stages, then among jobs of each.
    """
    twice = "The stage name {} appears more than once. Stage names must be unique within a pipeline."
    ordered = _checked(stages, _Words("stage", "Stage", "The pipeline", twice), position)
    result: list[Stage] = []
    for stage in ordered:
        label = f"Stage {stage.name}"
        twice = f"{label} job {{}} appears more than once. Job names must be unique within a stage."
        jobs = _checked(stage.jobs, _Words("job", f"{label} job", label, twice), stage.position)
        result.append(replace(stage, jobs=jobs))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class _Words:
    noun: str  # of what is ordered
    subject: str  # the same at the beginning of a sentence
    whole: str  # what it is part of
    twice: str


def _checked(nodes: Sequence[_Node], words: _Words, position: Position) -> tuple[_Node, ...]:
    names: dict[str, str] = {}
    for node in nodes:
        if node.name.lower() in names:
            raise PipelineError(words.twice.format(node.name), node.position)
        names[node.name.lower()] = node.name
    if all(node.depends_on for node in nodes):
        place = nodes[0].position if nodes else position
        raise PipelineError(f"{words.whole} must contain at least one {words.noun} with no dependencies.", place)
    edges = {node.name.lower(): [name.lower() for name in node.depends_on] for node in nodes}
    for node in nodes:
        for name in edges[node.name.lower()]:
            if name in edges and node.name.lower() in {name, *ancestors(name, edges)}:
                circle = f"depends on {words.noun} {names[name]} which creates a cycle in the dependency graph."
                raise PipelineError(f"{words.subject} {node.name} {circle}", node.position)
    for node in nodes:
        for name in node.depends_on:
            if name.lower() not in names:
                message = f"{words.subject} {node.name} depends on unknown {words.noun} {name}."
                raise PipelineError(message, node.position)
    return tuple(replace(node, depends_on=tuple(names[name.lower()] for name in node.depends_on)) for node in nodes)
