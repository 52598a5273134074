"""The settings of a stack: the only place that reads Pulumi's configuration.

`load` is what the program calls. `parse` is the same without Pulumi: configuration, environment and project folder in,
checked `Settings` out, or one `SettingsError` that lists every mistake. Credentials are never settings: the providers
read them from the environment variables that they document.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import pulumi
import pulumi.runtime.config

from components import naming, settings_azure_devops, settings_databricks, settings_job_sources, settings_places
from components.settings_model import (
    Access,
    Agents,
    Autoscale,
    BusinessHours,
    Cluster,
    ControlPlane,
    Gate,
    Job,
    Notebooks,
    Notify,
    Principal,
    Project,
    Repository,
    RequiredReviewers,
    Review,
    Schedule,
    Services,
    Settings,
    Task,
    Workspace,
)
from components.settings_reading import NAMESPACE, Encrypted, Phrase, Problem, Problems, Section, SettingsError
from release_files import Release, ReleaseError, is_pattern, scan

__all__ = [
    "NAMESPACE",
    "Access",
    "Agents",
    "Autoscale",
    "BusinessHours",
    "Cluster",
    "ControlPlane",
    "Gate",
    "Job",
    "Notebooks",
    "Notify",
    "Principal",
    "Problem",
    "Project",
    "Repository",
    "RequiredReviewers",
    "Review",
    "Schedule",
    "Services",
    "Settings",
    "SettingsError",
    "Task",
    "Workspace",
    "load",
    "parse",
]

DEFAULT_CONTROL_PLANE_STACK = "test"
SCALARS = ("environment", "controlPlaneStack")


def load() -> Settings:
    """The settings of the stack that runs. Their warnings are shown.

    Raises:
        pulumi.RunError: the settings have mistakes; Pulumi shows the message without a traceback.
    """
    try:
        settings = parse(
            _configuration(),
            stack=pulumi.get_stack(),
            environment=os.environ,
            root=Path(pulumi.runtime.get_root_directory() or "."),
        )
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in settings.warnings:
        pulumi.log.warn(warning)
    return settings


def _configuration() -> dict[str, Any]:
    """All configuration of the stack: our keys without namespace, the others with theirs.

    `pulumi.Config` gives the value of a key that one knows; misspelt keys show only in the whole.
    """
    given = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    secret = set(pulumi.runtime.get_config_secret_keys_env())
    result: dict[str, Any] = {}
    for full, text in given.items():
        key = full.removeprefix(f"{NAMESPACE}:")
        if full in secret or pulumi.runtime.is_config_secret(full):
            result[key] = Encrypted()
        else:
            result[key] = text if key in SCALARS else _decoded(text)
    return result


def _decoded(text: Any) -> Any:
    """Pulumi hands objects and lists to the program as JSON; anything else stays the text that it is."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def parse(raw: Mapping[str, Any], *, stack: str, environment: Mapping[str, str], root: Path) -> Settings:
    """Check the configuration of a stack.

    Args:
        raw: the stack's configuration, decoded; keys of other namespaces in full (`azuredevops:orgServiceUrl`).
        stack: the short name of the stack, for the remedies and for what a stack must not say about itself.
        environment: environment variables (AZDO_ORG_SERVICE_URL and DATABRICKS_HOST are read).
        root: the project's folder, with the stack files and the folder of notebooks.

    Raises:
        SettingsError: with every mistake.
    """
    problems = Problems(stack, settings_places.of_project(raw, root))
    top = Section(problems, "", {key: value for key, value in raw.items() if ":" not in str(key)}, "")
    settings_places.check_namespaces(problems, raw)
    if _is_not_set_up(top):
        problems.found.insert(0, _not_set_up(stack, root))
        raise SettingsError(stack, problems.found)
    name = cast(Literal["test", "production"], top.choice("environment", ("test", "production")))
    services = settings_places.services(top.section("services", {"databricksRequestsPerSecond": 15}), environment)
    owner, reads = _control_plane(top, stack)
    gate, warnings = settings_azure_devops.gate(top.section("gate", {"approvers": ["somebody@example.com"]}))
    example = {"folder": f"/bike-sharing-{name}"}
    workspace, more = settings_databricks.workspace(top.section("workspace", example), name)
    warnings += more
    others = settings_places.siblings(stack, root)
    if workspace.folder:
        settings_places.check_folders(problems, workspace.folder, services.workspace_host, environment, others)
    if owner:
        url = services.organization_url
        settings_places.check_owner(problems, owner.project.name, url, environment, others)
    notebooks = _notebooks(top.section("notebooks", {"folder": "notebooks"}), root, "notebooks")
    tests = _tests(top, root, name, notebooks)
    jobs = settings_job_sources.jobs(top, settings_job_sources.runnable(notebooks, tests))
    top.close()
    if problems.found:
        raise SettingsError(stack, problems.found)
    return Settings(
        environment=name,
        services=services,
        control_plane=owner,
        control_plane_stack=reads,
        gate=gate,
        workspace=workspace,
        notebooks=notebooks,
        tests=tests,
        jobs=MappingProxyType(jobs),
        warnings=tuple(warnings),
    )


