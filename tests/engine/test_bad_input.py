"""Bad input, typed as a user types it: one clear message, an exit code that isn't 0, and nothing made or changed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.shelf import Shelf
from tests.engine.system import Outcome, System

pytestmark = pytest.mark.engine

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def shared(shelf: Shelf) -> Iterator[System]:
    """A system on which nothing is deployed, and on which nothing in this module deploys anything."""
    with shelf.system("nothing") as system:
        yield system


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


def many_in_test(settings: dict[str, Any]) -> None:
    workspace = settings["workspace"]
    workspace["acess"] = []
    workspace["folder"] = "bikes"
    workspace["access"] = [
        {"group": "data-engineers", "level": "CAN_WRITE"},
        {"group": "data-analysts", "level": "CAN_RUN"},
        {"group": "data-analysts", "level": "CAN_READ"},
    ]
    settings["gait"] = {}
    settings["gate"] = {"approvers": [], "timeoutHours": -1}
    settings["notebooks"] = {"folder": "nootbooks"}


def many_in_prod(settings: dict[str, Any]) -> None:
    hours = {"days": ["monday"], "start": "09:00", "end": "17:00", "timeZone": "Europe/Atlantis"}
    settings["gate"] |= {"timeoutHours": "soon", "minimumApprovals": 3, "businessHours": hours}
    settings["workspace"]["folder"] = "/bike-sharing-test/production"


# Each mistake alone is told in tests/components/test_settings_mistakes.py.
MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "test": (
        many_in_test,
        (
            *("workspace.acess", "did you mean 'access'", "gait", "did you mean 'gate'", '"bikes"', "absolute"),
            *("CAN_WRITE", "CAN_EDIT", "data-analysts", "gate.approvers", "continuous deployment", "gate.timeoutHours"),
            *("notebooks.folder", "nootbooks"),
        ),
    ),
    "prod": (
        many_in_prod,
        (
            *("gate.timeoutHours", "soon", "pulumi config set", "gate.minimumApprovals", "3"),
            *("gate.businessHours.timeZone", "Europe/Atlantis", "/bike-sharing-test/production"),
        ),
    ),
}


@pytest.mark.parametrize("stack", MISTAKES)
def test_all_mistakes_of_a_stack_file_are_told_in_one_go_with_their_remedies(untouched: System, stack: str) -> None:
    change, words = MISTAKES[stack]
    untouched.project.settings(stack, change)
    refused(untouched.project.up(stack), *words)


def _write(path: str, content: bytes) -> Callable[[Path], object]:
    def write(project: Path) -> None:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(content)

    return write


NOTEBOOK = b"# Databricks notebook source\nprint(1)\n"
SQL_NOTEBOOK = b"-- Databricks notebook source\nSELECT 1\n"

# Each alone in tests/test_release_files.py.
FILES: tuple[tuple[Callable[[Path], object], str], ...] = (
    (_write("notebooks/twin.py", NOTEBOOK), "twin.py"),
    (_write("notebooks/twin.sql", SQL_NOTEBOOK), "twin.sql"),
    (_write("notebooks/large.csv", b"1" * (11 * 1024 * 1024)), "large.csv"),
    (_write("notebooks/broken.ipynb", b"{"), "broken.ipynb"),
    (lambda project: (project / "notebooks" / "away.py").symlink_to("../../outside.py"), "away.py"),
    (_write("notebooks/a\\b.py", NOTEBOOK), "a\\b.py"),
)


def test_all_files_that_cannot_be_deployed_are_named_in_one_go(untouched: System) -> None:
    for write, _ in FILES:
        write(untouched.project.path)
    refused(untouched.project.up("test"), "notebooks.folder", *(name for _, name in FILES))


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
