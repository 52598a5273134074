"""What a stack's configuration means when it is right."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.settings import NAMESPACE, Access, BusinessHours, Principal, Settings, load, parse
from tests.components.settings_samples import ENVIRONMENT, FULL, changed, make_project, without

MINIMAL: dict[str, Any] = {
    "environment": "test",
    "controlPlane": {"project": {"name": "Bikes"}},
    "workspace": {"folder": "/bikes"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with a few notebooks."""
    return make_project(tmp_path)


def read(raw: dict[str, Any], root: Path, stack: str = "test", environment: dict[str, str] = ENVIRONMENT) -> Settings:
    return parse(raw, stack=stack, environment=environment, root=root)


def test_every_key_arrives_in_the_settings(project: Path) -> None:
    settings = read(FULL, project)
    assert settings.environment == "test"
    assert settings.services.databricks_requests_per_second == 20
    assert settings.services.azure_devops_attempts == 3
    assert settings.control_plane is not None
    assert settings.control_plane.project.adopt
    assert settings.control_plane.repository.default_branch == "trunk"
    review = settings.control_plane.review
    assert (review.minimum_reviewers, review.requester_vote_counts, review.reset_votes_on_push) == (2, True, False)
    assert (review.resolve_comments, review.merge_types) == (False, ("squash", "rebase"))
    assert review.linked_work_item == "optional"
    assert review.required_reviewers[0].reviewers == ("dana@example.com",)
    assert settings.control_plane.agents.image == "ubuntu-22.04"
    assert settings.gate.approvers == ("avery@example.com", "ari@example.com")
    assert (settings.gate.minimum_approvals, settings.gate.timeout_hours) == (2, 24)
    assert settings.gate.business_hours == BusinessHours(
        days=("monday", "friday"), start="08:00", end="16:30", time_zone="UTC"
    )
    assert settings.workspace.access[1] == Access(
        principal=Principal(kind="user", name="dana@example.com"), level="CAN_RUN"
    )
    assert settings.notebooks.ignore == ("scratch/",)
    assert settings.tests is not None
    assert [file.source for file in settings.tests.release.files] == ["functional.py"]
    assert set(settings.jobs) == {"daily", "suite"}
    assert settings.warnings == ()


def test_what_isnt_said_has_the_documented_default(project: Path) -> None:
    settings = read(MINIMAL, project)
    assert settings.control_plane is not None
    review = settings.control_plane.review
    assert (review.minimum_reviewers, review.requester_vote_counts, review.reset_votes_on_push) == (1, False, True)
    assert (review.resolve_comments, review.merge_types, review.linked_work_item) == (True, ("squash",), "off")
    assert settings.control_plane.repository.default_branch == "main"
    assert settings.control_plane.project.visibility == "private"
    assert not settings.control_plane.project.adopt
    assert settings.control_plane.agents.image == "ubuntu-latest"
    assert settings.gate.approvers == ()
    assert (settings.gate.minimum_approvals, settings.gate.requester_may_approve) == (1, False)
    assert (settings.gate.timeout_hours, settings.gate.exclusive_lock) == (72, True)
    assert settings.gate.only_from_default_branch
    assert settings.services.databricks_requests_per_second == 15
    assert settings.services.azure_devops_attempts == 8
    assert not settings.workspace.protect
    assert settings.jobs == {}
    assert len(settings.notebooks.release.files) == 3


def test_production_is_protected_unless_the_stack_says_otherwise(project: Path) -> None:
    production = without("controlPlane", changed("environment", "production", MINIMAL))
    production = changed("workspace.access", [{"group": "data-engineers", "level": "CAN_READ"}], production)
    assert read(production, project, stack="prod").workspace.protect
    assert not read(changed("workspace.protect", False, production), project, stack="prod").workspace.protect


def test_a_stack_without_control_plane_reads_it_from_test(project: Path) -> None:
    settings = read(without("controlPlane", MINIMAL), project, stack="prod")
    assert settings.control_plane is None
    assert settings.control_plane_stack == "test"


def test_the_empty_defaults_of_the_project_file_count_as_not_set(project: Path) -> None:
    empty = {"services": {}, "controlPlane": {}, "controlPlaneStack": "", "gate": {}, "notebooks": {}, "jobs": {}}
    settings = read({**without("controlPlane", MINIMAL), **empty}, project, stack="prod")
    assert settings.control_plane is None
    assert settings.control_plane_stack == "test"


def test_an_unquoted_off_is_what_yaml_makes_of_it(project: Path) -> None:
    settings = read(changed("controlPlane.review.linkedWorkItem", False), project)
    assert settings.control_plane is not None
    assert settings.control_plane.review.linked_work_item == "off"


def test_a_pool_takes_the_place_of_the_hosted_image(project: Path) -> None:
    settings = read(changed("controlPlane.agents", {"pool": "Our agents"}), project)
    assert settings.control_plane is not None
    assert (settings.control_plane.agents.pool, settings.control_plane.agents.image) == ("Our agents", None)


