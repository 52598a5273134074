"""`CmdLine@2` and `Bash@3`: scripts, as the published tasks run them on Linux.

https://github.com/microsoft/azure-pipelines-tasks/blob/master/Tasks/CmdLineV2/cmdline.ts and
https://github.com/microsoft/azure-pipelines-tasks/blob/master/Tasks/BashV3/bash.ts
"""

import shlex
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs

_BANNER = "========================== Starting Command Output ==========================="


def command_line(step: StepContext, inputs: Inputs) -> None:
    """Runs a script with Bash, without its profiles."""
    _run_text(step, inputs, ["--noprofile", "--norc"], [])


def bash(step: StepContext, inputs: Inputs) -> None:
    """Runs a script, or a file with arguments, with Bash."""
    if inputs.choice("targetType") == "inline":
        _run_text(step, inputs, [], [])
        return
    if not inputs["filePath"]:
        raise TaskFailedError("Input required: filePath")
    file = _folder(step, "") / inputs["filePath"]
    if not file.is_file():
        raise TaskFailedError(f"Invalid file path '{inputs['filePath']}'.")
    step.output(_BANNER)
    _run(step, inputs, [bash_program(), str(file), *shlex.split(inputs["arguments"])])


def _run_text(step: StepContext, inputs: Inputs, options: list[str], arguments: list[str]) -> None:
    if not inputs["script"]:
        raise TaskFailedError("Input required: script")
    text = inputs["script"].replace("\r\n", "\n")
    step.output("Generating script.")
    if "\n" not in text and "##vso[" not in text.lower():
        step.output("Script contents:")
        step.output(text)
    file = step.job.directories.temp / f"{uuid.uuid4()}.sh"
    file.write_text(text)
    step.output(_BANNER)
    _run(step, inputs, [bash_program(), *options, str(file), *arguments])


def _run(step: StepContext, inputs: Inputs, command: Sequence[str]) -> None:
    extra = {"BASH_ENV": inputs["bashEnvValue"]} if inputs.values.get("bashEnvValue") else None
    strict = inputs.flag("failOnStderr")
    code = step.run(command, _folder(step, inputs["workingDirectory"]), environment=extra, stderr_is_error=strict)
    if code:
        # A shell says 128 and the signal's number of what a signal has ended; the agent's own answer for the shell
        # itself isn't known, so it is said the same way.
        raise TaskFailedError(f"Bash exited with code '{code if code > 0 else 128 - code}'.")
    if strict and step.wrote_errors:
        raise TaskFailedError("Bash wrote one or more lines to the standard error stream.")


def _folder(step: StepContext, given: str) -> Path:
    return Path(step.job.variable("System.DefaultWorkingDirectory"), given)


def bash_program() -> str:
    """Where Bash is.

    Raises:
        TaskFailedError: nowhere on the PATH.
    """
    found = shutil.which("bash")
    if found is None:
        raise TaskFailedError("Unable to locate executable file: 'bash'")
    return found
