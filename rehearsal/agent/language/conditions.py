"""Conditions of stages, jobs and steps, and values `$[ ]`: what is evaluated while a run goes on.

https://learn.microsoft.com/azure/devops/pipelines/process/conditions and
https://learn.microsoft.com/azure/devops/pipelines/process/expressions#job-status-functions. Which names there are
depends on the place, as in the service: conditions know dependencies but not `parameters`; `counter` and `resources`
are for values `$[ ]` alone; the condition of a step knows variables only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from rehearsal.agent.language import values
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.expressions import Context, Environment
from rehearsal.agent.language.functions import GENERAL, Argument, Function
from rehearsal.agent.language.syntax import Arity, parse

Result = Literal["Succeeded", "SucceededWithIssues", "Skipped", "Failed", "Canceled", "Abandoned"]
Counter = Callable[[str, int], int]  # prefix and first value: the number of this run

_SUCCEEDED = {"Succeeded", "SucceededWithIssues"}
_NO_ARGUMENTS = Arity(0, 0)


@dataclass(frozen=True, slots=True)
class StepContexts:
    """What the condition of a step knows: the variables, and how its job stands so far."""

    variables: Mapping[str, str]
    job_status: Result = "Succeeded"


@dataclass(frozen=True, slots=True)
class GraphContexts:
    """What the condition of a stage or a job knows.

    `results`: those of everything it depends on, directly or not, by name. `dependencies` and `stage_dependencies`: see
    `outcomes`. `canceled`: somebody has canceled the run.
    """

    variables: Mapping[str, str]
    results: Mapping[str, Result]
    dependencies: Mapping[str, object] = field(default_factory=dict)
    stage_dependencies: Mapping[str, object] = field(default_factory=dict)
    start_time: datetime | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True)
class ValueContexts:
    """What a value `$[ ]` knows. `counter` is asked once for each evaluation. At the root there are no dependencies."""

    variables: Mapping[str, str]
    counter: Counter
    start_time: datetime
    resources: Mapping[str, object] = field(default_factory=dict)
    dependencies: Mapping[str, object] = field(default_factory=dict)
    stage_dependencies: Mapping[str, object] = field(default_factory=dict)


def evaluate(condition: str | None, contexts: StepContexts | GraphContexts) -> bool:
    """Whether a stage, job or step runs. No condition is `succeeded()`; a condition of one's own takes its place.

    Raises ExpressionError for one that can't be evaluated, e.g. `gt(1, 'x')`: the service then abandons the job.
    """
    environment = _of_step(contexts) if isinstance(contexts, StepContexts) else _of_graph(contexts)
    return values.to_boolean(environment.evaluate(condition or "succeeded()"))


def evaluate_value(value: str, contexts: ValueContexts) -> str:
    """The value of a variable: what `$[ expression ]` is worth as text, or else the value itself.

    Raises ExpressionError for an expression that can't be evaluated.
    """
    expression = _runtime_expression(value)
    return value if expression is None else values.to_text(_of_value(contexts).evaluate(expression))


def check_condition(condition: str, *, of_step: bool) -> None:
    """Raises ExpressionError for a condition that can't be read or names what such a condition doesn't know."""
    environment = _of_step(StepContexts({})) if of_step else _of_graph(GraphContexts({}, {}))
    parse(condition, environment.vocabulary)


def check_runtime_value(value: str, *, root: bool) -> None:
    """Raises ExpressionError for a `$[ ]` that can't be read or names what isn't known at the root, or below."""
    expression = _runtime_expression(value)
    if expression is not None:
        environment = _of_value(ValueContexts({}, lambda _, seed: seed, datetime.min))  # nothing is evaluated
        known = {**environment.contexts}
        if root:
            del known["dependencies"], known["stagedependencies"]
        parse(expression, Environment(known, environment.functions).vocabulary)


def _runtime_expression(value: str) -> str | None:
    """The expression of a value; it must be the whole value, otherwise it is text."""
    text = value.strip()
    return text[2:-1] if text.startswith("$[") and text.endswith("]") else None


def _of_step(contexts: StepContexts) -> Environment:
    status = contexts.job_status
    answers = {
        "always": True,
        "canceled": status == "Canceled",
        "failed": status == "Failed",
        "succeeded": status in _SUCCEEDED,
        "succeededorfailed": status in _SUCCEEDED | {"Failed"},
    }
    functions: dict[str, tuple[Arity, Function]] = {**GENERAL}
    for name, answer in answers.items():
        functions[name] = (_NO_ARGUMENTS, _constant(answer))
    return Environment({"variables": Context(contexts.variables)}, functions)


def _constant(answer: object) -> Function:
    return lambda _: answer


def _of_graph(contexts: GraphContexts) -> Environment:
    known: dict[str, object] = {
        "variables": Context(contexts.variables),
        "dependencies": contexts.dependencies,
        "stagedependencies": contexts.stage_dependencies,
        "pipeline": Context({"startTime": contexts.start_time}),
    }
    functions: dict[str, tuple[Arity, Function]] = {
        **GENERAL,
        "always": (_NO_ARGUMENTS, _constant(True)),
        "canceled": (_NO_ARGUMENTS, _constant(contexts.canceled)),
        "failed": (Arity(0, None), _status(contexts, _failed)),
        "succeeded": (Arity(0, None), _status(contexts, _succeeded)),
        "succeededorfailed": (Arity(0, None), _status(contexts, _succeeded_or_failed)),
    }
    return Environment(known, functions)


def _status(contexts: GraphContexts, decide: Callable[[list[Result | None]], bool]) -> Function:
    """A status function: of all dependencies, or of those named. A name that isn't one of them has no result."""
    results = Context(contexts.results)

    def function(arguments: list[Argument]) -> bool:
        if contexts.canceled and decide is not _failed:
            return False
        if not arguments:
            return decide(list(results.values()))
        return decide([results.get(values.to_text(argument())) for argument in arguments])

    return function


def _failed(results: list[Result | None]) -> bool:
    return "Failed" in results


def _succeeded(results: list[Result | None]) -> bool:
    return all(result in _SUCCEEDED for result in results)


def _succeeded_or_failed(results: list[Result | None]) -> bool:
    """At least one has run; with nothing to depend on, yes. If all were skipped the service says no."""
    return not results or any(result in _SUCCEEDED | {"Failed"} for result in results)


def _of_value(contexts: ValueContexts) -> Environment:
    known: dict[str, object] = {
        "variables": Context(contexts.variables),
        "resources": Context(contexts.resources),
        "pipeline": Context({"startTime": contexts.start_time}),
        "dependencies": contexts.dependencies,
        "stagedependencies": contexts.stage_dependencies,
    }
    return Environment(known, {**GENERAL, "counter": (Arity(1, 2), _counter(contexts.counter))})


def _counter(counter: Counter) -> Function:
    def function(arguments: list[Argument]) -> Decimal:
        prefix = values.to_text(arguments[0]())
        # The service takes one argument too; what it begins with then isn't documented.
        seed = values.to_number(arguments[1]()) if len(arguments) > 1 else Decimal(0)
        if seed != int(seed):
            raise ExpressionError(f"The seed of a counter must be a whole number, not {seed}")
        return Decimal(counter(prefix, int(seed)))

    return function
