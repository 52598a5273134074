"""What each logging command does.

https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands and the agent's sources:
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/TaskCommandExtension.cs,
.../Build/BuildCommandExtension.cs, .../Build/ArtifactCommandExtension.cs. A command that can't be carried out makes the
step fail. One that the rehearsal doesn't have is warned of, as is one that nobody knows.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from rehearsal.agent import artifacts
from rehearsal.agent.commands import LoggingCommand
from rehearsal.agent.language.conditions import Result
from rehearsal.agent.step_context import StepContext

Handler = Callable[[StepContext, LoggingCommand], None]

_RESULTS: dict[str, Result] = {
    "succeeded": "Succeeded",
    "succeededwithissues": "SucceededWithIssues",
    "failed": "Failed",
    "canceled": "Canceled",
    "cancelled": "Canceled",
    "skipped": "Skipped",
}
_REFERENCE = "Please reference documentation (http://go.microsoft.com/fwlink/?LinkId=817296)"
_AREAS = {"task", "build", "artifact", "results", "codecoverage", "telemetry", "release"}
_ABSENT = {
    "task.logdetail", "task.setendpoint", "task.settaskvariable", "build.uploadlog", "artifact.associate",
    "results.publish", "codecoverage.publish", "codecoverage.enable", "telemetry.publish", "release.updatereleasename",
}  # fmt: skip
_MASKED_VALUE = "***"


class CommandError(Exception):
    """A command that can't be carried out. The message is the agent's."""


def execute(step: StepContext, command: LoggingCommand, line: str) -> None:
    """Carries out a command of a step. Whatever is wrong becomes an issue of the step."""
    name = f"{command.area}.{command.event}"
    if name in _ABSENT:
        step.warning(f"##vso[{name}] is not supported in the rehearsal and was ignored.")
        return
    if command.area not in _AREAS:
        step.warning(f"Cannot find command extension for ##vso[{command.area}.command]. {_REFERENCE}")
        return
    try:
        handler = _HANDLERS.get(name)
        if handler is None:
            shown = f"{command.area.capitalize()} command extension"
            raise CommandError(f"##vso[{name}] is not a recognized command for {shown}. {_REFERENCE}.")
        handler(step, command)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a command, the output has to be read on
        # The value of a variable that couldn't be set may be the secret that it was to become.
        secret = command.flag("issecret") or name == "task.setsecret"
        shown = f"{line[: line.find(']') + 1]}{_MASKED_VALUE}" if secret else line
        step.error(f"Unable to process command '{shown}' successfully. {_REFERENCE}")
        step.error(str(error))
        step.complete("Failed")


def _set_variable(step: StepContext, command: LoggingCommand) -> None:
    name = command.properties.get("variable", "")
    if not name:
        raise CommandError("Required field 'variable' is missing in ##vso[task.setvariable] command.")
    job, secret, output = step.job, command.flag("issecret"), command.flag("isoutput")
    if secret:
        step.job.masker.add(command.data)  # first of all: what follows may speak of it
        if "\n" in command.data and job.variable("SYSTEM_UNSAFEALLOWMULTILINESECRET").lower() != "true":
            raise CommandError("Secrets cannot contain multiple lines")
    output = output or name.lower() in step.output_names
    if not output:
        job.variables.assign(name, command.data, secret=secret, readonly=command.flag("isreadonly"))
    else:
        step.output_names.add(name.lower())
        # What goes to later jobs can't be changed any more in this one.
        key = f"{step.record.ref_name}.{name}"
        job.variables.assign(key, command.data, secret=secret, readonly=True)
        value: object = {"value": command.data, "secret": True} if secret else command.data
        job.outputs[f"{job.request.output_prefix}{key}"] = value
    job.hide_secrets()


def _set_secret(step: StepContext, command: LoggingCommand) -> None:
    step.job.masker.add(command.data)


def _log_issue(step: StepContext, command: LoggingCommand) -> None:
    kind = command.properties.get("type", "").lower()
    if not kind:
        step.warning("Can't create TaskIssue from logging event.")
        return
    if kind not in ("error", "warning"):
        raise CommandError(f"issue type {command.properties['type']} is not an expected issue type.")
    data = {name: value for name, value in command.properties.items() if name != "type"}
    message, source = command.data, data.get("sourcepath")
    if source:
        place = ",".join(data[name] for name in ("linenumber", "columnnumber") if name in data)
        message = f"{source}({place}): {kind} {data.get('code', '')}: {message}"
    step.issue("error" if kind == "error" else "warning", message, data)


def _complete(step: StepContext, command: LoggingCommand) -> None:
    result = _RESULTS.get(command.properties.get("result", "").lower())
    if result is None:
        raise CommandError("Command doesn't have valid result value.")
    step.complete(result)
    step.progress(100, step.job.masker.mask(command.data))


def _progress(step: StepContext, command: LoggingCommand) -> None:
    value = command.properties.get("value", "")
    percent = int(value) if value.lstrip("-").isdecimal() else 0
    step.progress(min(max(percent, 0), 100), step.job.masker.mask(command.data))


def _prepend_path(step: StepContext, command: LoggingCommand) -> None:
    if not command.data:
        raise CommandError("Enter a valid value for 'prependpath'.")
    if command.data in step.job.path:
        step.job.path.remove(command.data)
    step.job.path.insert(0, command.data)


def _debug(step: StepContext, command: LoggingCommand) -> None:
    step.debug(command.data)


def _upload_summary(step: StepContext, command: LoggingCommand) -> None:
    # Only summaries and attachments of a type have a place in the service; both are attachments of the run.
    _attach(step, "summary", Path(command.data).name, command.data)


def _upload_file(step: StepContext, command: LoggingCommand) -> None:
    _attach(step, "file", Path(command.data).name, command.data)


def _add_attachment(step: StepContext, command: LoggingCommand) -> None:
    kind, name = command.properties.get("type", ""), command.properties.get("name", "")
    if not kind:
        raise CommandError("Can't add task attachment, attachment type is not provided.")
    if not name:
        raise CommandError("Can't add task attachment, attachment name is not provided.")
    for label, value in (("Type", kind), ("Name", name)):
        if "/" in value or "\0" in value:
            raise CommandError(f"{label} contains invalid characters. (/)")
    _attach(step, "summary" if kind == "Distributedtask.Core.Summary" else kind, name, command.data)


def _attach(step: StepContext, kind: str, name: str, file: str) -> None:
    path = Path(step.job.variable("System.DefaultWorkingDirectory"), file)
    if not file or not path.is_file():
        raise CommandError(
            "Cannot upload task attachment file, attachment file location is not specified or attachment file does not "
            "exist on disk."
        )
    content = path.read_bytes()
    if kind == "summary":  # shown to people, like a log
        content = step.job.masker.mask(content.decode("utf-8", "replace")).encode()
    step.job.client.attachment(step.job.request.id, kind, name, content)


def _update_build_number(step: StepContext, command: LoggingCommand) -> None:
    if not command.data:
        raise CommandError("Build number is required.")
    job = step.job
    job.rest.call("PATCH", f"build/builds/{job.request.run_id}", json={"buildNumber": command.data})
    job.variables.provide("Build.BuildNumber", command.data)


def _add_build_tag(step: StepContext, command: LoggingCommand) -> None:
    if not command.data:
        raise CommandError("Build tag is required.")
    step.job.rest.call("PUT", f"build/builds/{step.job.request.run_id}/tags/{quote(command.data, safe='')}")


def _upload_artifact(step: StepContext, command: LoggingCommand) -> None:
    name = command.properties.get("artifactname", "")
    if not name:
        raise CommandError("Artifact Name is required.")
    path = Path(step.job.variable("System.DefaultWorkingDirectory"), command.data)
    if not command.data or not path.exists():
        raise CommandError(f"Path does not exist: {command.data}")
    # Several uploads to one artifact, into folders of it, are something that only build artifacts have.
    artifacts.publish(step, name, path)


_HANDLERS: dict[str, Handler] = {
    "task.setvariable": _set_variable,
    "task.setsecret": _set_secret,
    "task.logissue": _log_issue,
    "task.issue": _log_issue,
    "task.complete": _complete,
    "task.setprogress": _progress,
    "task.prependpath": _prepend_path,
    "task.debug": _debug,
    "task.uploadsummary": _upload_summary,
    "task.uploadfile": _upload_file,
    "task.addattachment": _add_attachment,
    "build.uploadsummary": _upload_summary,
    "build.updatebuildnumber": _update_build_number,
    "build.addbuildtag": _add_build_tag,
    "artifact.upload": _upload_artifact,
}
