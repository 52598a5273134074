"""What the commands read of a stack's file."""

import re
from pathlib import Path

import pytest

from components import naming
from components.settings import parse
from delivery.console import UnusableError
from delivery.stack import azure_devops_client, read_stack, workspace_client
from rehearsal.service import listen
from tests.components.settings_samples import ENVIRONMENT as SERVICES
from tests.components.settings_samples import make_project

ROOT = Path(__file__).parents[2]


def write(folder: Path, stack: str, text: str) -> None:
    lines = "".join(f"  databricks-cicd:{line}\n" for line in text.splitlines())
    (folder / f"Pulumi.{stack}.yaml").write_text(f"config:\n{lines}")


def test_the_committed_stacks_are_read_as_the_program_reads_them() -> None:
    test, prod = read_stack(ROOT, "test"), read_stack(ROOT, "prod")
    assert (test.environment, prod.environment) == ("test", "production")
    assert test.owns_control_plane
    assert not prod.owns_control_plane
    assert test.project == prod.project == naming.PROJECT
    assert prod.default_branch == naming.branch_ref(naming.DEFAULT_BRANCH)
    assert prod.approvers


def test_the_defaults_are_the_programs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    raw = {
        "environment": "test",
        "controlPlane": {"review": {"minimumReviewers": 1}},
        "workspace": {"folder": "/bikes"},
    }
    owner = parse(raw, stack="test", environment=SERVICES, root=project).control_plane
    write(project, "test", "environment: test\nworkspace: {folder: /bikes}")
    stack = read_stack(project, "test")
    assert owner is not None
    assert stack.project == owner.project.name
    assert stack.default_branch == naming.branch_ref(owner.repository.default_branch)


def test_the_project_is_that_of_the_stack_that_owns_the_control_plane(tmp_path: Path) -> None:
    write(tmp_path, "shared", "environment: test\nworkspace: {folder: /a}\ncontrolPlane: {project: {name: Bikes}}")
    write(tmp_path, "prod", "environment: production\nworkspace: {folder: /b/}\ncontrolPlaneStack: shared")
    prod = read_stack(tmp_path, "prod")
    assert (prod.project, prod.folder) == ("Bikes", "/b")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workspace: {folder: /a}", "environment is None"),
        ("environment: test", "workspace.folder is None"),
        ("environment: [", "not valid YAML"),
    ],
)
def test_what_a_command_needs_and_a_stack_lacks_is_told(tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path, "test", text)
    with pytest.raises(UnusableError, match=told):
        read_stack(tmp_path, "test")


def test_a_stack_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"Pulumi\.nowhere\.yaml: No such file"):
        read_stack(tmp_path, "nowhere")


def test_organisation_and_project_of_the_pipeline_win_over_the_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        "test",
        "environment: test\nworkspace: {folder: /a}\ncontrolPlane: {project: {name: Bikes}}\n"
        "services: {organizationUrl: https://dev.azure.com/contoso}",
    )
    stack = read_stack(tmp_path, "test")
    for name in ("SYSTEM_TEAMPROJECT", "SYSTEM_COLLECTIONURI"):
        monkeypatch.delenv(name, raising=False)
    client = azure_devops_client(stack)
    assert (client.organization_url, client.project) == ("https://dev.azure.com/contoso", "Bikes")
    monkeypatch.setenv("SYSTEM_TEAMPROJECT", "Trips")
    assert azure_devops_client(stack).project == "Trips"
    assert azure_devops_client(stack, "Stations").project == "Stations"


@pytest.mark.parametrize(
    ("host", "az", "told"),
    [
        (
            "https://adb-1.2.azuredatabricks.net",
            "echo \"ERROR: Please run 'az login'\" >&2; exit 1",
            "az says: ERROR: Please",
        ),
        ("https://adb-1.2.azuredatabricks.net", "exit 3", "az says: it ends with 3"),
        ("https://adb-1.2.azuredatabricks.net", None, "there is no az on the PATH"),
        ("https://contoso.cloud.databricks.com", "exit 0", "azure-cli is for workspaces of Azure, and https://contoso"),
    ],
)
def test_who_is_not_signed_in_with_the_azure_cli_hears_what_that_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, az: str | None, told: str
) -> None:
    write(tmp_path, "test", f"environment: test\nworkspace: {{folder: /a}}\nservices: {{workspaceHost: '{host}'}}")
    if az is not None:
        (tmp_path / "az").write_text(f"#!/bin/sh\n{az}\n")
        (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "azure-cli")
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # Nothing is asked outside of this machine.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UnusableError, match=re.escape(told)):
        workspace_client(read_stack(tmp_path, "test"), retry_seconds=1)


@pytest.mark.parametrize("kind", ["oauth-m2m", "azure-devops-oidc"])
def test_a_workspace_that_gives_no_tokens_is_named_and_no_secret_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with listen() as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    write(tmp_path, "test", f"environment: test\nworkspace: {{folder: /a}}\nservices: {{workspaceHost: '{nobody}'}}")
    given = {
        "DATABRICKS_AUTH_TYPE": kind,
        "DATABRICKS_CLIENT_ID": "somebody",
        "DATABRICKS_CLIENT_SECRET": "dose-of-somebody",
        "SYSTEM_ACCESSTOKEN": "token-of-the-job",
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": f"{nobody}/",
        **dict.fromkeys(("SYSTEM_TEAMPROJECTID", "SYSTEM_PLANID", "SYSTEM_JOBID", "SYSTEM_HOSTTYPE"), "x"),
    }
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UnusableError, match="the workspace doesn't answer") as told:
        workspace_client(read_stack(tmp_path, "test"), retry_seconds=1)
    assert nobody in str(told.value)
    assert "dose-of-somebody" not in str(told.value)
    assert "token-of-the-job" not in str(told.value)
