"""Variables of a pipeline, a stage or a job, as the files define them.

https://learn.microsoft.com/azure/devops/pipelines/process/variables: a mapping, or a list of variables, groups and
templates. Within `${{ }}` a variable is known from the line after it; values of groups are known at run time only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rehearsal.agent.language.conditions import check_runtime_value
from rehearsal.agent.language.errors import ExpressionError, PipelineError, Position
from rehearsal.agent.language.expansion import Bound, entries, resolve, scalar
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.fields import Fields
from rehearsal.agent.language.nodes import Mapping as MappingNode
from rehearsal.agent.language.plan import Variable
from rehearsal.agent.language.reading import GROUP, VARIABLE
from rehearsal.agent.language.templates import elements


@dataclass(frozen=True, slots=True)
class GroupVariable:
    """One variable of a variable group."""

    value: str = field(repr=False)
    secret: bool = False


FindGroup: TypeAlias = Callable[[str], Mapping[str, GroupVariable] | None]


class KnownVariables(Context[str]):
    """The context `variables` of `${{ }}`. It grows while variables are read.

    Asking for a variable of a group is an error: the service's documentation doesn't say whether such a value is known
    before the run, and nothing would be the worst answer.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        of_file = isinstance(variables, KnownVariables)
        super().__init__({} if of_file else variables)
        self._groups: dict[str, str] = {}
        if isinstance(variables, KnownVariables):
            self._items.update(variables._items)
            self._groups.update(variables._groups)

    def add(self, variable: Variable) -> None:
        """Makes a variable known."""
        self._groups.pop(variable.name.lower(), None)
        self._items.pop(variable.name.lower(), None)
        if variable.group is None:
            self._items[variable.name.lower()] = (variable.name, variable.value)
        else:
            self._groups[variable.name.lower()] = variable.group

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str) and key.lower() in self._groups:
            raise _of_group_only(key, self._groups[key.lower()])
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        for key, group in self._groups.items():
            raise _of_group_only(key, group)
        return super().__iter__()


def _of_group_only(name: str, group: str) -> ExpressionError:
    message = f"The variable '{name}' comes from the group '{group}' and isn't known before the run"
    return ExpressionError(f"{message}: use $({name}), or variables['{name}'] in a condition")


def read_variables(
    bound: Bound | None, known: Mapping[str, str], find_group: FindGroup, *, root: bool
) -> tuple[tuple[Variable, ...], KnownVariables]:
    """The variables of a scope, and all that are known with them. `root`: of the pipeline itself.

    Raises PipelineError for a group that isn't there, for keys that aren't understood, and for a `$[ ]` that can't be
    read or names what isn't known in such a place.
    """
    growing = KnownVariables(known)
    result: list[Variable] = []
    if bound is not None:
        for variable in _variables(bound.within(growing), find_group):
            if variable.group is None:
                try:
                    check_runtime_value(variable.value, root=root)
                except ExpressionError as error:
                    raise PipelineError(str(error), variable.position) from error
            growing.add(variable)
            result.append(variable)
    return tuple(result), growing


def _variables(bound: Bound, find_group: FindGroup) -> Iterator[Variable]:
    outer = resolve(bound)
    if isinstance(outer.node, MappingNode):
        for key, value in entries(outer):
            yield Variable(name=key.text, value=scalar(value).text, position=value.position)
        return
    for element in elements(outer, "variables"):
        if "group" in element.keys:
            fields = Fields(GROUP, element.pairs, element.position)
            yield from _of_group(fields.needed("group"), find_group, element.position)
            continue
        fields = Fields(VARIABLE, element.pairs, element.position)
        yield Variable(
            name=fields.needed("name"),
            value=fields.text("value"),
            readonly=fields.boolean("readonly", False),
            position=fields.place("value"),
        )


def _of_group(name: str, find_group: FindGroup, position: Position) -> Iterator[Variable]:
    group = find_group(name)
    if group is None:
        raise PipelineError(f"Variable group {name} was not found or is not authorized for use", position)
    for key, variable in group.items():
        yield Variable(name=key, value=variable.value, secret=variable.secret, group=name, position=position)
