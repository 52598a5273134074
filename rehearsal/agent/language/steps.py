"""Steps of a job: https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps."""

import re
from typing import Any

from rehearsal.agent.language.conditions import check_condition
from rehearsal.agent.language.errors import ExpressionError, PipelineError, Position
from rehearsal.agent.language.expansion import Bound
from rehearsal.agent.language.fields import Fields
from rehearsal.agent.language.plan import (
    CheckoutStep,
    DownloadStep,
    PublishStep,
    ScriptStep,
    Shell,
    Step,
    TaskStep,
)
from rehearsal.agent.language.reading import REFUSED_STEPS, STEPS
from rehearsal.agent.language.templates import Element, condition_text, elements

_SHELLS: dict[str, Shell] = {"script": "script", "bash": "bash", "pwsh": "pwsh", "powershell": "powershell"}
_TASK = re.compile(r"(?P<name>[^@\s]+)@(?P<version>[0-9]+(\.[0-9]+){0,2})\Z")
_CHECKOUT_INPUTS = (
    "clean",
    "fetchDepth",
    "fetchFilter",
    "fetchTags",
    "lfs",
    "persistCredentials",
    "submodules",
    "path",
    "sparseCheckoutDirectories",
    "sparseCheckoutPatterns",
    "workspaceRepo",
)


def read_steps(bound: Bound) -> tuple[Step, ...]:
    """The steps of a list, those of templates among them.

    Raises PipelineError for steps that aren't understood, and for a name that two steps have.
    """
    steps = tuple(_step(element) for element in elements(bound, "steps"))
    names: set[str] = set()
    for step in steps:
        if step.name and step.name.lower() in names:
            message = f"The step name {step.name} appears more than once. Step names must be unique within a job."
            raise PipelineError(message, step.position)
        names.add((step.name or "").lower())
    return steps


def checked_condition(fields: Fields, *, of_step: bool) -> str | None:
    """The condition as text. Raises PipelineError for one that can't be read, or names what isn't known there."""
    condition = condition_text(fields.bound("condition"))
    if condition is not None:
        try:
            check_condition(condition, of_step=of_step)
        except ExpressionError as error:
            raise PipelineError(str(error), fields.place("condition")) from error
    return condition


def _step(element: Element) -> Step:
    for key, _ in element.pairs:
        if key.text in REFUSED_STEPS:
            message = f"'{key.text}' steps are not supported in the rehearsal: {REFUSED_STEPS[key.text]}"
            raise PipelineError(message, key.position)
    kind = next((key for key in element.keys if key in STEPS), None)
    if kind is None:
        shown = element.keys[0] if element.pairs else ""
        raise PipelineError(f"Unexpected value '{shown}'", element.position)
    fields = Fields(STEPS[kind], element.pairs, element.position)
    common = _common(fields)
    match kind:
        case "task":
            return _task(fields, common)
        case "checkout":
            inputs = {key: fields.text(key) for key in _CHECKOUT_INPUTS if key in fields}
            return CheckoutStep(repository=fields.needed("checkout"), inputs=inputs, **common)
        case "download":
            return DownloadStep(
                source=fields.needed("download"),
                artifact=fields.optional_text("artifact"),
                patterns=fields.optional_text("patterns"),
                **common,
            )
        case "publish":
            return PublishStep(path=fields.needed("publish"), artifact=fields.optional_text("artifact"), **common)
        case _:
            return _script(_SHELLS[kind], fields, common)


def _task(fields: Fields, common: dict[str, Any]) -> TaskStep:
    text = fields.text("task")
    found = _TASK.match(text)
    if not found:
        raise PipelineError(
            f"A task is written Name@Version, e.g. UsePythonVersion@0, not '{text}'", fields.place("task")
        )
    return TaskStep(task=found["name"], version=found["version"], inputs=fields.mapping("inputs"), **common)


def _script(shell: Shell, fields: Fields, common: dict[str, Any]) -> ScriptStep:
    return ScriptStep(
        shell=shell,
        script=fields.text(shell),
        working_directory=fields.optional_text("workingDirectory"),
        fail_on_stderr=fields.optional_text("failOnStderr"),
        **common,
    )


def _common(fields: Fields) -> dict[str, Any]:
    """What all steps have, as arguments of their classes."""
    return {
        "name": fields.name("name") or None,
        "display_name": fields.optional_text("displayName"),
        "condition": checked_condition(fields, of_step=True),
        "continue_on_error": fields.boolean("continueOnError", False),
        "enabled": fields.boolean("enabled", True),
        "env": fields.mapping("env"),
        "timeout_minutes": fields.integer("timeoutInMinutes", 0),
        "retries_on_failure": fields.integer("retryCountOnTaskFailure", 0),
        "position": fields.position,
    }


def _unwritten(position: Position) -> dict[str, Any]:
    return {
        "name": None, "display_name": None, "condition": None, "continue_on_error": False, "enabled": True, "env": {},
        "timeout_minutes": 0, "retries_on_failure": 0, "position": position,
    }  # fmt: skip


def with_checkout(steps: tuple[Step, ...], position: Position) -> tuple[Step, ...]:
    """The steps of a regular job: it checks out `self` first if no step says something about it."""
    if any(isinstance(step, CheckoutStep) for step in steps):
        return steps
    return (CheckoutStep(repository="self", inputs={}, **_unwritten(position)), *steps)


def with_downloads(steps: tuple[Step, ...], pipelines: tuple[str, ...], position: Position) -> tuple[Step, ...]:
    """The steps of a `deploy` hook: they begin with all artifacts if no step says something about it.

    https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-download
    """
    if any(isinstance(step, DownloadStep) for step in steps):
        return steps
    implicit = (
        DownloadStep(source=source, artifact=None, patterns=None, **_unwritten(position))
        for source in ("current", *pipelines)
    )
    return (*implicit, *steps)
