"""Template expressions: `${{ }}` in values and keys, `if`, `elseif`, `else`, `each` and `insert`.

https://learn.microsoft.com/azure/devops/pipelines/process/template-expressions. A file is expanded from the outside in,
level by level, because what a value may name depends on where it stands: variables of a stage are known in its jobs.
So a value that isn't expanded yet goes together with its scope.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingLike
from dataclasses import dataclass, field, replace

from rehearsal.agent.language import values
from rehearsal.agent.language.errors import ExpressionError, PipelineError, Position
from rehearsal.agent.language.expressions import Context, Environment, compile_time
from rehearsal.agent.language.functions import GENERAL
from rehearsal.agent.language.nodes import Mapping, Node, Scalar, Sequence
from rehearsal.agent.language.sources import SourceFile, Sources

_DIRECTIVE = re.compile(r"(if|elseif|each)\s+(.+)|(else|insert)(\s+.+)?", re.DOTALL)
_EACH = re.compile(r"(\S+)\s+in\s+(.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions in a place may name, and the files that led there."""

    sources: Sources
    stack: tuple[SourceFile, ...]
    parameters: MappingLike[str, object]
    variables: MappingLike[str, object]
    loop: MappingLike[str, object] = field(default_factory=Context)

    @property
    def environment(self) -> Environment:
        """For `${{ }}`."""
        return compile_time(self.parameters, self.variables, self.loop)


@dataclass(frozen=True, slots=True)
class Bound:
    """A value as the file has it, with the scope in which it is to be expanded."""

    node: Node
    scope: Scope

    @property
    def position(self) -> Position:
        """Where it stands."""
        return self.node.position

    def within(self, variables: MappingLike[str, object]) -> "Bound":
        """The same value with more variables known."""
        return Bound(self.node, replace(self.scope, variables=variables))


Entry = tuple[Scalar, Bound]


def resolve(bound: Bound) -> Bound:
    """A value whose outermost level is expanded: a single expression becomes what it is worth.

    A list or object stays one; everything else becomes text. Raises PipelineError for every mistake in an expression.
    """
    node = bound.node
    bound.scope.sources.count(node.position)
    if not isinstance(node, Scalar) or not node.is_expression:
        return bound
    parts = _parts(node)
    if len(parts) == 1 and not parts[0][0] and _DIRECTIVE.fullmatch(parts[0][1]):
        raise PipelineError(f"Unexpected value '{node.text}'", node.position)
    worth = [text if not inner else _evaluate(text, bound.scope, node.position) for inner, text in _split(parts)]
    if len(worth) == 1:
        return Bound(to_node(worth[0], node.position), bound.scope)
    try:
        text = "".join(map(values.to_text, worth))
    except ExpressionError as error:
        raise PipelineError(str(error), node.position) from error
    return Bound(Scalar(text, text, node.position, expanded=True), bound.scope)


def _split(parts: list[tuple[str, str]]) -> Iterator[tuple[bool, str]]:
    for literal, expression in parts:
        if literal:
            yield False, literal
        if expression:
            yield True, expression


def _parts(node: Scalar) -> list[tuple[str, str]]:
    """The pieces of a text: what stands before each expression, and the expression. The last one may have none."""
    text, parts, index = node.text, [], 0
    while (start := text.find("${{", index)) >= 0:
        end = _closing(text, start + 3)
        if end < 0:
            found = "An unescaped ${{ sequence was found, but the closing }} sequence was not found."
            raise PipelineError(f"The expression is not closed. {found}", node.position)
        # An empty expression must stay one: it is an error, not nothing.
        parts.append((text[index:start], text[start + 3 : end].strip() or " "))
        index = end + 2
    if text[index:]:
        parts.append((text[index:], ""))
    return parts


def _closing(text: str, start: int) -> int:
    """Where `}}` stands outside of quotes, or -1."""
    quoted = False
    for index in range(start, len(text)):
        if text[index] == "'":
            quoted = not quoted
        elif not quoted and text.startswith("}}", index):
            return index
    return -1


