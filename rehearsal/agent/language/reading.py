"""The keys of a pipeline: which are understood here and which are refused by name. No key is passed over in silence.

The names are those of the published schema (https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/); a test
holds these tables against it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.nodes import Scalar

Value = TypeVar("Value")

_CONTAINERS = "steps run on the agent itself, containers are not there"
_NO_CAPABILITIES = "agents have no capabilities to choose among"
_NO_POWERSHELL = "there is no PowerShell"
_NO_RESOURCES = "environments have no resources"
_DEPRECATED = "it is deprecated, see the documentation for what took its place"


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of mapping in a pipeline. `refused` gives the reasons for keys that the service knows and this doesn't."""

    name: str
    understood: frozenset[str]
    refused: Mapping[str, str]


def _section(name: str, understood: str, refused: Mapping[str, str] | None = None) -> Section:
    return Section(name, frozenset(understood.split()), refused or {})


class Keys(Generic[Value]):
    """The keys of one mapping with their values.

    Raises PipelineError with the key's position for one that is refused and for one that isn't known.
    """

    def __init__(self, section: Section, entries: Iterable[tuple[Scalar, Value]], position: Position) -> None:
        self.position = position
        self._values: dict[str, Value] = {}
        self._positions: dict[str, Position] = {}
        for key, value in entries:
            if key.text in section.refused:
                reason = section.refused[key.text]
                message = f"'{key.text}' of a {section.name} is not supported in the rehearsal: {reason}"
                raise PipelineError(message, key.position)
            if key.text not in section.understood:
                raise PipelineError(f"Unexpected value '{key.text}'", key.position)
            self._values[key.text] = value
            self._positions[key.text] = key.position

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> Value | None:
        """The value of a key, or None."""
        return self._values.get(key)

    def place(self, key: str) -> Position:
        """Where a key stands; where it doesn't, the mapping."""
        return self._positions.get(key, self.position)


PIPELINE = _section(
    "pipeline",
    "name trigger pr schedules parameters resources variables lockBehavior pool"
    " stages jobs steps extends strategy continueOnError workspace",
    {
        "appendCommitMessageToRunName": "a run is called what `name` says, and nothing is put behind it",
        "container": _CONTAINERS,
        "services": _CONTAINERS,
        "phases": _DEPRECATED,
        "queue": _DEPRECATED,
        "server": _DEPRECATED,
    },
)
EXTENDS = _section("pipeline's extends", "template parameters")
EXTENDED = _section(
    "template that is extended",
    "stages jobs steps extends parameters variables",
    {"trigger": "it stands in the pipeline itself", "resources": "they stand in the pipeline itself"},
)
REFERENCE = _section("reference to a template", "template parameters")
STAGE = _section(
    "stage",
    "stage displayName pool dependsOn condition variables jobs lockBehavior",
    {
        "group": "stages aren't shown in groups",
        "trigger": "every stage starts by itself",
        "isSkippable": "no stage can be skipped when a run is queued",
        "templateContext": "templates take parameters",
        "checks": "checks are those of environments",
    },
)
_JOB = "displayName dependsOn condition continueOnError timeoutInMinutes cancelTimeoutInMinutes variables strategy pool"
_NOT_OF_JOBS = {
    "container": _CONTAINERS,
    "services": _CONTAINERS,
    "templateContext": "templates take parameters",
    "uses": "a job may use what its pipeline may use",
}
JOB = _section("job", f"job {_JOB} workspace steps", _NOT_OF_JOBS)
DEPLOYMENT = _section("deployment job", f"deployment {_JOB} workspace environment", _NOT_OF_JOBS)
STRATEGY = _section("job's strategy", "matrix maxParallel parallel")
_ONE_TARGET = "an environment has no machines to go through one after the other; runOnce is there"
DEPLOYMENT_STRATEGY = _section("deployment's strategy", "runOnce", {"rolling": _ONE_TARGET, "canary": _ONE_TARGET})
RUN_ONCE = _section("runOnce strategy", "preDeploy deploy routeTraffic postRouteTraffic on")
OUTCOME_HOOKS = _section("strategy's on", "failure success")
HOOK = _section("lifecycle hook", "steps", {"pool": "all hooks of a deployment run where its job runs"})
ENVIRONMENT = _section(
    "deployment's environment",
    "name",
    dict.fromkeys(("resourceName", "resourceType", "resourceId", "tags"), _NO_RESOURCES),
)
POOL = _section("pool", "name vmImage", {"demands": _NO_CAPABILITIES})
WORKSPACE = _section("workspace", "clean")
VARIABLE = _section("variable", "name value readonly")
GROUP = _section("variable group", "group")

_STEP = "condition continueOnError displayName enabled env name timeoutInMinutes retryCountOnTaskFailure"
_NOT_OF_STEPS = {"target": _CONTAINERS}
_NOT_OF_POWERSHELL = dict.fromkeys(("errorActionPreference", "ignoreLASTEXITCODE"), _NO_POWERSHELL) | _NOT_OF_STEPS
STEPS = {
    "task": _section("task", f"task inputs {_STEP}", _NOT_OF_STEPS),
    "script": _section("script step", f"script failOnStderr workingDirectory {_STEP}", _NOT_OF_STEPS),
    "bash": _section("bash step", f"bash failOnStderr workingDirectory {_STEP}", _NOT_OF_STEPS),
    "pwsh": _section("pwsh step", f"pwsh failOnStderr workingDirectory {_STEP}", _NOT_OF_POWERSHELL),
    "powershell": _section("powershell step", f"powershell failOnStderr workingDirectory {_STEP}", _NOT_OF_POWERSHELL),
    "checkout": _section(
        "checkout step",
        "checkout clean fetchDepth fetchFilter fetchTags lfs persistCredentials submodules path workspaceRepo"
        f" sparseCheckoutDirectories sparseCheckoutPatterns {_STEP}",
        _NOT_OF_STEPS,
    ),
    "download": _section("download step", f"download artifact patterns {_STEP}", _NOT_OF_STEPS),
    "publish": _section("publish step", f"publish artifact {_STEP}", _NOT_OF_STEPS),
}
REFUSED_STEPS = {
    "downloadBuild": "use download with a pipeline resource",
    "getPackage": "package resources are not there",
    "upload": "it is deprecated, use publish",
    "reviewApp": "environments have no Kubernetes resources",
}

PARAMETER = _section("parameter", "name displayName type default values")
TRIGGER = _section("trigger", "batch branches paths", {"tags": "a tag that is pushed starts no run"})
PULL_REQUEST = _section("pr", "autoCancel branches paths drafts")
FILTER = _section("filter", "include exclude")
SCHEDULE = _section("schedule", "cron displayName branches batch always")
_OTHER_RESOURCES = "resources of the rehearsal are repositories and pipelines"
RESOURCES = _section(
    "pipeline's resources",
    "repositories pipelines",
    dict.fromkeys(("builds", "containers", "packages", "webhooks"), _OTHER_RESOURCES),
)
REPOSITORY = _section(
    "repository resource",
    "repository type name ref",
    {
        "endpoint": "repositories are those of the same organisation",
        "trigger": "a repository resource starts no run",
        "checkoutOptions": _DEPRECATED,
    },
)
PIPELINE_RESOURCE = _section("pipeline resource", "pipeline project source version branch tags trigger")
PIPELINE_TRIGGER = _section("pipeline resource's trigger", "enabled branches stages tags")
