"""Evaluating expressions: a tree, the contexts that it may name, and what it is worth.

https://learn.microsoft.com/azure/devops/pipelines/process/expressions. Which contexts and functions there are depends
on the place: see `compile_time`, and `conditions` and `runtime` for the places evaluated while a run goes on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from rehearsal.agent.language import values
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.functions import GENERAL, Argument, Function
from rehearsal.agent.language.nodes import Mapping as Node
from rehearsal.agent.language.syntax import Arity, Call, Index, Literal, Name, Tree, Vocabulary, parse

Item = TypeVar("Item")


class Context(Mapping[str, Item]):
    """Names that are found whatever their case, as in the contexts `variables` and `dependencies`."""

    def __init__(self, items: Mapping[str, Item] | None = None) -> None:
        self._items = {key.lower(): (key, value) for key, value in (items or {}).items()}

    def __getitem__(self, key: str) -> Item:
        return self._items[key.lower()][1]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._items

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)


class StrictContext(Context[Item]):
    """The context `parameters`: a name that isn't there is an error, not nothing."""

    def __getitem__(self, key: str) -> Item:
        if key not in self:
            raise ExpressionError(f"Key not found '{key}'")
        return super().__getitem__(key)


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may name in one place: contexts and functions, by their names in lower case."""

    contexts: Mapping[str, object]
    functions: Mapping[str, tuple[Arity, Function]] = field(default_factory=lambda: GENERAL)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names alone, for `syntax.parse`."""
        functions = {name: arity for name, (arity, _) in self.functions.items()}
        return Vocabulary(frozenset(self.contexts), functions)

    def evaluate(self, expression: str) -> object:
        """The value of an expression.

        Raises ExpressionError if it can't be read, names what isn't known here, or converts what can't be converted.
        """
        return values.unwrap(_evaluate(parse(expression, self.vocabulary), self))


class _Filtered(list[object]):
    """What `*` gives: an index on it applies to each of its elements."""


def _evaluate(tree: Tree, environment: Environment) -> object:
    keys: list[Tree | None] = []  # a chain may be long: it is walked, not descended
    while isinstance(tree, Index):
        keys.append(tree.key)
        tree = tree.target
    value = _operand(tree, environment)
    for key in reversed(keys):
        value = _filter(value) if key is None else _index(value, _evaluate(key, environment))
    return values.unwrap(value)


def _operand(tree: Literal | Name | Call, environment: Environment) -> object:
    if isinstance(tree, Literal):
        return tree.value
    if isinstance(tree, Name):
        return environment.contexts[tree.name]
    _, function = environment.functions[tree.function]
    return function([_argument(argument, environment) for argument in tree.arguments])


def _argument(tree: Tree, environment: Environment) -> Argument:
    return lambda: _evaluate(tree, environment)


def _filter(value: object) -> _Filtered:
    if not isinstance(value, _Filtered):
        return _Filtered(values.elements(value))
    return _Filtered(item for part in value for item in values.elements(part))


def _index(value: object, key: object) -> object:
    if isinstance(value, _Filtered):
        found = (_member(item, key) for item in value)
        return _Filtered(item for present, item in found if present)
    return _member(value, key)[1]


def _member(value: object, key: object) -> tuple[bool, object]:
    """Whether there is such a member, and the member. What isn't there is None, and so is a member of that."""
    if values.is_list(value):
        number = values.try_number(key)
        items = values.elements(value)
        if number is None or not 0 <= number < Decimal(len(items)):
            return False, None
        return True, items[int(number)]
    name = values.try_text(key)
    if name is None or not values.is_object(value):
        return False, None
    if isinstance(value, Node):
        node = value.get(name)
        return node is not None, values.unwrap(node)
    if isinstance(value, StrictContext):
        return True, values.unwrap(value[name])
    return (True, values.unwrap(value[name])) if isinstance(value, Mapping) and name in value else (False, None)


def compile_time(
    parameters: Mapping[str, object], variables: Mapping[str, object], loop: Mapping[str, object] | None = None
) -> Environment:
    """The place `${{ }}`: parameters, the variables known before the run, and the variables of `each`.

    https://learn.microsoft.com/azure/devops/pipelines/process/template-expressions
    """
    contexts: dict[str, object] = {"parameters": parameters, "variables": variables}
    contexts.update({name.lower(): value for name, value in (loop or {}).items()})
    return Environment(contexts)