def _evaluate(expression: str, scope: Scope, position: Position) -> object:
    try:
        return scope.environment.evaluate(expression)
    except ExpressionError as error:
        raise PipelineError(str(error), position) from error


def to_node(value: object, position: Position) -> Node:
    """A value as part of a file. What came from a file keeps its place there, the rest gets `position`."""
    if isinstance(value, Sequence | Mapping):
        return value
    if values.is_list(value):
        return Sequence(tuple(to_node(item, position) for item in values.elements(value)), position)
    if values.is_object(value):
        pairs = ((to_scalar(key, position), to_node(item, position)) for key, item in values.members(value))
        return Mapping(tuple(pairs), position)
    return to_scalar(value, position)


def to_scalar(value: object, position: Position) -> Scalar:
    """The result of an expression that is neither list nor object. Nothing is the empty text."""
    text = values.to_text(value)
    return Scalar(text, "" if value is None else value, position, expanded=True)


def quoted_text(node: Scalar) -> str | None:
    """The text of `${{ 'text' }}`, the way to write what would be an expression otherwise; None for everything else."""
    parts = _parts(node)
    found = re.fullmatch("'(([^']|'')*)'", parts[0][1]) if len(parts) == 1 and not parts[0][0] else None
    return found[1].replace("''", "'") if found else None


def frozen(node: Node) -> Node:
    """The same with nothing to evaluate in it: what was given from outside is data."""
    if isinstance(node, Sequence):
        return Sequence(tuple(map(frozen, node.items)), node.position)
    if isinstance(node, Mapping):
        pairs = ((replace(key, expanded=True), frozen(value)) for key, value in node.pairs)
        return Mapping(tuple(pairs), node.position)
    return replace(node, expanded=True)


def scalar(bound: Bound) -> Scalar:
    """A value that must be text, a number or a boolean. Raises PipelineError for lists and mappings."""
    node = resolve(bound).node
    if isinstance(node, Scalar):
        return node
    kind = "mapping" if isinstance(node, Mapping) else "sequence"
    raise PipelineError(f"A {kind} was not expected", node.position)


def expand(bound: Bound) -> Node:
    """A value with everything in it expanded."""
    outer = resolve(bound)
    if isinstance(outer.node, Sequence):
        return Sequence(tuple(expand(item) for item in items(outer)), outer.position)
    if isinstance(outer.node, Mapping):
        return Mapping(tuple((key, expand(value)) for key, value in entries(outer)), outer.position)
    return outer.node


def items(bound: Bound) -> Iterator[Bound]:
    """The items of a list: expressions that are lists put their items there, `if` and `each` theirs.

    They come one after the other, so that a condition sees the variables that items before it have set. Raises
    PipelineError for what isn't a list.
    """
    outer = resolve(bound)
    if not isinstance(outer.node, Sequence):
        raise PipelineError("Expected a sequence", outer.position)
    chain = _Chain()
    for item in outer.node.items:
        directive = _directive(item.pairs[0][0]) if isinstance(item, Mapping) and len(item.pairs) == 1 else None
        if directive and directive[0] != "insert" and isinstance(item, Mapping):
            key, body = item.pairs[0]
            for chosen in _chosen(directive, key, Bound(body, outer.scope), chain):
                inner = resolve(chosen)
                yield from items(inner) if isinstance(inner.node, Sequence) else [inner]
            continue
        if directive:
            chain.end()
        inner = resolve(Bound(item, outer.scope))
        inserted = inner.node is not item and isinstance(inner.node, Sequence)
        yield from items(inner) if inserted else [inner]


