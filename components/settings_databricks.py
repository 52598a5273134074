"""The settings about the Databricks workspace: folder and permissions. Their keys, defaults and rules."""

import re
from collections.abc import Callable
from typing import Any

from components import naming
from components.settings_model import Access, Principal, PrincipalKind, Workspace
from components.settings_reading import NAMESPACE, Phrase, Section, matches
from release_files import name_problem

OWNER = "IS_OWNER"
FOLDER_LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
PRINCIPALS: dict[str, PrincipalKind] = {"group": "group", "user": "user", "servicePrincipal": "service_principal"}
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
# Parts of the workspace with a use of their own.
NOT_SHARED = {"repos": "Git folders", "users": "personal folders", "volumes": "data"}
ABSOLUTE = "an absolute path of a folder in the workspace, such as /bike-sharing-test"


def workspace(section: Section, environment: str) -> tuple[Workspace, list[str]]:
    """The shared folder and who may do what in it, with warnings."""
    folder = ""
    example = f"/bike-sharing-{environment}"
    if section.has("folder"):
        value = section.values["folder"]
        reason = folder_problem(value)
        if reason:
            section.refuse("folder", allowed=reason, example=example)
        else:
            folder = naming.without_workspace_alias(value.rstrip("/"))
    else:
        section.missing("folder", allowed=ABSOLUTE, example=example)
    allow_shared = section.flag("allowShared", default=False)
    access = access_list(section, "access", FOLDER_LEVELS)
    warnings = []
    if folder and naming.folders_overlap(folder, "/Shared"):
        if environment == "production" and not allow_shared:
            section.refuse(
                "folder",
                allowed="a folder outside /Shared: there every user may change everything, and nothing restricts that",
                remedy=f"{section.problems.how_to_set(section.at('folder'), example)}\n"
                f"or, if this is wanted: {section.problems.how_to_set(section.at('allowShared'), True)}",
            )
        elif not allow_shared:
            warnings.append(
                f"{section.key('folder')} is {folder}: every user of the workspace may change everything below "
                f"/Shared, and no permission restricts that. A folder such as {example} can be protected"
            )
    protect = section.flag("protect", default=environment == "production")
    if protect and section.values.get("access", []) == []:
        how_to_set, entry = section.problems.how_to_set, {"group": "data-engineers", "level": "CAN_READ"}
        section.refuse(
            "access",
            found=Phrase("nothing, and the stack is protected"),
            allowed="at least one entry: a destroy meets the permissions first, and they alone keep it from emptying "
            "the folder before it is refused",
            remedy=f"{how_to_set(section.at('access'), [entry])}\n"
            f"or, if it need not be protected: {how_to_set(section.at('protect'), False)}",
        )
    section.close()
    return Workspace(folder=folder, access=access, protect=protect, allow_shared=allow_shared), warnings


def folder_problem(value: object) -> str | None:
    """What a workspace folder has to be, if `value` isn't that."""
    if not isinstance(value, str) or not value.startswith("/"):
        return ABSOLUTE
    path = naming.without_workspace_alias(value.rstrip("/") or "/")
    parts = path.split("/")[1:]
    but = None
    if path == "/":
        but = "not the root of the workspace itself"
    elif any(part in ("", ".", "..") for part in parts):
        but = "without empty parts, . and .."
    elif any(map(name_problem, parts)):
        but = next(filter(None, map(name_problem, parts)))
    elif parts[0].casefold() in NOT_SHARED:
        but = f"not below /{parts[0]}, which holds {NOT_SHARED[parts[0].casefold()]}"
    elif path.casefold() == "/shared":
        but = "not /Shared itself, which belongs to everybody"
    return f"{ABSOLUTE}; {but}" if but else None


def principal(section: Section, allowed_kinds: tuple[str, ...] = tuple(PRINCIPALS)) -> Principal | None:
    """The one principal that a mapping names by `group`, `user` or `servicePrincipal`; None after a mistake."""
    given = [kind for kind in PRINCIPALS if section.has(kind)]
    if len(given) == 1 and given[0] in allowed_kinds:
        kind = given[0]
        example, allowed, check = _principal_rule(kind)
        name = section.text(kind, allowed=allowed, example=example, check=check)
        return Principal(kind=PRINCIPALS[kind], name=name) if name else None
    section.problems.add(
        f"{NAMESPACE}:{section.path}",
        found=Phrase(" and ".join(given) + " together" if len(given) > 1 else given[0] if given else "no principal"),
        allowed="exactly one of " + ", ".join(allowed_kinds),
        remedy=f"write one of them at {section.path} in Pulumi.{section.problems.stack}.yaml, "
        f"for example {allowed_kinds[0]}: {_principal_rule(allowed_kinds[0])[0]}",
    )
    return None


def _principal_rule(kind: str) -> tuple[str, str, Callable[[str], bool]]:
    if kind == "user":
        return "somebody@example.com", "a user name: user@domain", matches(EMAIL)
    if kind == "servicePrincipal":
        example = "00000000-0000-0000-0000-000000000000"
        return example, "the application id of a service principal (a UUID), not its display name", matches(UUID)
    # The provider refuses to touch the administrators, who have CAN_MANAGE everywhere.
    allowed = "the name of a group; not admins, who may do everything anyway"
    return "data-engineers", allowed, lambda name: bool(name.strip()) and name != "admins"


def access_list(section: Section, name: str, levels: tuple[str, ...]) -> tuple[Access, ...]:
    """A list of permissions: each principal once (Databricks keeps one level for each), with one of `levels`."""
    example: list[dict[str, Any]] = [{"group": "data-engineers", "level": levels[0]}]
    result: list[Access] = []
    for entry in section.sections(
        name, allowed="a list of {group|user|servicePrincipal: NAME, level: LEVEL}", example=example
    ):
        if not entry.is_mapping:
            continue
        who = principal(entry)
        level = entry.choice("level", levels)
        entry.close()
        if who is None:
            continue
        if level == OWNER:
            _check_owner(section, name, entry, who, result)
        same = [index for index, access in enumerate(result) if _same(access.principal, who)]
        if same:
            section.problems.add(
                entry.key(next(kind for kind in PRINCIPALS if kind in entry.values)),
                found=Phrase(f'"{who.name}", which already stands at {section.at(name)}[{same[0]}]'),
                allowed="each principal once, with one level",
                remedy=section.problems.how_to_remove(entry.path),
            )
        result.append(Access(principal=who, level=level))
    return tuple(result)


def _check_owner(section: Section, name: str, entry: Section, who: Principal, before: list[Access]) -> None:
    """One owner, which is no group: https://docs.databricks.com/security/auth/access-control/#job-acls."""
    owners = [index for index, access in enumerate(before) if access.level == OWNER]
    if who.kind == "group":
        entry.refuse("level", allowed="an owner that is a user or a service principal", example="CAN_MANAGE")
    elif owners:
        entry.refuse("level", allowed=f"one owner, and {section.at(name)}[{owners[0]}] is it", example="CAN_MANAGE")


def _same(one: Principal, other: Principal) -> bool:
    # User names and ids ignore case, names of groups don't.
    if one.kind != other.kind:
        return False
    return one.name == other.name if one.kind == "group" else one.name.casefold() == other.name.casefold()
