"""What `doctor` finds in Databricks: the sign-in, whom the settings name, their rights, and where files arrive."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from delivery.console import UnusableError
from delivery.doctor_finding import Finding
from delivery.later import Client, errors, requests
from delivery.stack import Stack, workspace_client

if TYPE_CHECKING:
    from databricks.sdk.service.iam import User

ADMINS = "admins"
# Of a principal in the settings: the attribute that names it, its name for people, and how to get one.
KINDS = {
    "group": ("displayName", "group", "create it (Settings > Identity and access), or change the settings"),
    "user": ("userName", "user", "add the user to the workspace, or change the settings"),
    "servicePrincipal": ("applicationId", "service principal", "add it to the workspace, or change the settings"),
}
# Of folders and of jobs, each kind from the least on
# (https://docs.databricks.com/aws/en/security/auth/access-control/). A job has one owner, whatever the others may do.
LEVELS = ("CAN_VIEW", "CAN_READ", "CAN_MANAGE_RUN", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE", "IS_OWNER")
# Where a job has access of its own, the winning one first.
JOB_SETTINGS = ("jobOverrides", "jobs")
JOBS_A_PAGE = 100
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
            _principals(area, client, stack),
            _folder(area, client, me, stack),
            _jobs(area, client, stack),
            _landing(area, client, stack),
        ):
            findings.append(finding)
    except UnusableError as error:
        [wrong] = error.mistakes
        findings.append(Finding(area=area, name=wrong.key, state="missing", found=wrong.found, remedy=wrong.remedy))
    except (errors.base.DatabricksError, requests.RequestException, TimeoutError) as error:
        name = "sign-in" if not findings else "workspace"
        remedy = "renew the credential, or see whether the workspace can be reached"
        words = " ".join(str(error).split())
        findings.append(Finding(area=area, name=name, state="missing", found=words, remedy=remedy))
    return findings


def _principals(area: str, client: Client, stack: Stack) -> Iterator[Finding]:
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
        except errors.PermissionDenied:
            found = "this identity may not look"
            yield Finding(area=area, name=f"{words} {name}", state="skipped", found=found)
            continue
        if there:
            yield Finding(area=area, name=f"{words} {name}", state="ok", found="it is there")
        else:
            found = "the workspace has none, and the settings give it rights"
            yield Finding(area=area, name=f"{words} {name}", state="missing", found=found, remedy=remedy)


def _folder(area: str, client: Client, me: "User", stack: Stack) -> Iterator[Finding]:
    """Whether this identity may manage the folder, or the next one above; and the rights of those in the settings."""
    path = _existing(client, PurePosixPath(stack.folder))
    name = f"folder {stack.folder}"
    administrator = any(group.display == ADMINS for group in me.groups or [])
    is_there = str(path) == stack.folder
    found = "it is there" if is_there else f"it isn't there yet; {path} is"
    known = _access(client, path) if administrator or str(path) != "/" else None
    held = _held(known or [])
    managers = [name for name, level in held.items() if level == "CAN_MANAGE"]
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
        for name, level in _wanted((stack.settings.get("workspace") or {}).get("access")):
            lacking = [] if _suffices(held.get(name), level) else [stack.folder]
            yield _right(area, stack, f"right of {name}", level, lacking)


def _jobs(area: str, client: Client, stack: Stack) -> Iterator[Finding]:
    """Whether those whom the settings give rights on the jobs have them: who owns them as it deploys, who previews."""
    suffix = f" ({stack.environment})"  # as components/naming.py says
    # `list` asks page after page.
    named = [
        (str(each.settings.name), str(each.job_id))
        for each in client.jobs.list(limit=JOBS_A_PAGE)
        if each.settings and (each.settings.name or "").endswith(suffix) and _is_of(each.settings.tags, stack)
    ]
    lacking: dict[tuple[str, str], list[str]] = {}
    for job, id_ in sorted(named):
        try:
            held = _held(client.jobs.get_permissions(id_).access_control_list or [])
        except errors.PermissionDenied:
            found = "this identity may not look"
            yield Finding(area=area, name=f"rights on job {job}", state="skipped", found=found)
            continue
        own = {key: (stack.settings.get(key) or {}).get(job.removesuffix(suffix)) or {} for key in JOB_SETTINGS}
        access = next((each["access"] for each in own.values() if "access" in each), None)
        if access is None:
            access = (stack.settings.get("jobDefaults") or {}).get("access")
        for wanted in _wanted(access):
            missing = lacking.setdefault(wanted, [])
            if not _suffices(held.get(wanted[0]), wanted[1]):
                missing.append(job)
    for (name, level), jobs in lacking.items():
        yield _right(area, stack, f"right of {name} on jobs", level, jobs)


def _right(area: str, stack: Stack, name: str, level: str, lacking: Sequence[str]) -> Finding:
    """Whether somebody has what the settings say."""
    if not lacking:
        return Finding(area=area, name=name, state="ok", found=f"it has {level}")
    found = f"it hasn't {level} on {', '.join(lacking)}, as the settings say"
    remedy = f"pulumi up --refresh --stack {stack.name}"
    return Finding(area=area, name=name, state="warning", found=found, remedy=remedy)


def _wanted(access: Any) -> list[tuple[str, str]]:
    """Name and level of each entry of a setting `access`."""
    named = [
        (next((str(each[kind]) for kind in KINDS if kind in each), ""), each.get("level")) for each in access or []
    ]
    return [(name, str(level)) for name, level in named if level in LEVELS]


def _held(entries: Sequence[Any]) -> dict[str, str]:
    """Everybody's highest level, inherited ones included."""
    levels = {}
    for entry in entries:
        known = [each.permission_level.value for each in entry.all_permissions or []]
        if ranked := sorted((level for level in known if level in LEVELS), key=LEVELS.index):
            levels[str(entry.group_name or entry.user_name or entry.service_principal_name)] = ranked[-1]
    return levels