def entries(bound: Bound) -> Iterator[Entry]:
    """The keys of a mapping with their values: `if`, `each` and `insert` put their keys there.

    They come one after the other, as with `items`. Raises PipelineError for what isn't a mapping, and for a key that is
    there twice, whatever its case.
    """
    outer = resolve(bound)
    if not isinstance(outer.node, Mapping):
        raise PipelineError("Expected a mapping", outer.position)
    seen: set[str] = set()
    for key, value in _entries(outer.node, outer.scope):
        if key.text.lower() in seen:
            raise PipelineError(f"'{key.text}' is already defined", key.position)
        seen.add(key.text.lower())
        yield key, value


def _entries(node: Mapping, scope: Scope) -> Iterator[Entry]:
    chain = _Chain()
    for key, value in node.pairs:
        directive = _directive(key)
        if directive is None:
            yield _key(Bound(key, scope)), Bound(value, scope)
            continue
        for chosen in _chosen(directive, key, Bound(value, scope), chain):
            yield from entries(chosen)


def _key(bound: Bound) -> Scalar:
    node = resolve(bound).node
    if not isinstance(node, Scalar):
        raise PipelineError("Expected a scalar value", bound.position)
    return node


def _directive(key: Scalar) -> tuple[str, str] | None:
    """The keyword and what follows it, if a key is a directive. Keywords are lower case."""
    if not key.is_expression:
        return None
    parts = _parts(key)
    found = _DIRECTIVE.fullmatch(parts[0][1]) if len(parts) == 1 and not parts[0][0] else None
    if not found:
        return None
    return (found[1], found[2]) if found[1] else (found[3], (found[4] or "").strip())


class _Chain:
    """An `if` with its `elseif` and `else`. Other items may stand between them, other directives may not."""

    def __init__(self) -> None:
        self._open = False
        self._taken = False

    def end(self) -> None:
        self._open = False

    def takes(self, keyword: str, condition: str, scope: Scope, position: Position) -> bool:
        if keyword != "if" and not self._open:
            raise PipelineError(f"The expression directive '{keyword}' is not supported in this context", position)
        earlier = keyword != "if" and self._taken
        self._open = keyword != "else"
        wins = not earlier and (
            keyword == "else" or values.to_boolean(_evaluate(condition, scope, position))
        )  # conditions after the one that won aren't evaluated
        self._taken = earlier or wins
        return wins


def _chosen(directive: tuple[str, str], key: Scalar, body: Bound, chain: _Chain) -> list[Bound]:
    """The bodies that a directive puts in its place, each with its scope."""
    keyword, rest = directive
    if keyword in {"else", "insert"} and rest:
        message = f"Exactly 0 parameter(s) were expected following the directive '{keyword}'"
        raise PipelineError(message, key.position)
    if keyword in {"if", "elseif", "else"}:
        return [body] if chain.takes(keyword, rest, body.scope, key.position) else []
    chain.end()
    return [body] if keyword == "insert" else _each(rest, key, body)


def _each(rest: str, key: Scalar, body: Bound) -> list[Bound]:
    found = _EACH.fullmatch(rest)
    if not found:
        message = "The expected format of an 'each' expression is: ${{ each <identifier> in <value> }}"
        raise PipelineError(message, key.position)
    name, expression = found[1], found[2]
    if not _NAME.match(name):
        raise PipelineError(f"Unrecognized value: '{name}'", key.position)
    if name.lower() in GENERAL:
        raise PipelineError(f"Expected '(' to follow a function: '{name}'", key.position)
    if name.lower() in body.scope.environment.contexts:
        message = f"The identifier '{name}' has already been defined within the current scope"
        raise PipelineError(message, key.position)
    collection = _evaluate(expression, body.scope, key.position)
    if values.is_list(collection):
        loop = values.elements(collection)
    elif values.is_object(collection):
        loop = [{"key": pair, "value": value} for pair, value in values.members(collection)]
    else:
        raise PipelineError(
            f"Expected a sequence or mapping. Actual value '{values.to_text(collection)}'", key.position
        )
    outer = body.scope
    return [Bound(body.node, replace(outer, loop=Context({**outer.loop, name: value}))) for value in loop]
