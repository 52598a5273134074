"""Templates put in: `- template: path` in lists of stages, jobs, steps and variables, and `extends`.

https://learn.microsoft.com/azure/devops/pipelines/process/templates
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.expansion import Bound, Entry, Scope, entries, expand, items, scalar
from rehearsal.agent.language.fields import Fields
from rehearsal.agent.language.nodes import Mapping, Node, Scalar
from rehearsal.agent.language.parameters import bind, declared
from rehearsal.agent.language.reading import REFERENCE, Section

Kind = Literal["stages", "jobs", "steps", "variables"]


@dataclass(frozen=True, slots=True)
class Element:
    """One mapping of a list, with its keys expanded."""

    pairs: tuple[Entry, ...]
    position: Position

    @property
    def keys(self) -> list[str]:
        """Its keys."""
        return [key.text for key, _ in self.pairs]


def elements(bound: Bound, kind: Kind) -> Iterator[Element]:
    """The mappings of a list, those of its templates in their place."""
    for item in items(bound):
        if not isinstance(item.node, Mapping):
            found = f"'{item.node.text}'" if isinstance(item.node, Scalar) else "a sequence"
            raise PipelineError(f"Unexpected value {found}: expected a mapping in {kind}", item.position)
        element = Element(tuple(entries(item)), item.position)
        if "template" not in element.keys:
            yield element
            continue
        root, scope = opened(Fields(REFERENCE, element.pairs, element.position), item.scope)
        section = Section(f"template for {kind}", frozenset({"parameters", kind}), {})
        fields = Fields(section, entries(Bound(root, scope)), root.position)
        body = fields.bound(kind)
        if body is None:
            raise PipelineError(f"A template that is used in {kind} must have '{kind}'", root.position)
        if kind == "variables" and isinstance(body.node, Mapping):
            for key, value in entries(body):
                yield _named(key, value)
        else:
            yield from elements(body, kind)


def _named(key: Scalar, value: Bound) -> Element:
    """A line of the short form of variables in the long one, so that both may be put together."""
    name = Scalar("name", "name", key.position, expanded=True)
    text = Scalar("value", "value", value.position, expanded=True)
    return Element(((name, Bound(key, value.scope)), (text, value)), key.position)


def opened(reference: Fields, scope: Scope) -> tuple[Mapping, Scope]:
    """The file that a reference names, and what is known in it: its own parameters, and the variables so far."""
    name = reference.needed("template")
    given = reference.bound("parameters")
    values: dict[str, Node] = {} if given is None else {key.text: expand(value) for key, value in entries(given)}
    file, root = scope.sources.template(name, scope.stack, reference.place("template"))
    if not isinstance(root, Mapping):
        raise PipelineError("Expected a mapping", root.position)
    declaration = root.get("parameters")
    parameters = bind(
        declared(declaration, in_template=True), values, reference.position, strict=declaration is not None
    )
    return root, Scope(scope.sources, (*scope.stack, file), parameters, scope.variables)


def condition_text(bound: Bound | None) -> str | None:
    """A condition as text; an empty one is none."""
    return None if bound is None else scalar(bound).text.strip() or None
