"""Bad input, typed as a user types it: one clear message, an exit code that isn't 0, and nothing made or changed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.toolchain import Toolchain
from tests.engine.system import Outcome, System

pytestmark = pytest.mark.engine

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def shared(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system on which nothing is deployed, and on which nothing in this module deploys anything."""
    system = System(tmp_path_factory.mktemp("system"), toolchain)
    yield system
    system.close()


@pytest.fixture
def untouched(shared: System) -> Iterator[System]:
    """Puts the project back afterwards and sees to it that neither service was asked to change anything."""
    shared.azure.forget()
    shared.workspace.forget()
    yield shared
    shared.project.git("checkout", "--quiet", "--", ".")
    shared.project.git("clean", "--quiet", "--force", "-d", "--", "notebooks", "Pulumi.staging.yaml")
    writes = [
        each
        for service in (shared.azure, shared.workspace)
        for each in service.requests()
        if each["method"] not in ("GET", "OPTIONS", "HEAD")
    ]
    assert writes == []


def refused(outcome: Outcome, *words: str) -> None:
    """The command failed with one error that has all the words, and without a traceback."""
    assert outcome.code != 0, outcome.text
    assert "Traceback" not in outcome.text
    missing = [word for word in words if word not in outcome.text]
    assert not missing, f"not said: {missing}\n{outcome.text}"


def in_part(key: str, **values: Any) -> Change:
    """Sets keys of one part of the settings."""
    return lambda settings: settings.setdefault(key, {}).update(values)


def access(*entries: dict[str, str]) -> Change:
    return in_part("workspace", access=list(entries))


