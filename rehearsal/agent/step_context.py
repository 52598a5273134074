"""One running step: its record and log, the processes that it starts, and what its output says to the agent."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from rehearsal.agent import commands
from rehearsal.agent.context import JobContext, worse
from rehearsal.agent.feed import Record
from rehearsal.agent.language.conditions import Result
from rehearsal.agent.language.plan import Step
from rehearsal.agent.processes import StepProcess

_HURRY = 0.2  # of the time after each signal, where the whole job's time is over
_LOOK_SECONDS = 0.2  # so often a running process is held against timeouts and cancellation


class TaskFailedError(Exception):
    """A task has failed. The message is an issue of the step; empty: that has been said already."""


class StepCanceledError(Exception):
    """The step has been ended, as its job is to end."""


class StepTimedOutError(Exception):
    """The step took longer than it may."""


class StepContext:
    """One step while it runs.

    Args:
        job: the job.
        step: as it stands in the pipeline.
        record: its record.
        env: its `env`, macros replaced.
        execute: carries out a logging command that a process has written, and gets its line too.
    """

    def __init__(
        self,
        job: JobContext,
        step: Step,
        record: Record,
        env: Mapping[str, str],
        execute: Callable[["StepContext", commands.LoggingCommand, str], None],
    ) -> None:
        self.job = job
        self.step = step
        self.record = record
        self.result: Result = "Succeeded"
        self.output_names: set[str] = set()
        self._env = env
        self._execute = execute
        self._lock = threading.RLock()  # standard output and errors are read by two threads
        minutes = step.timeout_minutes
        self._deadline = time.monotonic() + minutes * job.settings.minute if minutes else None
        # Whether a cancelled job ends this step: not if its condition holds even then.
        self.ends_with_job = True
        self.wrote_errors = False  # a process with `stderr_is_error` has written some
        self.timed_out = False

    # -- the log

    def output(self, text: str = "") -> None:
        """Writes to the log, masked."""
        self.job.feed.line(self.record.id, text)

    def section(self, text: str) -> None:
        self.output(f"##[section]{text}")

    def debug(self, text: str) -> None:
        """Writes to the log if the run is to tell everything."""
        if self.job.variable("System.Debug").lower() == "true":
            self.output(f"##[debug]{text}")

    def issue(self, kind: Literal["error", "warning"], message: str, data: dict[str, str] | None = None) -> None:
        """Writes an error or a warning to the log and to the step's record. It alone doesn't fail the step.

        Masked, `data` too: Azure's agent masks the message alone
        (https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/ExecutionContext.cs).
        """
        mask = self.job.masker.mask
        self.output(f"##[{kind}]{message}")
        with self._lock:
            self.record.add_issue(kind, mask(message), {name: mask(value) for name, value in (data or {}).items()})
        self.job.feed.update(self.record)

    def warning(self, message: str) -> None:
        self.issue("warning", message)

    def error(self, message: str) -> None:
        self.issue("error", message)

    def complete(self, result: Result) -> None:
        """Makes the result worse; it never gets better."""
        with self._lock:
            self.result = worse(self.result, result)

    def begin_again(self) -> None:
        """The step is tried once more; how it went before doesn't count."""
        self.result, self.wrote_errors = "Succeeded", False

    def progress(self, percent: int, operation: str | None) -> None:
        """Says how far the step is."""
        with self._lock:
            self.record.percent_complete = max(percent, self.record.percent_complete or 0)
            self.record.current_operation = operation or self.record.current_operation
        self.job.feed.update(self.record)

    def line(self, text: str) -> None:
        """Takes a line that a process has written: a logging command, or output."""
        # Commands and their order count; they are carried out one by one, and what follows sees their effect.
        with self._lock:
            command = commands.parse(text)
            if command is not None:
                self._execute(self, command, text)
                return
        if commands.KEYWORD in text:
            self.warning(
                f"'{text}' contains logging command keyword '##vso', but it's not a legal command. Please see the list "
                "of accepted commands: http://go.microsoft.com/fwlink/?LinkId=817296"
            )
        self.output(text)

    # -- processes

    def environment(self) -> dict[str, str]:
        """The environment of a process of this step: the agent's own, the variables, PATH, and `env` of the step.

        https://learn.microsoft.com/azure/devops/pipelines/process/variables#environment-variables
        """
        environment = {**self.job.base, **self.job.variables.environment(), "TF_BUILD": "True"}
        if self.job.path:
            environment["PATH"] = os.pathsep.join([*self.job.path, environment.get("PATH", os.defpath)])
        return {**environment, **self._env}

    def run(
        self,
        command: Sequence[str],
        folder: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        quiet: bool = False,
        stderr_is_error: bool = False,
        beside: str = "",
    ) -> int:
        """Runs a process to its end; gives its exit code.

        Args:
            command: program and arguments. It is shown in the log.
            folder: where; None: `System.DefaultWorkingDirectory`.
            environment: added to that of the step.
            quiet: its output isn't logging commands, and isn't shown unless it fails.
            stderr_is_error: each line of its standard error is an error in the log.
            beside: a name, for a process that runs while another one of the step does: neither ends the other.

        Raises:
            TaskFailedError: there is no such program or folder.
            StepCanceledError, StepTimedOutError: it was ended.
        """
        folder = folder or Path(self.job.variable("System.DefaultWorkingDirectory"))
        self.interruption()
        if not quiet:
            self.output(f"[command]{' '.join(command)}")
        held: list[str] = []
        try:
            process = StepProcess(
                command,
                folder=folder,
                environment={**self.environment(), **(environment or {})},
                mark=f"{self.job.mark}/{self.record.id}{f'/{beside}' if beside else ''}",
                output=held.append if quiet else self.line,
                errors=self._error_line if stderr_is_error else None,
            )
        except NotADirectoryError as error:
            raise TaskFailedError(f"Not found workingDirectory: {folder}") from error
        except FileNotFoundError as error:
            missing = command[0] if folder.is_dir() else f"workingDirectory: {folder}"
            raise TaskFailedError(f"Not found {missing}") from error
        except (OSError, ValueError) as error:  # ValueError: a variable that can't be one of the environment
            raise TaskFailedError(f"{command[0]} can't be started: {error}") from error
        try:
            while not process.ended.wait(_LOOK_SECONDS):
                self.interruption()
        except (StepCanceledError, StepTimedOutError):
            hurry = _HURRY if self.job.cancellation.over else 1.0
            process.interrupt(self.job.settings.sigint_seconds * hurry, self.job.settings.sigterm_seconds * hurry)
            process.finish()
            raise
        code, left = process.finish()
        for name in left:
            self.output(f"Terminate orphan process: {name}")
        if code and quiet:
            for text in held:
                self.output(text)
        return code

    def interruption(self) -> None:
        """Raises StepCanceledError or StepTimedOutError if the step is to end now."""
        cancellation = self.job.cancellation
        if cancellation.over or (cancellation.asked and self.ends_with_job):
            raise StepCanceledError(cancellation.reason)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise StepTimedOutError

    def _error_line(self, text: str) -> None:
        if commands.parse(text) is not None:
            self.line(text)
        else:
            self.wrote_errors = True
            self.output(f"##[error]{text}")