@pytest.mark.parametrize(
    ("given", "url", "name"),
    [
        ("https://dev.azure.com/Contoso/", "https://dev.azure.com/Contoso", "Contoso"),
        ("HTTPS://DEV.azure.com/contoso", "https://dev.azure.com/contoso", "contoso"),
        ("https://contoso.visualstudio.com/", "https://contoso.visualstudio.com", "contoso"),
        ("http://127.0.0.1:8080/rehearsal", "http://127.0.0.1:8080/rehearsal", "rehearsal"),
    ],
)
def test_the_organisation_is_taken_from_its_address(project: Path, given: str, url: str, name: str) -> None:
    services = read(MINIMAL, project, environment={**ENVIRONMENT, "AZDO_ORG_SERVICE_URL": given}).services
    assert (services.organization_url, services.organization) == (url, name)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("https://ADB-1.2.azuredatabricks.net/", "https://adb-1.2.azuredatabricks.net"),
        ("adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net"),
        ("https://adb-1.2.azuredatabricks.net/?o=1", "https://adb-1.2.azuredatabricks.net"),
        ("http://localhost:9000", "http://localhost:9000"),
    ],
)
def test_the_host_of_the_workspace_is_normalised(project: Path, given: str, host: str) -> None:
    settings = read(MINIMAL, project, environment={**ENVIRONMENT, "DATABRICKS_HOST": given})
    assert settings.services.workspace_host == host


def test_an_address_may_stand_in_both_places_if_it_is_the_same(project: Path) -> None:
    environment = {**ENVIRONMENT, "AZDO_ORG_SERVICE_URL": "https://dev.azure.com/CONTOSO/"}
    assert read(FULL, project, environment=environment).services.organization_url == "https://dev.azure.com/contoso"


@pytest.mark.parametrize("folder", ["/Workspace/bikes", "/bikes/", "/Workspace/bikes/"])
def test_a_folder_has_one_spelling(project: Path, folder: str) -> None:
    assert read(changed("workspace.folder", folder), project).workspace.folder == "/bikes"


def test_a_shared_folder_is_a_warning_for_test(project: Path) -> None:
    settings = read(changed("workspace.folder", "/Shared/bikes"), project)
    assert settings.workspace.folder == "/Shared/bikes"
    (warning,) = settings.warnings
    assert "/Shared/bikes" in warning


def test_a_shared_folder_is_taken_for_production_if_it_is_wanted(project: Path) -> None:
    raw = changed("workspace.allowShared", True, changed("workspace.folder", "/Shared/bikes"))
    raw |= {"tests": {}, "jobOverrides": {}}
    assert read(changed("environment", "production", raw), project).workspace.folder == "/Shared/bikes"


def test_settings_of_an_approval_that_nobody_gives_are_a_warning(project: Path) -> None:
    settings = read(without("gate.approvers"), project)
    assert settings.gate.approvers == ()
    assert any("gate.instructions has no effect" in warning for warning in settings.warnings)


def test_a_group_may_give_more_approvals_than_there_are_entries(project: Path) -> None:
    assert read(changed("gate.approvers", ["Release managers"]), project).gate.minimum_approvals == 2


def test_the_same_folder_in_another_workspace_is_fine(project: Path) -> None:
    other = "config:\n  databricks-cicd:workspace: {folder: /bikes}\n"
    other += "  databricks-cicd:services: {workspaceHost: 'https://adb-9.9.azuredatabricks.net'}\n"
    (project / "Pulumi.prod.yaml").write_text(other)
    assert read(FULL, project).workspace.folder == "/bikes"


@pytest.mark.parametrize(
    "theirs",
    [
        "databricks-cicd:controlPlane: {project: {name: Trams}}",
        "databricks-cicd:controlPlane: {project: {name: Bikes}}\n"
        "  databricks-cicd:services: {organizationUrl: https://dev.azure.com/fabrikam}",
    ],
)
def test_another_project_or_organisation_may_have_its_own_control_plane(project: Path, theirs: str) -> None:
    (project / "Pulumi.trams.yaml").write_text(f"config:\n  {theirs}\n")
    assert read(FULL, project).control_plane is not None


@pytest.mark.parametrize("content", ["", "[", "config: 5", "config:\n  databricks-cicd:workspace: 5\n", "\x00"])
def test_another_stack_file_that_cant_be_read_is_not_this_stacks_mistake(project: Path, content: str) -> None:
    (project / "Pulumi.prod.yaml").write_text(content)
    assert read(FULL, project).workspace.folder == "/bikes"


class TestLoad:
    """Reading from Pulumi, as the language host hands the configuration over."""

    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch, project: Path) -> Iterator[None]:
        for variable, value in ENVIRONMENT.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delenv("PULUMI_CONFIG", raising=False)
        monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
        monkeypatch.setattr(pulumi, "get_stack", lambda: "test")
        monkeypatch.setattr(pulumi.runtime, "get_root_directory", lambda: str(project))
        yield
        pulumi.runtime.set_all_config({}, [])

    @staticmethod
    def configuration(raw: dict[str, Any]) -> dict[str, str]:
        return {
            f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in raw.items()
        }

    def test_the_configuration_of_the_stack_is_read(self) -> None:
        pulumi.runtime.set_all_config({**self.configuration(FULL), "databricks:authType": "pat"}, [])
        assert load().workspace.folder == "/bikes"

    def test_configuration_from_the_environment_is_read_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(self.configuration(FULL)))
        assert load().workspace.folder == "/bikes"

    def test_mistakes_end_the_program_without_a_traceback(self) -> None:
        pulumi.runtime.set_all_config(self.configuration(changed("gate.timeoutHours", "soon")), [])
        with pytest.raises(pulumi.RunError, match=re.escape("databricks-cicd:gate.timeoutHours")) as raised:
            load()
        assert raised.value.__suppress_context__

    def test_an_encrypted_value_is_refused_and_not_shown(self) -> None:
        raw = {**FULL, "gate": {"instructions": "canary-4711"}}
        pulumi.runtime.set_all_config(self.configuration(raw), [f"{NAMESPACE}:gate"])
        with pytest.raises(pulumi.RunError) as raised:
            load()
        assert "databricks-cicd:gate" in str(raised.value)
        assert "canary-4711" not in str(raised.value)
