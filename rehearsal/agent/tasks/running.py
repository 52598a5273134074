"""Which task carries out a step, and with which inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.agent import artifacts
from rehearsal.agent.client import ServiceRefusalError
from rehearsal.agent.language.plan import CheckoutStep, DownloadStep, PublishStep, ScriptStep, Step, TaskStep
from rehearsal.agent.messages import JobRequest
from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks import azure_cli, coverage, python_version, scripts, test_results
from rehearsal.agent.tasks.checkout import checkout, target
from rehearsal.agent.tasks.inputs import InputError, Inputs
from rehearsal.agent.tasks.known import CHECKOUT, KNOWN, Task, find

Run = Callable[[StepContext, Inputs], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What a step comes to: its task and the inputs, macros not replaced yet."""

    task: Task
    inputs: Mapping[str, str]


def work_of(step: Step) -> Work | None:
    """The task of a step; None for a task that isn't known, which the service refuses before.

    The short forms are other ways to write tasks:
    https://learn.microsoft.com/azure/devops/pipelines/process/tasks
    """
    match step:
        case ScriptStep(shell="script" | "bash"):
            inputs = {"script": step.script}
            if step.shell == "bash":
                inputs["targetType"] = "inline"
            if step.working_directory is not None:
                inputs["workingDirectory"] = step.working_directory
            if step.fail_on_stderr is not None:
                inputs["failOnStderr"] = step.fail_on_stderr
            return Work(KNOWN["CmdLine@2" if step.shell == "script" else "Bash@3"], inputs)
        case CheckoutStep():
            return Work(CHECKOUT, {})
        case DownloadStep():
            return Work(KNOWN["DownloadPipelineArtifact@2"], {})
        case PublishStep():
            inputs = {"path": step.path, "artifactName": step.artifact or ""}
            return Work(KNOWN["PublishPipelineArtifact@1"], inputs)
        case TaskStep():
            task = find(step)
            return Work(task, step.inputs) if task else None
        case _:
            return None


def title(step: Step, request: JobRequest, *, several: bool) -> str:
    """What a step is called that was given no name to display: its task, or what it checks out."""
    if isinstance(step, CheckoutStep) and (repository := request.repositories.get(step.repository)):
        branch = repository.ref.removeprefix("refs/heads/")
        try:
            folder = target(repository, Path("/"), step.inputs.get("path", ""), several=several)
        except TaskFailedError:
            folder = Path("/s")
        return f"Checkout {repository.name}@{branch} to {folder.relative_to('/')}"
    work = work_of(step)
    return work.task.name if work else "Step"


def carry_out(step: StepContext, *, several: bool) -> None:
    """Does what the step says.

    Args:
        step: the step.
        several: the job checks out several repositories.

    Raises:
        TaskFailedError: it has failed.
        StepCanceledError, StepTimedOutError: it was ended.
    """
    work = work_of(step.step)
    if work is None:
        raise TaskFailedError("There is no such task on this agent.")
    _head(step, work.task)
    match step.step:
        case CheckoutStep():
            checkout(step, step.step, several=several)
            return
        case DownloadStep():
            _download_step(step, step.step)
            return
        case _:
            pass
    try:
        inputs = Inputs.of(work.task, work.inputs, step.job.variables.expand)
    except InputError as error:
        raise TaskFailedError(str(error)) from error
    if inputs.unknown:
        # Azure's agent says nothing of them, and hands them on to a task that doesn't read them.
        known = ", ".join(work.task.names())
        step.warning(f"Unexpected input(s) {', '.join(inputs.unknown)}; {work.task.name} has: {known}")
    TASKS[f"{work.task.name}@{work.task.version}"](step, inputs)


def _head(step: StepContext, task: Task) -> None:
    rule = "=" * 78
    shown = {
        "Task": task.title,
        "Description": task.description,
        "Version": f"{task.version}.0.0",
        "Author": "the rehearsal",
    }
    for line in (rule, *(f"{name:13}: {value}" for name, value in shown.items()), rule):
        step.output(line)


