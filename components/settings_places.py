"""Where things are: addresses of the services, files of the project, and how stacks keep apart."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

import yaml

from components import naming
from components.settings_databricks import folder_problem
from components.settings_model import Services
from components.settings_reading import NAMESPACE, Phrase, Problems, Section, describe, did_you_mean

STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
ORGANIZATION_VARIABLE = "AZDO_ORG_SERVICE_URL"
HOST_VARIABLE = "DATABRICKS_HOST"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Namespaces of the providers and of Pulumi itself: not misspelt ones of ours.
FOREIGN = ("azuredevops", "databricks", "pulumi")
# Provider settings that would compete with ours, or that are credentials and don't belong into a file.
COMPETING = {
    "azuredevops:orgServiceUrl": "services.organizationUrl",
    "databricks:host": "services.workspaceHost",
    "databricks:rateLimit": "services.databricksRequestsPerSecond",
}
CREDENTIALS = {
    "azuredevops:personalAccessToken": "AZDO_PERSONAL_ACCESS_TOKEN",
    "azuredevops:clientSecret": "ARM_CLIENT_SECRET",
    "azuredevops:clientCertificatePassword": "ARM_CLIENT_CERTIFICATE_PASSWORD",
    "databricks:token": "DATABRICKS_TOKEN",
    "databricks:password": "DATABRICKS_PASSWORD",
    "databricks:clientSecret": "DATABRICKS_CLIENT_SECRET",
    "databricks:azureClientSecret": "ARM_CLIENT_SECRET",
}


def check_namespaces(problems: Problems, raw: Mapping[str, Any]) -> None:
    """Report keys whose namespace is ours misspelt, and provider settings that have another place here."""
    for key in raw:
        namespace, colon, name = str(key).partition(":")
        if not colon:
            continue
        if key in CREDENTIALS:
            problems.add(
                key,
                found=Phrase("a credential in the stack's configuration (not shown)"),
                allowed="credentials come from environment variables alone",
                remedy=f"pulumi config rm --stack {problems.stack} {key}\nand set the variable {CREDENTIALS[key]}",
            )
        elif key in COMPETING:
            problems.add(
                key,
                found=raw[key],
                allowed=f"one place for it: {NAMESPACE}:{COMPETING[key]}",
                remedy=f"pulumi config rm --stack {problems.stack} {key}\n"
                + problems.how_to_set(COMPETING[key], raw[key]),
            )
        elif namespace not in FOREIGN and did_you_mean(namespace, [NAMESPACE]):
            problems.add(
                key,
                found=Phrase(f"a key in the namespace '{namespace}' with the value {describe(raw[key])}"),
                allowed=f"the namespace {NAMESPACE}",
                remedy=f"did you mean '{NAMESPACE}:{name}'? Rename the key in Pulumi.{problems.stack}.yaml",
            )


def services(section: Section, environment: Mapping[str, str]) -> Services:
    """Addresses of the two services, from the settings or from the environment, and how they may be asked."""
    url = _address(
        section,
        "organizationUrl",
        environment,
        ORGANIZATION_VARIABLE,
        normalise=organization_url,
        allowed="the address of the organisation and nothing else, such as https://dev.azure.com/contoso",
        example="https://dev.azure.com/contoso",
    )
    host = _address(
        section,
        "workspaceHost",
        environment,
        HOST_VARIABLE,
        normalise=workspace_host,
        allowed="the address of the workspace and nothing else, such as https://adb-1234567890123456.7.azuredatabricks.net",
        example="https://adb-1234567890123456.7.azuredatabricks.net",
    )
    result = Services(
        organization_url=url,
        organization=organization_of(url),
        workspace_host=host,
        databricks_requests_per_second=section.number("databricksRequestsPerSecond", default=15, least=1, most=100),
        azure_devops_attempts=section.number("azureDevOpsAttempts", default=8, least=1, most=100),
    )
    section.close()
    return result


def _address(
    section: Section,
    name: str,
    environment: Mapping[str, str],
    variable: str,
    *,
    normalise: Any,
    allowed: str,
    example: str,
) -> str:
    """An address that may stand in the settings or in a variable; in both only if they agree."""
    from_variable = environment.get(variable, "").strip()
    of_variable = normalise(from_variable) if from_variable else None
    if from_variable and not of_variable:
        section.problems.add(
            f"{variable} (environment variable)",
            found=Phrase(describe(without_credentials(from_variable))),
            allowed=allowed,
            remedy=f"export {variable}={example}",
        )
    if not section.has(name):
        if not from_variable:
            section.problems.add(
                section.key(name),
                found=Phrase(f"nothing, and the environment variable {variable} isn't set either"),
                allowed=allowed,
                remedy=f"{section.problems.how_to_set(section.at(name), example)}\nor: export {variable}={example}",
            )
        return of_variable or ""
    value = section.values[name]
    of_setting = normalise(value) if isinstance(value, str) else None
    if not of_setting:
        found = Phrase(describe(without_credentials(value))) if isinstance(value, str) else None
        section.refuse(name, found=found, allowed=allowed, example=example)
    elif of_variable and of_setting.casefold() != of_variable.casefold():
        section.refuse(
            name,
            found=Phrase(f'"{of_setting}", but the environment variable {variable} says "{of_variable}"'),
            allowed="the same address in both, or one of the two alone; nothing is deployed to the wrong place",
            remedy=f"unset {variable}\nor: {section.problems.how_to_set(section.at(name), of_variable)}",
        )
    return of_setting or ""


def _split(text: str) -> SplitResult | None:
    """The parts of an http(s) address without credentials; http on loopback alone."""
    if re.search(r"\s|[\x00-\x1f\x7f]", text):
        return None
    try:
        parts = urlsplit(text)
        hostname, _ = parts.hostname, parts.port  # the port is read to have it checked
    except ValueError:
        return None
    if not hostname or "@" in parts.netloc or not re.fullmatch(r"[A-Za-z0-9.:-]+", hostname):
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and hostname in LOOPBACK):
        return None
    return parts


def organization_url(text: str) -> str | None:
    """The address of an Azure DevOps organisation without a slash at the end, or None.

    The old form https://contoso.visualstudio.com is taken too.
    """
    parts = _split(text.strip())
    if parts is None or parts.query or parts.fragment:
        return None
    path = parts.path.strip("/")
    own_host = parts.netloc.lower().endswith(".visualstudio.com")
    if (own_host and path) or (not own_host and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", path)):
        return None
    return f"{parts.scheme}://{parts.netloc.lower()}" + (f"/{path}" if path else "")


def organization_of(url: str) -> str:
    """The organisation's name in its address, as it is written there."""
    parts = urlsplit(url)
    return parts.path.strip("/") or parts.netloc.partition(".")[0]


