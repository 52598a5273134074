"""The tasks that this agent can run, with their inputs as Microsoft declares them.

https://learn.microsoft.com/azure/devops/pipelines/tasks/reference; names, aliases and defaults are those of `task.json`
of each task in https://github.com/microsoft/azure-pipelines-tasks/tree/master/Tasks. A pipeline that uses any other
task is refused before its run starts; nothing is skipped silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.plan import CheckoutStep, Job, Pipeline, ScriptStep, TaskStep, job_steps


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `aliases` are other names of it in YAML; `options` the only values, in any case; () means any.

    `unsupported`: those of the options that this agent can't honour.
    """

    name: str
    aliases: tuple[str, ...] = ()
    default: str = ""
    required: bool = False
    options: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()

    @property
    def supported(self) -> tuple[str, ...]:
        """The options that this agent has."""
        return tuple(option for option in self.options if option not in self.unsupported)

    def refuses(self, value: str) -> bool:
        """Whether a value is one that the task knows and this agent doesn't."""
        return value.lower() in {option.lower() for option in self.unsupported}


@dataclass(frozen=True, slots=True)
class Task:
    """One task in one major version. `unsupported`: inputs with a meaning that this agent can't give them."""

    name: str
    version: int
    title: str
    description: str
    inputs: tuple[Input, ...]
    unsupported: tuple[str, ...] = ()

    def input(self, name: str) -> Input | None:
        """The input of this name or alias, whatever its case."""
        wanted = name.lower()
        return next((each for each in self.inputs if wanted in {known.lower() for known in _names(each)}), None)

    def names(self) -> list[str]:
        """All names and aliases of the inputs."""
        return [name for each in self.inputs for name in _names(each)]


def _names(declared: Input) -> tuple[str, ...]:
    return (declared.name, *declared.aliases)


_BASH = Task(
    "Bash",
    3,
    "Bash",
    "Run a Bash script on macOS, Linux, or Windows",
    (
        Input("targetType", default="filePath", options=("filePath", "inline")),
        Input("filePath"),
        Input("arguments"),
        Input("script"),
        Input("workingDirectory", ("cwd",)),
        Input("failOnStderr", default="false"),
        Input("bashEnvValue"),
    ),
)
_COMMAND_LINE = Task(
    "CmdLine",
    2,
    "Command line",
    "Run a command line script using Bash on Linux and macOS and cmd.exe on Windows",
    (
        Input("script", required=True),
        Input("workingDirectory", ("cwd",)),
        Input("failOnStderr", default="false"),
    ),
)
_AZURE_CLI = Task(
    "AzureCLI",
    2,
    "Azure CLI",
    "Run Azure CLI commands against an Azure subscription in a Shell script",
    (
        Input("connectedServiceNameARM", ("azureSubscription",), required=True),
        Input(
            "scriptType",
            required=True,
            options=("ps", "pscore", "batch", "bash"),
            unsupported=("ps", "pscore", "batch"),
        ),
        Input("scriptLocation", default="scriptPath", required=True, options=("inlineScript", "scriptPath")),
        Input("scriptPath"),
        Input("inlineScript"),
        Input("scriptArguments", ("arguments",)),
        Input("powerShellErrorActionPreference", default="stop", options=("stop", "continue", "silentlyContinue")),
        Input("addSpnToEnvironment", default="false"),
        Input("useGlobalConfig", default="false"),
        Input("cwd", ("workingDirectory",)),
        Input("failOnStandardError", default="false"),
        Input("powerShellIgnoreLASTEXITCODE", default="false"),
        Input("visibleAzLogin", default="true"),
        Input("allowNoSubscriptions", default="false"),
        Input("keepAzSessionActive", default="false"),
    ),
    unsupported=("powerShellErrorActionPreference", "powerShellIgnoreLASTEXITCODE"),
)
_USE_PYTHON = Task(
    "UsePythonVersion",
    0,
    "Use Python version",
    "Use the specified version of Python from the tool cache, optionally adding it to the PATH",
    (
        Input("versionSpec", default="3.x", required=True),
        Input("disableDownloadFromRegistry", default="false"),
        Input("allowUnstable", default="false"),
        Input("githubToken"),
        Input("addToPath", default="true"),
        Input("architecture", default="x64", options=("x86", "x64")),
    ),
    unsupported=("disableDownloadFromRegistry", "githubToken"),  # nothing is downloaded
)
_PUBLISH_TESTS = Task(
    "PublishTestResults",
    2,
    "Publish Test Results",
    "Publish test results to Azure Pipelines",
    (
        Input(
            "testRunner",
            ("testResultsFormat",),
            "JUnit",
            True,
            ("JUnit", "NUnit", "VSTest", "XUnit", "CTest"),
            unsupported=("NUnit", "VSTest", "XUnit", "CTest"),
        ),
        Input("testResultsFiles", default="**/TEST-*.xml", required=True),
        Input("searchFolder", default="$(System.DefaultWorkingDirectory)"),
        Input("mergeTestResults", default="false"),
        Input("failTaskOnFailedTests", default="false"),
        Input("failTaskOnFailureToPublishResults", default="false"),
        Input("failTaskOnMissingResultsFile", default="false"),
        Input("testRunTitle"),
        Input("platform", ("buildPlatform",)),
        Input("configuration", ("buildConfiguration",)),
        Input("publishRunAttachments", default="true"),
    ),
    unsupported=("publishRunAttachments",),
)
_PUBLISH_COVERAGE = Task(
    "PublishCodeCoverageResults",
    1,
    "Publish code coverage results",
    "Publish Cobertura or JaCoCo code coverage results from a build",
    (
        Input(
            "codeCoverageTool",
            default="JaCoCo",
            required=True,
            options=("Cobertura", "JaCoCo"),
            unsupported=("JaCoCo",),
        ),
        Input("summaryFileLocation", required=True),
        Input("pathToSources"),
        Input("reportDirectory"),
        Input("additionalCodeCoverageFiles"),
        Input("failIfCoverageEmpty", default="false"),
    ),
    unsupported=("pathToSources", "reportDirectory", "additionalCodeCoverageFiles"),
)
_PUBLISH_ARTIFACT = Task(
    "PublishPipelineArtifact",
    1,
    "Publish Pipeline Artifacts",
    "Publish (upload) a file or directory as a named artifact for the current run",
    (
        Input("path", ("targetPath",), "$(Pipeline.Workspace)", True),
        Input("artifactName", ("artifact",)),
        Input(
            "artifactType",
            ("publishLocation",),
            "pipeline",
            True,
            ("pipeline", "filepath"),
            unsupported=("filepath",),
        ),
        Input("fileSharePath"),
        Input("parallel", default="false"),
        Input("parallelCount", default="8"),
        Input("properties"),
    ),
    unsupported=("fileSharePath", "parallel", "parallelCount", "properties"),
)
_DOWNLOAD_ARTIFACT = Task(
    "DownloadPipelineArtifact",
    2,
    "Download Pipeline Artifacts",
    "Download build and pipeline artifacts",
    (
        Input("source", ("buildType",), "current", True, ("current", "specific")),
        Input("project"),
        Input("pipeline", ("definition",)),
        Input("preferTriggeringPipeline", ("specificBuildWithTriggering",), "false"),
        Input("runVersion", ("buildVersionToDownload",), "latest", options=("latest", "latestFromBranch", "specific")),
        Input("runBranch", ("branchName",), "refs/heads/main"),
        Input("runId", ("pipelineId", "buildId")),
        Input("tags"),
        Input("allowPartiallySucceededBuilds", default="false"),
        Input("allowFailedBuilds", default="false"),
        Input("artifact", ("artifactName",)),
        Input("patterns", ("itemPattern",), "**"),
        Input("path", ("targetPath", "downloadPath"), "$(Pipeline.Workspace)", True),
    ),
)

