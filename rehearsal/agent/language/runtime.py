"""Variables while a job runs: macros `$(name)`, the environment of steps, what steps set.

https://learn.microsoft.com/azure/devops/pipelines/process/variables, and the agent's sources for what the page leaves
out: https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/Variables.cs and
.../src/Microsoft.VisualStudio.Services.Agent/Util/VarUtil.cs. Values of variables are expanded in each other before
each step; then the texts of the step are, once: what was put in isn't looked at again. An unknown name stays as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rehearsal.agent.language.conditions import ValueContexts, evaluate_value
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.plan import Variable

_DEEPEST = 50  # variables in variables, as in the agent; deeper ones stay as they are
_OVERRIDABLE = {"system.debug", "build.clean"}  # the predefined variables that aren't read-only


class ReadOnlyError(Exception):
    """A step sets a variable that is read-only."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Overwriting readonly variable '{name}' is not permitted.")
        self.name = name


@dataclass(frozen=True, slots=True)
class RunVariable:
    """A variable with its value as it was set."""

    name: str
    value: str = field(repr=False)  # it may be secret
    secret: bool = False
    readonly: bool = False


def environment_name(name: str) -> str:
    """The environment variable of a variable: upper case, `_` for dots and blanks, nothing else changed."""
    return name.replace(".", "_").replace(" ", "_").upper()


def resolved(variables: Iterable[Variable], contexts: ValueContexts) -> tuple[Variable, ...]:
    """Variables with their `$[ ]` worked out, one after the other: each one sees those before it.

    Raises ExpressionError for an expression that can't be evaluated.
    """
    known = {name.lower(): value for name, value in contexts.variables.items()}
    result: list[Variable] = []
    for variable in variables:
        value = evaluate_value(variable.value, replace(contexts, variables=known))
        result.append(replace(variable, value=value))
        known[variable.name.lower()] = value
    return tuple(result)


class RunVariables:
    """All variables of one job. Names are found whatever their case."""

    def __init__(self, predefined: Mapping[str, str], *layers: Iterable[Variable]) -> None:
        """`layers` from the least to the most important: pipeline settings, queue time, pipeline, stage, job, leg.

        The service's own variables win over all, but `System.Debug` and `Build.Clean`.
        """
        fixed = {name.lower() for name in predefined} - _OVERRIDABLE
        self._variables = {
            name.lower(): RunVariable(name, value, readonly=name.lower() in fixed) for name, value in predefined.items()
        }
        for variable in (variable for layer in layers for variable in layer):
            key = variable.name.lower()
            if key not in fixed:
                self._variables[key] = RunVariable(variable.name, variable.value, variable.secret, variable.readonly)
        self._expanded: dict[str, RunVariable] | None = None

    def assign(self, name: str, value: str, *, secret: bool = False, readonly: bool = False) -> None:
        """What `task.setvariable` does. Once secret, a variable stays it. Raises ReadOnlyError."""
        old = self._variables.get(name.lower())
        if old is not None and old.readonly:
            raise ReadOnlyError(name)
        secret = secret or (old is not None and old.secret)
        self._variables[name.lower()] = RunVariable(name, value, secret, readonly)
        self._expanded = None

    def provide(self, name: str, value: str) -> None:
        """Sets one of the service's own variables, e.g. `Agent.JobStatus`, which steps can't set."""
        self._variables[name.lower()] = RunVariable(name, value, readonly=True)
        self._expanded = None

    def values(self) -> Mapping[str, str]:
        """Names and values, expanded: the context `variables` of conditions of steps."""
        return Context({variable.name: variable.value for variable in self._all().values()})

    def secrets(self) -> set[str]:
        """The values that no log may show: those of secret variables, as they were set and expanded."""
        both = (*self._variables.values(), *self._all().values())
        return {variable.value for variable in both if variable.secret and variable.value}

    def environment(self) -> dict[str, str]:
        """The environment variables of a step; secret ones aren't among them."""
        return {
            environment_name(variable.name): variable.value for variable in self._all().values() if not variable.secret
        }

    def expand(self, text: str) -> str:
        """A text of a step with each `$(name)` that is known replaced, once."""
        known = self._all()
        return _replaced(text, lambda name: found.value if (found := known.get(name.lower())) else None)

    def _all(self) -> dict[str, RunVariable]:
        if self._expanded is None:
            self._expanded = {key: self._expansion(variable) for key, variable in self._variables.items()}
        return self._expanded

    def _expansion(self, variable: RunVariable) -> RunVariable:
        """A variable with those that its value names. What names itself, or goes too deep, stays as it was set."""
        secret = variable.secret

        def value_of(current: RunVariable, path: tuple[str, ...]) -> str:
            nonlocal secret
            secret = secret or current.secret
            if len(path) > _DEEPEST:
                raise _UnexpandableError

            def lookup(name: str) -> str | None:
                key = name.lower()
                if key in path:
                    raise _UnexpandableError
                found = self._variables.get(key)
                return None if found is None else value_of(found, (*path, key))

            return _replaced(current.value, lookup)

        try:
            return replace(variable, value=value_of(variable, (variable.name.lower(),)), secret=secret)
        except _UnexpandableError:
            return replace(variable, secret=secret)


class _UnexpandableError(Exception):
    """A variable that can't be expanded."""


def _replaced(text: str, lookup: Callable[[str], str | None]) -> str:
    index = 0
    while (start := text.find("$(", index)) >= 0 and (end := text.find(")", start)) >= 0:
        name = text[start + 2 : end]
        value = lookup(name) if name else None
        if value is None:
            index = start + 1
        else:
            text = text[:start] + value + text[end + 1 :]
            index = start + len(value)
    return text