def workspace_host(text: str) -> str | None:
    """The address of a Databricks workspace as https://host, or None.

    As with Databricks' own clients the scheme may be left out, and the query of an address copied from the browser
    (`/?o=1234`) is cut.
    """
    text = text.strip()
    parts = _split(text if "://" in text else f"https://{text}")
    if parts is None or parts.path.strip("/") or parts.fragment:
        return None
    return f"{parts.scheme}://{parts.netloc.lower()}"


def without_credentials(text: str) -> str:
    """The address without what stands before an @, which could be a token."""
    return re.sub(r"//[^/]*@", "//...@", text)


def is_inside(text: str) -> bool:
    """Whether a path is relative and stays inside the folder that it is relative to."""
    path = PurePosixPath(text)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in text and not re.match(r"[A-Za-z]:", text)


def siblings(stack: str, root: Path) -> dict[str, dict[str, Any]]:
    """What the files of the project's other stacks set, by the name of the stack, keys without our namespace.

    A file that can't be read has its say when that stack itself is deployed; here it counts as empty and is left out.
    """
    files = {
        path.name.removeprefix("Pulumi.").removesuffix(".yaml"): path for path in sorted(root.glob("Pulumi.*.yaml"))
    }
    found = {other: _config(path) for other, path in files.items() if other != stack}
    return {other: config for other, config in found.items() if config}


def of_project(raw: Mapping[str, Any], root: Path) -> frozenset[str]:
    """The settings whose value is the default in Pulumi.yaml, where that isn't empty; none where it can't be read."""
    try:
        config = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
        defaults = {str(key): entry["default"] for key, entry in config.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return frozenset()
    return frozenset(key for key, value in defaults.items() if value and raw.get(key) == value)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        return {str(key).removeprefix(f"{NAMESPACE}:"): value for key, value in config.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def _nested(config: object, *keys: str) -> Any:
    """A value deep inside what nobody has checked, or None."""
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def check_folders(
    problems: Problems, folder: str, host: str, environment: Mapping[str, str], others: Mapping[str, Any]
) -> None:
    """Report other stacks whose folder in the same workspace is this one, inside it, or around it."""
    for stack, config in others.items():
        theirs = _nested(config, "workspace", "folder")
        their_host = _nested(config, "services", "workspaceHost") or environment.get(HOST_VARIABLE) or host
        if folder_problem(theirs) or workspace_host(str(their_host)) != host:
            continue
        if naming.folders_overlap(folder, theirs):
            problems.add(
                f"{NAMESPACE}:workspace.folder",
                found=Phrase(f'"{folder}", while stack \'{stack}\' has "{theirs}" in the same workspace'),
                allowed="a folder of its own for each stack; not the same one, and none inside the other",
                remedy=problems.how_to_set("workspace.folder", f"/bike-sharing-{problems.stack}"),
            )


def check_owner(
    problems: Problems, project: str, organization: str, environment: Mapping[str, str], others: Mapping[str, Any]
) -> None:
    """Report other stacks that own the control plane of the same project in the same organisation."""
    for stack, config in others.items():
        if not _nested(config, "controlPlane"):
            continue
        theirs = _nested(config, "controlPlane", "project", "name") or naming.PROJECT
        their_url = _nested(config, "services", "organizationUrl") or environment.get(ORGANIZATION_VARIABLE) or ""
        same = str(theirs).casefold() == project.casefold()
        if same and (organization_url(str(their_url)) or organization).casefold() == organization.casefold():
            problems.add(
                f"{NAMESPACE}:controlPlane",
                found=Phrase(f"the control plane of project \"{project}\", which stack '{stack}' owns"),
                allowed="one owner; the other stacks read it, by controlPlaneStack",
                remedy=problems.how_to_remove("controlPlane"),
            )
