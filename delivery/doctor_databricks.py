"""What `doctor` finds in Databricks: the sign-in, the groups of the settings, the folder, and where files arrive."""

from collections.abc import Iterator
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
        for finding in (
            *_groups(area, client, stack),
            _folder(area, client, me, stack),
            *_landing(area, client, stack),
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


def _groups(area: str, client: "WorkspaceClient", stack: Stack) -> Iterator[Finding]:
    """The groups that the settings give rights to."""
    wanted = [stack.settings.get(key, {}).get("access") or [] for key in ("workspace", "jobDefaults")]
    names = dict.fromkeys(each["group"] for access in wanted for each in access if "group" in each)
    for name in names:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        there = any(each.display_name == name for each in client.groups.list(filter=f'displayName eq "{quoted}"'))
        found = "it is there" if there else "the workspace has none, and the settings give it rights"
        state: State = "ok" if there else "missing"
        remedy = "" if there else "create it (Settings > Identity and access), or change workspace.access"
        yield Finding(area=area, name=f"group {name}", state=state, found=found, remedy=remedy)


def _folder(area: str, client: "WorkspaceClient", me: "User", stack: Stack) -> Finding:
    """Whether this identity may manage the folder; where there is none, the next folder above."""
    administrator = any(group.display == ADMINS for group in me.groups or [])
    for path in (PurePosixPath(stack.folder), *PurePosixPath(stack.folder).parents):
        try:
            status = client.workspace.get_status(str(path))
        except NotFound:
            continue
        except PermissionDenied:
            break
        missing = str(path) != stack.folder
        name = f"folder {stack.folder}"
        found = f"it isn't there yet; {path} is" if missing else "it is there"
        if administrator:
            return Finding(area=area, name=name, state="ok", found=f"{found}; this identity is an administrator")
        if str(path) == "/":
            remedy = "let an administrator of the workspace run the first `up`, or create the folder"
            return Finding(
                area=area, name=name, state="missing", found="only administrators create at /", remedy=remedy
            )
        try:
            kind = "directories"
            known = client.workspace.get_permissions(kind, str(status.object_id)).access_control_list or []
        except PermissionDenied:
            break
        managers = [_named(each) for each in known if _manages(each)]
        mine = {me.user_name, *(group.display for group in me.groups or [])}
        if mine & set(managers):
            return Finding(area=area, name=name, state="ok", found=f"{found}; managed by {', '.join(managers)}")
        break
    remedy = f"have CAN_MANAGE given on {stack.folder}, or on the folder above it (workspace.access)"
    found = "this identity may not manage it"
    return Finding(area=area, name=f"folder {stack.folder}", state="missing", found=found, remedy=remedy)


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
