"""What `doctor` finds in Databricks: the sign-in, the groups of the settings, the folder, and where files arrive."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import requests
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.errors.base import DatabricksError

from delivery.console import UnusableError
from delivery.doctor_finding import Finding, State
from delivery.stack import Stack, workspace_client

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.iam import User

ADMINS = "admins"
# Of a principal in the settings: the attribute that names it, its name for people, and how to get one.
KINDS = {
    "group": ("displayName", "group", "create it (Settings > Identity and access), or change the settings"),
    "user": ("userName", "user", "add the user to the workspace, or change the settings"),
    "servicePrincipal": ("applicationId", "service principal", "add it to the workspace, or change the settings"),
}
# A service that doesn't answer is told after so many seconds, not after the client's five minutes.
SECONDS = 20


def examine(stack: Stack) -> list[Finding]:
    """Looks at the workspace of a stack."""
    area = f"Databricks, {stack.environment}"
    findings: list[Finding] = []
    try:
        client = workspace_client(stack, retry_seconds=SECONDS)
        me = client.current_user.me()
        found = f"{me.user_name} in {client.config.host}"
        findings.append(Finding(area=area, name="sign-in", state="ok", found=found))
        # One by one, so that what was found is kept when the service fails at the next.
        for finding in itertools.chain(
            _principals(area, client, stack), _folder(area, client, me, stack), _landing(area, client, stack)
        ):
            findings.append(finding)
    except UnusableError as error:
        [wrong] = error.mistakes
        findings.append(Finding(area=area, name=wrong.key, state="missing", found=wrong.found, remedy=wrong.remedy))
    except (DatabricksError, requests.RequestException, TimeoutError) as error:
        name = "sign-in" if not findings else "workspace"
        remedy = "renew the credential, or see whether the workspace can be reached"
        words = " ".join(str(error).split())
        findings.append(Finding(area=area, name=name, state="missing", found=words, remedy=remedy))
    return findings


def _principals(area: str, client: "WorkspaceClient", stack: Stack) -> Iterator[Finding]:
    """Those whom the settings give rights to."""
    wanted = [(stack.settings.get(key) or {}).get("access") or [] for key in ("workspace", "jobDefaults")]
    named = [(kind, str(each[kind])) for access in wanted for each in access for kind in KINDS if kind in each]
    for kind, name in dict.fromkeys(named):
        attribute, words, remedy = KINDS[kind]
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        listed: Any = {"group": client.groups, "user": client.users, "servicePrincipal": client.service_principals}[
            kind
        ]
        try:
            there = any(True for _ in listed.list(filter=f'{attribute} eq "{quoted}"'))
        except PermissionDenied:
            found = "this identity may not look"
            yield Finding(area=area, name=f"{words} {name}", state="skipped", found=found)
            continue
        if there:
            yield Finding(area=area, name=f"{words} {name}", state="ok", found="it is there")
        else:
            found = "the workspace has none, and the settings give it rights"
            yield Finding(area=area, name=f"{words} {name}", state="missing", found=found, remedy=remedy)


def _folder(area: str, client: "WorkspaceClient", me: "User", stack: Stack) -> Iterator[Finding]:
    """Whether this identity may manage the folder, or the next one above; and whether those who deploy may."""
    path = _existing(client, PurePosixPath(stack.folder))
    name = f"folder {stack.folder}"
    administrator = any(group.display == ADMINS for group in me.groups or [])
    is_there = str(path) == stack.folder
    found = "it is there" if is_there else f"it isn't there yet; {path} is"
    known = _access(client, path) if administrator or str(path) != "/" else None
    managers = [_named(each) for each in known or [] if _manages(each)]
    if administrator:
        yield Finding(area=area, name=name, state="ok", found=f"{found}; this identity is an administrator")
    elif str(path) == "/":
        remedy = "let an administrator of the workspace run the first `up`, or create the folder"
        found = "only administrators create at /"
        yield Finding(area=area, name=name, state="missing", found=found, remedy=remedy)
    elif {me.user_name, *(group.display for group in me.groups or [])} & set(managers):
        yield Finding(area=area, name=name, state="ok", found=f"{found}; managed by {', '.join(managers)}")
    else:
        remedy = f"have CAN_MANAGE given on {stack.folder}, or on the folder above it (workspace.access)"
        yield Finding(area=area, name=name, state="missing", found="this identity may not manage it", remedy=remedy)
    if is_there and known is not None:
        yield from _deployers(area, stack, managers)


def _deployers(area: str, stack: Stack, managers: Sequence[str]) -> Iterator[Finding]:
    """Those who are to manage the folder by the settings: among them who deploys."""
    for each in (stack.settings.get("workspace") or {}).get("access") or []:
        name = next((str(each[kind]) for kind in KINDS if kind in each), "")
        if each.get("level") != "CAN_MANAGE":
            continue
        well = name in managers
        found = "it may manage the folder" if well else "it may not manage the folder, as the settings say"
        remedy = "" if well else f"pulumi up --refresh --stack {stack.name}"
        state: State = "ok" if well else "warning"
        yield Finding(area=area, name=f"right of {name}", state=state, found=found, remedy=remedy)


def _existing(client: "WorkspaceClient", folder: PurePosixPath) -> PurePosixPath:
    """The folder, or the next one above that is there. One that may not be seen counts as there."""
    for path in (folder, *folder.parents):
        try:
            client.workspace.get_status(str(path))
        except NotFound:
            continue
        except PermissionDenied:
            pass
        return path
    return PurePosixPath("/")


def _access(client: "WorkspaceClient", path: PurePosixPath) -> Sequence[Any] | None:
    """Who may do what with it; None if this identity may not know."""
    try:
        status = client.workspace.get_status(str(path))
        return client.workspace.get_permissions("directories", str(status.object_id)).access_control_list or []
    except PermissionDenied:
        return None


def _landing(area: str, client: "WorkspaceClient", stack: Stack) -> Iterator[Finding]:
    """The volume where files arrive, which the program doesn't make."""
    parameters = (stack.settings.get("jobDefaults") or {}).get("parameters") or {}
    path = str(parameters.get("landing") or "")
    if not path.startswith("/Volumes/"):
        return
    volume = "/".join(path.split("/")[:5])
    try:
        client.files.get_directory_metadata(volume)
    except (NotFound, PermissionDenied):
        remedy = "let an administrator of Unity Catalog make catalog, schema and volume, and give READ VOLUME"
        found = "this identity sees none; the jobs read their files there"
        yield Finding(area=area, name=f"volume {volume}", state="warning", found=found, remedy=remedy)
    else:
        yield Finding(area=area, name=f"volume {volume}", state="ok", found="it is there")


def _manages(entry: Any) -> bool:
    return any(each.permission_level.value == "CAN_MANAGE" for each in entry.all_permissions or [])


def _named(entry: Any) -> str:
    return str(entry.group_name or entry.user_name or entry.service_principal_name)