MISTAKES: dict[str, tuple[str, Change, tuple[str, ...]]] = {
    "a misspelt key": (
        "test",
        lambda settings: settings["workspace"].update(acess=[]),
        ("workspace.acess", "access"),
    ),
    "an unknown top-level key": ("test", lambda settings: settings.update(gait={}), ("gait", "gate")),
    "a wrong type": ("prod", in_part("gate", timeoutHours="soon"), ("gate.timeoutHours", "soon", "pulumi config set")),
    "an empty folder": ("test", in_part("workspace", folder=""), ("workspace.folder", "absolute")),
    "a relative folder": ("test", in_part("workspace", folder="bikes"), ("workspace.folder", '"bikes"', "absolute")),
    "the other stack's folder": (
        "prod",
        in_part("workspace", folder="/bike-sharing-test"),
        ("workspace.folder", "/bike-sharing-test"),
    ),
    "a folder inside the other stack's": (
        "prod",
        in_part("workspace", folder="/bike-sharing-test/production"),
        ("workspace.folder", "/bike-sharing-test"),
    ),
    "production below /Shared": (
        "prod",
        in_part("workspace", folder="/Shared/production"),
        ("workspace.folder", "/Shared", "allowShared"),
    ),
    "an unknown permission level": (
        "test",
        access({"group": "data-engineers", "level": "CAN_WRITE"}),
        ("level", "CAN_WRITE", "CAN_EDIT"),
    ),
    "the same principal twice": (
        "test",
        access({"group": "data-engineers", "level": "CAN_RUN"}, {"group": "data-engineers", "level": "CAN_READ"}),
        ("workspace.access", "data-engineers"),
    ),
    "no approvers in the list": ("prod", in_part("gate", approvers=[]), ("gate.approvers", "continuous deployment")),
    "more approvals than approvers": ("prod", in_part("gate", minimumApprovals=3), ("gate.minimumApprovals", "3")),
    "an unknown time zone": (
        "prod",
        in_part(
            "gate", businessHours={"days": ["monday"], "start": "09:00", "end": "17:00", "timeZone": "Europe/Atlantis"}
        ),
        ("gate.businessHours.timeZone", "Europe/Atlantis"),
    ),
    "a missing folder of notebooks": (
        "test",
        in_part("notebooks", folder="nootbooks"),
        ("notebooks.folder", "nootbooks"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_stack_file_is_named_with_its_remedy_and_changes_nothing(
    untouched: System, mistake: str
) -> None:
    stack, change, words = MISTAKES[mistake]
    untouched.project.settings(stack, change)
    refused(untouched.project.up(stack), *words)


def test_all_mistakes_of_a_stack_file_are_told_in_one_go(untouched: System) -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["workspace"]["folder"] = "bikes"
        settings["workspace"]["acess"] = []
        settings["gate"] = {"approvers": [], "timeoutHours": -1}

    untouched.project.settings("test", change)
    refused(untouched.project.up("test"), "workspace.folder", "workspace.acess", "gate.approvers", "gate.timeoutHours")


def _write(path: str, content: bytes) -> Callable[[Path], object]:
    def write(project: Path) -> None:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(content)

    return write


NOTEBOOK = b"# Databricks notebook source\nprint(1)\n"
SQL_NOTEBOOK = b"-- Databricks notebook source\nSELECT 1\n"

FILES: dict[str, tuple[list[Callable[[Path], object]], tuple[str, ...]]] = {
    "two files that become one path": (
        [_write("notebooks/twin.py", NOTEBOOK), _write("notebooks/twin.sql", SQL_NOTEBOOK)],
        ("twin.py", "twin.sql"),
    ),
    "a file over the limit": ([_write("notebooks/large.csv", b"1" * (11 * 1024 * 1024))], ("large.csv", "10")),
    "an invalid notebook": ([_write("notebooks/broken.ipynb", b"{")], ("broken.ipynb",)),
    "a link out of the folder": (
        [lambda project: (project / "notebooks" / "away.py").symlink_to("../../outside.py")],
        ("away.py",),
    ),
    "a name that the workspace refuses": ([_write("notebooks/a\\b.py", NOTEBOOK)], ("a\\b.py",)),
}


@pytest.mark.parametrize("mistake", FILES)
def test_a_file_that_cannot_be_deployed_is_named_with_its_remedy_and_changes_nothing(
    untouched: System, mistake: str
) -> None:
    writes, words = FILES[mistake]
    for write in writes:
        write(untouched.project.path)
    refused(untouched.project.up("test"), "notebooks.folder", *words)


def test_an_empty_folder_of_notebooks_is_refused(untouched: System) -> None:
    (untouched.project.path / "notebooks" / "empty").mkdir()
    untouched.project.settings("test", in_part("notebooks", folder="notebooks/empty"))
    refused(untouched.project.up("test"), "notebooks.folder", "empty")


CREDENTIALS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "no organisation": ({"AZDO_ORG_SERVICE_URL": ""}, ("services.organizationUrl", "AZDO_ORG_SERVICE_URL")),
    "no workspace host": ({"DATABRICKS_HOST": ""}, ("services.workspaceHost", "DATABRICKS_HOST")),
    "no Azure DevOps token": ({"AZDO_PERSONAL_ACCESS_TOKEN": ""}, ("Azure DevOps", "AZDO_PERSONAL_ACCESS_TOKEN")),
    "a wrong Azure DevOps token": (
        {"AZDO_PERSONAL_ACCESS_TOKEN": "wrong"},
        ("Azure DevOps", "AZDO_PERSONAL_ACCESS_TOKEN"),
    ),
    "no Databricks token": ({"DATABRICKS_TOKEN": ""}, ("Databricks", "DATABRICKS_TOKEN")),
    "a wrong Databricks token": ({"DATABRICKS_TOKEN": "wrong"}, ("Databricks", "DATABRICKS_TOKEN")),
    "both wrong": (
        {"AZDO_PERSONAL_ACCESS_TOKEN": "wrong", "DATABRICKS_TOKEN": "wrong"},
        ("AZDO_PERSONAL_ACCESS_TOKEN", "DATABRICKS_TOKEN"),
    ),
}


@pytest.mark.parametrize("mistake", CREDENTIALS)
def test_a_missing_or_wrong_credential_is_named_with_its_remedy_and_changes_nothing(
    untouched: System, mistake: str
) -> None:
    environment, words = CREDENTIALS[mistake]
    refused(untouched.project.up("test", environment=environment), *words)


@pytest.mark.parametrize(
    ("service", "variable"), [("azure", "AZDO_PERSONAL_ACCESS_TOKEN"), ("workspace", "DATABRICKS_TOKEN")]
)
def test_an_expired_credential_is_named_with_its_remedy_and_changes_nothing(
    untouched: System, service: str, variable: str
) -> None:
    token = getattr(untouched, service).tokens["expired"]
    outcome = untouched.project.up("test", environment={variable: token})
    refused(outcome, variable, "expired")
    assert token not in outcome.text


def test_production_before_the_control_plane_says_which_stack_to_deploy_first(untouched: System) -> None:
    refused(untouched.project.up("prod"), "controlPlaneStack", "pulumi up --stack test")


def test_a_stack_that_is_not_set_up_says_what_to_write(untouched: System) -> None:
    made = untouched.project.pulumi("stack", "init", "staging")
    assert made, made.text
    refused(untouched.project.up("staging"), "staging", "isn't set up", "Pulumi.staging.yaml")


def test_two_addresses_for_one_service_are_refused(untouched: System) -> None:
    untouched.project.settings(
        "test", in_part("services", workspaceHost="https://adb-1234567890123456.7.azuredatabricks.net")
    )
    refused(untouched.project.up("test"), "services.workspaceHost", "DATABRICKS_HOST")