def _download_step(step: StepContext, plan: DownloadStep) -> None:
    job = step.job
    source = job.variables.expand(plan.source)
    artifact = job.variables.expand(plan.artifact) if plan.artifact else None
    chosen = job.variables.expand(plan.patterns) if plan.patterns else "**"
    if source == "none":
        return
    folder, run_id, project = job.directories.workspace, job.request.run_id, None
    if source != "current":
        run = job.request.pipelines.get(source)
        if run is None:
            raise TaskFailedError(f"The pipeline '{source}' is not a resource of this pipeline.")
        folder, run_id, project = folder / source, run.run_id, run.project_id
    artifacts.download(step, run_id=run_id, project=project, name=artifact, chosen=chosen, folder=folder, named=True)


def _publish_artifact(step: StepContext, inputs: Inputs) -> None:
    request = step.job.request
    # The service makes up a name that is unique in the run; how isn't documented.
    name = inputs["artifactName"] or f"{request.stage}.{request.name}.{step.record.ref_name}"
    path = Path(step.job.variable("System.DefaultWorkingDirectory"), inputs["path"])
    try:
        artifacts.publish(step, name, path)
    except ServiceRefusalError as error:
        raise TaskFailedError(str(error)) from error


def _download_artifact(step: StepContext, inputs: Inputs) -> None:
    job, name = step.job, inputs["artifact"] or None
    run_id, project = job.request.run_id, None
    if inputs.choice("source") == "specific":
        run_id, project = _specific(step, inputs)
    folder = job.directories.workspace / inputs["path"]
    # One artifact alone goes into the folder itself.
    artifacts.download(
        step, run_id=run_id, project=project, name=name, chosen=inputs["patterns"], folder=folder, named=name is None
    )


def _specific(step: StepContext, inputs: Inputs) -> tuple[int, str]:
    """The run that the inputs choose, and its project."""
    project, version = inputs["project"] or step.job.request.project.id, inputs.choice("runVersion")
    if inputs.flag("preferTriggeringPipeline"):
        for run in step.job.request.pipelines.values():
            if inputs["pipeline"] in (str(run.definition_id), run.definition_name):
                return run.run_id, run.project_id
    if version == "specific":
        if not inputs["runId"].isdecimal():
            raise TaskFailedError(f"runId must be the number of a run, not '{inputs['runId']}'")
        return int(inputs["runId"]), project
    query = {"definitions": inputs["pipeline"], "statusFilter": "completed", "$top": "1"}
    query["queryOrder"] = "finishTimeDescending"
    results = ["succeeded"]
    results += ["partiallySucceeded"] if inputs.flag("allowPartiallySucceededBuilds") else []
    results += ["failed"] if inputs.flag("allowFailedBuilds") else []
    query["resultFilter"] = ",".join(results)
    if version == "latestfrombranch":
        query["branchName"] = inputs["runBranch"]
    if inputs["tags"]:
        query["tagFilters"] = inputs["tags"]
    try:
        found = step.job.rest.call("GET", "build/builds", project=project, **query)["value"]
    except ServiceRefusalError as error:
        raise TaskFailedError(str(error)) from error
    if not found:
        raise TaskFailedError(f"No matching build of pipeline {inputs['pipeline']} was found.")
    return int(found[0]["id"]), project


TASKS: Mapping[str, Run] = {
    "Bash@3": scripts.bash,
    "CmdLine@2": scripts.command_line,
    "AzureCLI@2": azure_cli.run,
    "UsePythonVersion@0": python_version.use,
    "PublishTestResults@2": test_results.publish,
    "PublishCodeCoverageResults@1": coverage.publish,
    "PublishPipelineArtifact@1": _publish_artifact,
    "DownloadPipelineArtifact@2": _download_artifact,
}
"""What carries out each task of `KNOWN`."""