def _suffices(held: str | None, wanted: str) -> bool:
    return held is not None and LEVELS.index(held) >= LEVELS.index(wanted)


def _is_of(tags: Mapping[str, str] | None, stack: Stack) -> bool:
    """Whether a job is one of the stack: it carries its environment, and the release."""
    return tags is not None and tags.get("environment") == stack.environment and "release" in tags


def _existing(client: Client, folder: PurePosixPath) -> PurePosixPath:
    """The folder, or the next one above that is there. One that may not be seen counts as there."""
    for path in (folder, *folder.parents):
        try:
            client.workspace.get_status(str(path))
        except errors.NotFound:
            continue
        except errors.PermissionDenied:
            pass
        return path
    return PurePosixPath("/")


def _access(client: Client, path: PurePosixPath) -> Sequence[Any] | None:
    """Who may do what with it; None if this identity may not know."""
    try:
        status = client.workspace.get_status(str(path))
        return client.workspace.get_permissions("directories", str(status.object_id)).access_control_list or []
    except errors.PermissionDenied:
        return None


def _landing(area: str, client: Client, stack: Stack) -> Iterator[Finding]:
    """The volume where files arrive, which the program doesn't make."""
    parameters = (stack.settings.get("jobDefaults") or {}).get("parameters") or {}
    path = str(parameters.get("landing") or "")
    if not path.startswith("/Volumes/"):
        return
    volume = "/".join(path.split("/")[:5])
    try:
        client.files.get_directory_metadata(volume)
    except (errors.NotFound, errors.PermissionDenied):
        remedy = "let an administrator of Unity Catalog make catalog, schema and volume, and give READ VOLUME"
        found = "this identity sees none; the jobs read their files there"
        yield Finding(area=area, name=f"volume {volume}", state="warning", found=found, remedy=remedy)
    else:
        yield Finding(area=area, name=f"volume {volume}", state="ok", found="it is there")