KNOWN: Mapping[str, Task] = {
    f"{task.name}@{task.version}": task
    for task in (
        _BASH,
        _COMMAND_LINE,
        _AZURE_CLI,
        _USE_PYTHON,
        _PUBLISH_TESTS,
        _PUBLISH_COVERAGE,
        _PUBLISH_ARTIFACT,
        _DOWNLOAD_ARTIFACT,
    )
}
"""`Name@Version` of every task that can be run."""

CHECKOUT = Task("Checkout", 1, "Get sources", "Get sources from a repository", ())
"""What `checkout` is carried out by; nobody can name it."""

_SHELLS = ("script", "bash")
_CHECKOUT_INPUTS = ("clean", "fetchDepth", "fetchTags", "persistCredentials", "path")
_OFF = ("false", "")


def find(step: TaskStep) -> Task | None:
    """The task of a step. Its name counts whatever the case; of its version the first number."""
    wanted = f"{step.task}@{step.version.partition('.')[0]}".lower()
    return next((task for name, task in KNOWN.items() if name.lower() == wanted), None)


def check(pipeline: Pipeline) -> None:
    """Refuses a pipeline that an agent couldn't carry out.

    Raises:
        PipelineError: a step whose task isn't there, or with an input that can't be honoured, or with such a value of
            one. With its place. What a variable holds isn't known yet; the task refuses it when it runs.
    """
    for stage in pipeline.stages:
        for job in stage.jobs:
            for step in job_steps(job):
                if isinstance(step, TaskStep):
                    _check_task(step, job)
                elif isinstance(step, ScriptStep) and step.shell not in _SHELLS:
                    message = f"'{step.shell}' steps are not supported in the rehearsal: there is no PowerShell"
                    raise PipelineError(message, step.position)
                elif isinstance(step, CheckoutStep):
                    _check_checkout(step)


def _check_checkout(step: CheckoutStep) -> None:
    for name, value in step.inputs.items():
        if name not in _CHECKOUT_INPUTS and value.lower() not in _OFF:
            message = f"'{name}' of checkout is not supported in the rehearsal; it has: {', '.join(_CHECKOUT_INPUTS)}"
            raise PipelineError(message, step.position)


def _check_task(step: TaskStep, job: Job) -> None:
    task = find(step)
    if task is None:
        # The service's own words; what it says after them is where to get the task.
        message = (
            f"A task is missing. The pipeline references a task called '{step.task}'. This usually indicates the task "
            "isn't installed, and you may be able to install it from the Marketplace: "
            f"https://marketplace.visualstudio.com. (Task version {step.version}, job '{job.name}', "
            f"step '{step.name or ''}'.) The rehearsal has: {', '.join(KNOWN)}."
        )
        raise PipelineError(message, step.position)
    values = {each.name: (each.name, each.default) for each in task.inputs}
    for name, value in step.inputs.items():
        found = task.input(name)
        if found is not None:
            values[found.name] = name, value.strip()
            if found.name in task.unsupported:
                message = f"Input '{name}' of {task.name}@{task.version} is not supported in the rehearsal"
                raise PipelineError(message, step.position)
    for each in task.inputs:
        name, value = values[each.name]
        if each.refuses(value):
            message = (
                f"'{value}' as input '{name}' of {task.name}@{task.version} is not supported in the rehearsal; it has: "
                f"{', '.join(each.supported)}"
            )
            raise PipelineError(message, step.position)