def _is_not_set_up(top: Section) -> bool:
    """A stack without a file of its own has nothing but the defaults of Pulumi.yaml."""
    return not any(value for key, value in top.values.items() if key not in top.problems.of_project)


def _not_set_up(stack: str, root: Path) -> Problem:
    others = settings_places.siblings(stack, root)
    remedy = f"did you mean --stack {' or --stack '.join(others)}? " if others else ""
    return Problem(
        key=f"{NAMESPACE}:environment",
        found=f"nothing: stack '{stack}' isn't set up, Pulumi.{stack}.yaml has no settings",
        allowed="test or production, and a folder in the workspace",
        remedy=f"{remedy}To set it up, write Pulumi.{stack}.yaml, for example:\n"
        f"config:\n  {NAMESPACE}:environment: test\n  {NAMESPACE}:workspace:\n    folder: /bike-sharing-{stack}",
    )


def _control_plane(top: Section, stack: str) -> tuple[ControlPlane | None, str | None]:
    """The control plane that this stack owns, or the name of the stack to read it from."""
    # Empty is what Pulumi.yaml gives a stack that doesn't say anything.
    owns = top.has("controlPlane") and top.values["controlPlane"] != {}
    other = top.values["controlPlaneStack"] if top.has("controlPlaneStack") else ""
    owner = settings_azure_devops.control_plane(top.section("controlPlane", {"project": {"name": naming.PROJECT}}))
    if owns and other != "":
        top.refuse(
            "controlPlaneStack",
            found=Phrase("controlPlane and controlPlaneStack together"),
            allowed="controlPlane in the one stack that owns project and pipelines; controlPlaneStack in the others",
            remedy="\nor: ".join(top.problems.how_to_remove(key) for key in ("controlPlane", "controlPlaneStack")),
        )
    if owns:
        return owner, None
    if other == "":
        other = DEFAULT_CONTROL_PLANE_STACK
    if other == stack:
        top.refuse(
            "controlPlaneStack",
            found=Phrase(f'"{other}", which is this stack itself'),
            allowed="the stack that owns the control plane; or controlPlane, where this is the one",
            remedy=top.problems.how_to_set("controlPlane", {"project": {"name": naming.PROJECT}}),
        )
    elif not (isinstance(other, str) and settings_places.STACK_NAME.fullmatch(other)):
        top.refuse(
            "controlPlaneStack",
            allowed="the short name of a stack: letters, digits, hyphen, underscore and dot",
            example=DEFAULT_CONTROL_PLANE_STACK,
        )
    return None, str(other)


def _notebooks(section: Section, root: Path, default: str) -> Notebooks:
    """What is deployed. After a mistake the release is empty, with the digest ""."""
    folder = section.text(
        "folder",
        default=default,
        allowed="a folder inside the project, relative to Pulumi.yaml (the same on every machine)",
        example=default,
        check=settings_places.is_inside,
    )
    ignore = section.texts(
        "ignore", allowed="a list of patterns as in .gitignore", example=["scratch/"], check=is_pattern
    )
    section.close()
    release = Release(files=(), digest="")
    try:
        release = scan(root / folder, ignore)
    except ReleaseError as error:
        for mistake in error.mistakes:
            where = f" ({mistake.file})" if mistake.file else ""
            section.problems.add(
                section.key("folder"),
                found=Phrase(f'"{folder}"{where}: {mistake.found}'),
                allowed=mistake.allowed,
                # What reads a folder knows only one setting for folders.
                remedy=mistake.remedy.replace(f"{NAMESPACE}:notebooks.", f"{NAMESPACE}:{section.path}."),
            )
    return Notebooks(folder=folder, ignore=ignore, release=release)


def _tests(top: Section, root: Path, environment: str, notebooks: Notebooks) -> Notebooks | None:
    """What is delivered beside the notebooks, below `tests`; None where nothing is said."""
    section = top.section("tests", {"folder": "tests/release"})
    if section.is_mapping and not section.values:
        return None
    tests = _notebooks(section, root, "tests/release")
    if environment == "production":
        top.refuse(
            "tests",
            allowed="nothing: tests run in the test environment, production gets the release alone",
            remedy=top.problems.how_to_remove("tests"),
        )
    taken = [
        file.source
        for file in notebooks.release.files
        if file.workspace_path == naming.TESTS or file.workspace_path.startswith(f"{naming.TESTS}/")
    ]
    if taken:
        top.refuse(
            "tests",
            found=Phrase(f"{taken[0]} in the folder of notebooks, where the tests are delivered"),
            allowed=f"nothing named {naming.TESTS} at the top of {notebooks.folder}",
            remedy=f"rename it, or take the tests away: {top.problems.how_to_remove('tests')}",
        )
    return tests
