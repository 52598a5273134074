"""What the commands need to know of a stack, and the client of its workspace.

The stack files are read as they stand: the program itself checks them and says what is wrong with them. What concerns
Pulumi's own view (outputs, resources) is asked through `pulumi_cli`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from delivery.console import Progress, UnusableError
from delivery.later import Client, Config, Credentials

if TYPE_CHECKING:
    from delivery.azure_devops import AzureDevOps

NAMESPACE = "databricks-cicd"
# The program's own defaults (components/naming.py).
PROJECT = "Databricks CI-CD"
DEFAULT_BRANCH = "main"
CONTROL_PLANE_STACK = "test"
# How long a request is repeated where somebody waits for an answer, and one without the workspace is of use, too.
PATIENCE_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's settings.

    Args:
        name: such as `prod`.
        environment: such as `production`; the name of the environment in Azure DevOps, too.
        folder: the workspace folder.
        workspace_host, organization_url: None where only the environment's variables say it.
        project: the Azure DevOps project's name, where this stack or the one that it reads from says it.
        default_branch: full name of the branch that is deployed from, likewise.
        approvers: the gate's; empty for continuous deployment.
        settings: all settings of its file, by key without the namespace.
        control_plane: the setting `controlPlane`, of this stack or of the one that it reads from.
        owns_control_plane: which of the two.
    """

    name: str
    environment: str
    folder: str
    workspace_host: str | None
    organization_url: str | None
    project: str
    approvers: tuple[str, ...]
    default_branch: str = "refs/heads/main"
    settings: Mapping[str, Any] = field(default_factory=dict)
    control_plane: Mapping[str, Any] = field(default_factory=dict)
    owns_control_plane: bool = False


def read_stack(project: Path, name: str) -> Stack:
    """Reads `Pulumi.NAME.yaml`.

    Args:
        project: the folder with Pulumi.yaml: a checkout or an artifact.
        name: the stack's name.

    Raises:
        UnusableError: there is no such file, or it lacks what a command needs.
    """
    settings = _settings(project, name)
    folder = _mapping(settings.get("workspace")).get("folder")
    environment = settings.get("environment")
    for key, value in (("environment", environment), ("workspace.folder", folder)):
        if not isinstance(value, str) or not value:
            raise UnusableError(f"Pulumi.{name}.yaml", f"{NAMESPACE}:{key} is {value!r}", "set it")
    services = _mapping(settings.get("services"))
    owner = settings
    if not _mapping(settings.get("controlPlane")):
        other = str(settings.get("controlPlaneStack") or CONTROL_PLANE_STACK)
        owner = _settings(project, other) if (project / f"Pulumi.{other}.yaml").exists() else {}
    control_plane = _mapping(owner.get("controlPlane"))
    branch = str(_mapping(control_plane.get("repository")).get("defaultBranch") or DEFAULT_BRANCH)
    return Stack(
        name=name,
        environment=str(environment),
        folder=str(folder).rstrip("/"),
        workspace_host=services.get("workspaceHost"),
        organization_url=services.get("organizationUrl"),
        project=str(_mapping(control_plane.get("project")).get("name") or PROJECT),
        approvers=tuple(map(str, _mapping(settings.get("gate")).get("approvers") or ())),
        default_branch=f"refs/heads/{branch.removeprefix('refs/heads/')}",
        settings=settings,
        control_plane=control_plane,
        owns_control_plane=owner is settings,
    )


def workspace_client(stack: Stack, *, retry_seconds: int | None = None) -> Client:
    """The official client of the stack's workspace, signed in with the environment's DATABRICKS_ variables.

    Args:
        stack: which says where the workspace is, unless DATABRICKS_HOST does.
        retry_seconds: how long a request is repeated after passing faults; by default the client's own five minutes.

    Raises:
        UnusableError: no address, two addresses, no credential, or one that is refused.
    """
    told = os.environ.get("DATABRICKS_HOST", "").rstrip("/")
    host = (stack.workspace_host or told).rstrip("/")
    if not host:
        remedy = f"set it, or {NAMESPACE}:services.workspaceHost in Pulumi.{stack.name}.yaml"
        raise UnusableError("DATABRICKS_HOST", "it isn't set", remedy)
    if told and told != host:
        found = f"it says {told}, but Pulumi.{stack.name}.yaml says {host}"
        raise UnusableError("DATABRICKS_HOST", found, "unset what is left over")
    try:
        config = Config(host=host, retry_timeout_seconds=retry_seconds, credentials_strategy=Credentials())
        return Client(config=config)
    except ValueError as error:
        # The client words everything so: no credential, two of them, a wrong kind.
        remedy = "set DATABRICKS_AUTH_TYPE and what it needs, or DATABRICKS_TOKEN"
        raise UnusableError("Databricks", " ".join(str(error).split()), remedy) from None


def azure_devops_client(
    stack: Stack, project_name: str | None = None, progress: Progress | None = None, attempts: int | None = None
) -> "AzureDevOps":
    """The client of the stack's project in Azure DevOps, signed in with what the environment has.

    Args:
        stack: says organisation and project where the environment doesn't.
        project_name: another project.
        progress: hears of waits.
        attempts: how often a request is tried at the most.

    Raises:
        UnusableError: no address of the organisation.
    """
    from delivery.azure_devops import ATTEMPTS, AzureDevOps  # noqa: PLC0415 - not every command needs it

    known = dict(os.environ)
    if stack.organization_url:
        known.setdefault("AZDO_ORG_SERVICE_URL", stack.organization_url)
    name = project_name or known.get("SYSTEM_TEAMPROJECT") or stack.project
    return AzureDevOps.from_environment(name, environment=known, progress=progress, attempts=attempts or ATTEMPTS)


def _settings(project: Path, name: str) -> dict[str, Any]:
    path = project / f"Pulumi.{name}.yaml"
    try:
        read = yaml.safe_load(path.read_bytes())
    except OSError as error:
        remedy = "give the folder with Pulumi.yaml, and a stack that it has"
        raise UnusableError(str(path), error.strerror or str(error), remedy) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnusableError(str(path), f"not valid YAML ({' '.join(str(error).split())})", "correct it") from None
    config = _mapping(_mapping(read).get("config"))
    return {str(key).removeprefix(f"{NAMESPACE}:"): value for key, value in config.items()}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
