"""Typed parameters of pipelines and templates: what is declared, and what a caller gives.

https://learn.microsoft.com/azure/devops/pipelines/process/runtime-parameters and
https://learn.microsoft.com/azure/devops/pipelines/process/template-parameters. A scalar is bound by its text: `007`
given to a string stays `007`. Each file has its own parameters; nothing of the caller's is seen in a template.
"""

import json
from collections.abc import Mapping as MappingLike
from dataclasses import dataclass

from rehearsal.agent.language import expansion, values
from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.expressions import StrictContext
from rehearsal.agent.language.nodes import Mapping, Node, Scalar, Sequence, read
from rehearsal.agent.language.reading import PARAMETER, Keys

_LISTS = {"stepList": "steps", "jobList": "jobs", "deploymentList": "jobs", "stageList": "stages"}
_SINGLE = {"step", "job", "deployment", "stage"}
_SCALAR = {"string", "number", "boolean"}
TYPES = {*_LISTS, *_SINGLE, *_SCALAR, "object", "stringList"}
# The schema's other types choose something in a web page, or belong to containers.
REFUSED_TYPES = {"container", "containerList", "environment", "filePath", "pool", "secureFile", "serviceConnection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One declared parameter. Without a default a value must be given. `allowed` None: every value of the type."""

    name: str
    type: str
    default: Node | None
    allowed: tuple[Scalar, ...] | None
    position: Position


def declared(node: Node | None, *, in_template: bool) -> tuple[Parameter, ...]:
    """Reads `parameters:`. In templates also the older form, a mapping of names to defaults.

    Raises PipelineError for unknown types and keys, a name that is there twice and a default that doesn't fit.
    """
    if node is None:
        return ()
    if isinstance(node, Mapping) and (in_template or not node.pairs):
        return tuple(_untyped(key, value) for key, value in node.pairs)
    if not isinstance(node, Sequence):
        raise PipelineError("Expected a sequence of parameters", node.position)
    result: dict[str, Parameter] = {}
    for item in node.items:
        parameter = _declaration(item, in_template=in_template)
        if parameter.name.lower() in result:
            message = f"The '{parameter.name}' parameter is declared more than once in the parameter list."
            raise PipelineError(message, parameter.position)
        result[parameter.name.lower()] = parameter
        if parameter.default is not None:
            _bound(parameter, parameter.default)
    return tuple(result.values())


def _untyped(key: Scalar, value: Node) -> Parameter:
    return Parameter(
        name=key.text, type="legacyObject", default=_literal(value), allowed=None,
        position=key.position,
    )  # fmt: skip


def _declaration(node: Node, *, in_template: bool) -> Parameter:
    if not isinstance(node, Mapping):
        raise PipelineError("Expected a mapping", node.position)
    keys = Keys(PARAMETER, [(key, value) for key, value in node.pairs], node.position)
    name, kind, allowed = keys.get("name"), keys.get("type"), keys.get("values")
    if name is None:
        raise PipelineError("A parameter needs a name", node.position)
    kind_name = "string" if kind is None else _text(kind)
    if kind is not None and kind_name in REFUSED_TYPES:
        raise PipelineError(f"Parameters of the type '{kind_name}' are not supported in the rehearsal", kind.position)
    if kind is not None and kind_name not in TYPES | ({"legacyObject"} if in_template else set()):
        raise PipelineError(f"Unexpected value '{kind_name}'", kind.position)
    display = keys.get("displayName")
    if display is not None:
        _text(display)  # a label of the page for queueing, which asks for no parameters here
    default = keys.get("default")
    return Parameter(
        name=_text(name),
        type=kind_name,
        default=None if default is None else _literal(default),
        allowed=None if allowed is None else _allowed(allowed),
        position=node.position,
    )


def _text(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text
    raise PipelineError("Expected a scalar value", node.position)


def _allowed(node: Node) -> tuple[Scalar, ...]:
    if not isinstance(node, Sequence):
        raise PipelineError("Expected a sequence", node.position)
    for item in node.items:
        _text(item)
    return tuple(item for item in node.items if isinstance(item, Scalar))


def _literal(node: Node) -> Node:
    """A default as it stands. It may hold no expression but one that is a text in quotes, to write `${{` itself."""
    if isinstance(node, Scalar) and node.is_expression:
        text = expansion.quoted_text(node)
        if text is None:
            raise PipelineError("A template expression is not allowed in this context", node.position)
        return Scalar(text, text, node.position, expanded=True)
    if isinstance(node, Sequence):
        return Sequence(tuple(map(_literal, node.items)), node.position)
    if isinstance(node, Mapping):
        for key, _ in node.pairs:
            if key.is_expression:
                raise PipelineError("A template expression is not allowed in this context", key.position)
        return Mapping(tuple((key, _literal(value)) for key, value in node.pairs), node.position)
    return node


def bind(
    parameters: tuple[Parameter, ...], given: MappingLike[str, Node], position: Position, *, strict: bool
) -> StrictContext[object]:
    """The context `parameters` of a file. `position` is that of the caller, `given` its values, expanded.

    Raises PipelineError for a value that is missing, doesn't fit its type or isn't among the allowed ones, and, if
    `strict`, for one that isn't declared. A template that declares nothing takes everything, as in the service.
    """
    values_given = {name.lower(): (name, value) for name, value in given.items()}
    result: dict[str, object] = {}
    for parameter in parameters:
        _, value = values_given.pop(parameter.name.lower(), ("", parameter.default))
        if value is None:
            raise PipelineError(f"A value for the '{parameter.name}' parameter must be provided.", position)
        result[parameter.name] = _bound(parameter, value)
    for name, value in values_given.values():
        if strict:
            raise PipelineError(f"Unexpected parameter '{name}'", value.position)
    return StrictContext(result)


def _bound(parameter: Parameter, node: Node) -> object:
    kind = parameter.type
    if kind == "object":
        return values.unwrap(node)
    if kind == "legacyObject":
        return values.unwrap(_texts(node))
    if kind == "stringList":
        return _string_list(parameter, node)
    if kind in _LISTS or kind in _SINGLE:
        if not isinstance(node, Sequence if kind in _LISTS else Mapping):
            message = f"The '{parameter.name}' parameter is not a valid {kind[0].upper()}{kind[1:]}."
            raise PipelineError(message, node.position)
        return node
    if not isinstance(node, Scalar):
        raise PipelineError(f"The '{parameter.name}' parameter is not a valid {kind.title()}.", node.position)
    value = _scalar_of(parameter, kind, node)
    _check_allowed(parameter, kind, node, value)
    return value


def _scalar_of(parameter: Parameter, kind: str, node: Scalar) -> object:
    if kind == "string":
        return _source_text(node)
    number = values.parse_number(node.text) if node.text else None
    if kind == "number" and number is not None:
        return number
    if kind == "boolean" and node.text.lower() in {"true", "false"}:
        return node.text.lower() == "true"
    message = f"The '{parameter.name}' parameter value '{node.text}' is not a valid {kind.title()}."
    raise PipelineError(message, node.position)


def _source_text(node: Scalar) -> str:
    """The text of a scalar; `null` in plain style is nothing."""
    return "" if node.value == "" else node.text


def _check_allowed(parameter: Parameter, kind: str, node: Scalar, value: object) -> None:
    """`values:` are compared after conversion, and with their case."""
    if parameter.allowed is not None:
        allowed = [_scalar_of(parameter, kind, item) for item in parameter.allowed]
        if value not in allowed:
            message = f"The '{parameter.name}' parameter value '{node.text}' is not a valid value."
            raise PipelineError(message, node.position)


def _string_list(parameter: Parameter, node: Node) -> Node:
    if not isinstance(node, Sequence):
        shown = f" value '{node.text}'" if isinstance(node, Scalar) else ""
        raise PipelineError(f"The '{parameter.name}' parameter{shown} is not a valid StringList.", node.position)
    for item in node.items:
        if not isinstance(item, Scalar):
            raise PipelineError(f"The '{parameter.name}' parameter is not a valid StringList.", item.position)
        _check_allowed(parameter, "string", item, _source_text(item))
    return _texts(node)


def _texts(node: Node) -> Node:
    """The same with text in the place of numbers and booleans."""
    if isinstance(node, Sequence):
        return Sequence(tuple(map(_texts, node.items)), node.position)
    if isinstance(node, Mapping):
        return Mapping(tuple((key, _texts(value)) for key, value in node.pairs), node.position)
    text = _source_text(node)
    return Scalar(text, text, node.position, expanded=True)


def from_queue(parameters: tuple[Parameter, ...], given: MappingLike[str, object]) -> dict[str, Node]:
    """The values given when a run is queued. Text given for an object or list is JSON, as in the service's REST API.

    Raises PipelineError, without a position, for a parameter that isn't declared.
    """
    types = {parameter.name.lower(): parameter.type for parameter in parameters}
    result: dict[str, Node] = {}
    for name, value in given.items():
        if name.lower() not in types:
            raise PipelineError(f"Unexpected parameter '{name}'")
        place = Position(f"parameter '{name}'", 1, 1)
        if isinstance(value, str) and types[name.lower()] in _SCALAR:
            result[name] = Scalar(value, value, place, expanded=True)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            result[name] = expansion.frozen(read(text, place.file))
    return result
