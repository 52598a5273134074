"""YAML with positions: what a file of a pipeline says, before anything in it is understood.

Azure Pipelines reads less than YAML: no anchors, no complex keys, no tags
(https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/). What it doesn't read is refused here.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import yaml

from rehearsal.agent.language.errors import PipelineError, Position

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")
LARGEST_NUMBER = Decimal(2**96 - 1)  # System.Decimal.MaxValue
_MAX_FILE = 20 * 1024 * 1024  # "No more than 20 megabytes of memory consumed while parsing the YAML" (templates page)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One value as text, and as what it is for an expression.

    `expanded` says that it is the result of an expression: it isn't read for `${{ }}` once more.
    """

    text: str
    value: object
    position: Position
    expanded: bool = False

    @property
    def is_expression(self) -> bool:
        """Whether there is something to evaluate in it."""
        return not self.expanded and "${{" in self.text


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list. Two lists are the same for `eq` only if they are one and the same, as in the service."""

    items: "tuple[Node, ...]"
    position: Position


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Keys and values in the order of the file."""

    pairs: "tuple[tuple[Scalar, Node], ...]"
    position: Position

    def get(self, key: str) -> "Node | None":
        """The value of a key, or None. Keys of objects are case-sensitive in the service."""
        return next((value for name, value in self.pairs if name.text == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


def typed(text: str) -> object:
    """What a plain scalar is for an expression: a boolean, a number, or text. Nothing (null) is the empty text.

    The service binds leaves of `object` parameters like this; a quoted scalar is always text.
    """
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if text in {"", "~"} or text.lower() == "null":
        return ""
    return Decimal(text) if _NUMBER.match(text) and abs(Decimal(text)) <= LARGEST_NUMBER else text


def read(text: str, file: str) -> Node:
    """Reads a file. `file` is the name that errors carry.

    Raises PipelineError for text that isn't YAML, several documents, anchors, tags, complex and repeated keys. Keys of
    one mapping may not differ in case only. Two equal `${{ }}` keys are allowed: both are evaluated.
    """
    if len(text) > _MAX_FILE:
        raise PipelineError("Maximum object size exceeded: the file has more than 20 megabytes", Position(file, 1, 1))
    try:
        # Every scalar stays text: the service has its own opinion of types.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        return _node(root, file) if root is not None else Mapping((), Position(file, 1, 1))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        raise PipelineError(f"{error.problem or error.context}", place) from error
    except yaml.YAMLError as error:  # a character that YAML doesn't allow
        raise PipelineError(str(error).splitlines()[0], Position(file, 1, 1)) from error
    except RecursionError as error:
        raise PipelineError("Maximum object depth exceeded", Position(file, 1, 1)) from error


def _node(node: yaml.Node, file: str, seen: set[int] | None = None) -> Node:
    place = Position(file, node.start_mark.line + 1, node.start_mark.column + 1)
    seen = set() if seen is None else seen
    if id(node) in seen:
        raise PipelineError("Anchors are not supported. Remove the anchor and its alias", place)
    seen.add(id(node))
    if not node.tag.startswith("tag:yaml.org,2002:"):
        raise PipelineError(f"The tag '{node.tag}' is not supported", place)
    if isinstance(node, yaml.ScalarNode):
        return Scalar(node.value, typed(node.value) if node.style is None else node.value, place)
    if isinstance(node, yaml.SequenceNode):
        return Sequence(tuple(_node(item, file, seen) for item in node.value), place)
    pairs: list[tuple[Scalar, Node]] = []
    names: set[str] = set()
    for key, value in node.value:
        name = _node(key, file, seen)
        if not isinstance(name, Scalar):
            raise PipelineError("Expected a scalar value: a key can't be a list or a mapping", name.position)
        if name.text.lower() in names and not name.is_expression:
            raise PipelineError(f"'{name.text}' is already defined", name.position)
        names.add(name.text.lower())
        pairs.append((name, _node(value, file, seen)))
    return Mapping(tuple(pairs), place)
