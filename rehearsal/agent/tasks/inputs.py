"""Inputs of a step as its task sees them: aliases resolved, defaults filled in, macros replaced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rehearsal.agent.tasks.known import Task

_TRUE = {"true", "1", "y", "yes", "on"}


class InputError(Exception):
    """An input is missing or has a value that isn't possible."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The values of a step's inputs by their own names. `unknown`: names in the step that the task doesn't have."""

    values: Mapping[str, str]
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, given: Mapping[str, str], expand: Callable[[str], str]) -> "Inputs":
        """The inputs of a step.

        Args:
            task: what they are for.
            given: what the step says.
            expand: replaces `$(name)`.

        Raises:
            InputError: one that the task needs isn't there, or isn't one of those it knows.
        """
        values = {each.name: expand(each.default) for each in task.inputs}
        unknown = []
        for name, value in given.items():
            declared = task.input(name)
            if declared is None:
                unknown.append(name)
            else:
                values[declared.name] = expand(value).strip()
        for each in task.inputs:
            value = values[each.name]
            if each.required and not value:
                raise InputError(f"Input required: {each.name}")
            if each.options and value and value.lower() not in {option.lower() for option in each.options}:
                raise InputError(f"Input {each.name} is one of {', '.join(each.options)}, not '{value}'")
            if each.refuses(value):
                has = ", ".join(each.supported)
                raise InputError(f"'{value}' as input {each.name} is not supported in the rehearsal; it has: {has}")
        return cls(values, tuple(unknown))

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def flag(self, name: str) -> bool:
        """Whether an input is true."""
        return self.values[name].lower() in _TRUE

    def choice(self, name: str) -> str:
        """The value of an input with options, in lower case."""
        return self.values[name].lower()
