"""Both stacks deployed on fresh services: the official clients find every single thing, and nothing differs later."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.jobs import PauseStatus
from databricks.sdk.service.workspace import ExportFormat, ObjectType

from release_files import scan
from tests.engine.system import ROOT, System

pytestmark = pytest.mark.engine

FOLDERS = {"test": "/bike-sharing-test", "prod": "/bike-sharing-production"}


def policies(system: System) -> dict[str, list[dict[str, Any]]]:
    """The settings of the enabled and blocking policies, by the name of their type."""
    project = system.project.outputs("test")["project_id"]
    found: dict[str, list[dict[str, Any]]] = {}
    for each in system.azure_clients().get_policy_client().get_policy_configurations(project):
        assert each.is_enabled
        assert each.is_blocking
        found.setdefault(each.type.display_name, []).append(each.settings)
    return found


def checks(system: System, stack: str) -> dict[str, dict[str, Any]]:
    """The checks on a stack's environment, by the name of their type or task."""
    outputs = system.project.outputs(stack)
    project = system.project.outputs("test")["project_id"]
    found = {}
    for each in system.checks(project, outputs["environment_id"]):
        reference = (each.get("settings") or {}).get("definitionRef") or {}
        found[reference.get("name") or each["type"]["name"]] = each
    return found


def test_the_project_is_private_and_its_pipelines_are_limited(deployed: System) -> None:
    clients = deployed.azure_clients()
    outputs = deployed.project.outputs("test")
    project = clients.get_core_client().get_project("Databricks CI-CD", include_capabilities=True)
    assert project.id == outputs["project_id"]
    assert project.visibility == "private"
    settings = clients.get_build_client().get_build_general_settings(outputs["project_id"])
    assert settings.enforce_job_auth_scope
    assert settings.enforce_job_auth_scope_for_releases
    assert settings.enforce_referenced_repo_scoped_token
    assert settings.enforce_settable_var
    assert settings.status_badges_are_private


def test_the_repository_has_the_checkouts_commit_as_its_default_branch(deployed: System, tmp_path: Path) -> None:
    outputs = deployed.project.outputs("test")
    repository = deployed.azure_clients().get_git_client().get_repository("databricks-notebooks", outputs["project_id"])
    assert repository.default_branch == "refs/heads/main"
    subprocess.run(
        ["git", "clone", "--quiet", outputs["repository_url"], str(tmp_path / "clone")],
        env=deployed.git_environment("dana"),
        check=True,
    )
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True
    )
    assert head.stdout.strip() == deployed.project.git("rev-parse", "HEAD")


def test_main_takes_reviewed_built_and_squashed_pull_requests_only(deployed: System) -> None:
    outputs = deployed.project.outputs("test")
    found = policies(deployed)
    scope = [{"matchKind": "Exact", "refName": "refs/heads/main", "repositoryId": outputs["repository_id"]}]
    [reviewers] = found["Minimum number of reviewers"]
    assert reviewers["minimumApproverCount"] == 1
    assert reviewers["creatorVoteCounts"] is False
    assert reviewers["resetOnSourcePush"] is True
    assert reviewers["scope"] == scope
    [merge] = found["Require a merge strategy"]
    allowed = {key for key, value in merge.items() if key.startswith("allow") and value}
    assert allowed == {"allowSquash"}
    [build] = found["Build"]
    assert build["buildDefinitionId"] == outputs["build_pipeline_id"]
    assert build["manualQueueOnly"] is False
    assert build["validDuration"] == 0
    assert [each["scope"] for each in found["Comment requirements"]] == [scope]


def test_the_repository_refuses_names_paths_and_files_that_break_a_checkout(deployed: System) -> None:
    found = policies(deployed)
    assert found["Git repository settings"][0]["enforceConsistentCase"] is True
    assert found["Path Length restriction"][0]["maxPathLength"] == 250
    assert found["File size restriction"][0]["maximumGitBlobSizeInBytes"] == 10 * 1024 * 1024
    assert len(found["Reserved names restriction"]) == 1


def test_the_pipelines_read_their_yaml_from_main_and_have_not_run(deployed: System) -> None:
    outputs = deployed.project.outputs("test")
    build = deployed.azure_clients().get_build_client()
    for name in ("build", "release"):
        pipeline = build.get_definition(outputs["project_id"], outputs[f"{name}_pipeline_id"])
        assert pipeline.name == name
        assert pipeline.process["yamlFilename"] == f"pipelines/{name}.yml"
        assert pipeline.repository.default_branch == "refs/heads/main"
        assert pipeline.repository.id == outputs["repository_id"]
        assert not any(variable.allow_override for variable in (pipeline.variables or {}).values())
    assert build.get_builds(outputs["project_id"]) == []


def test_no_branch_can_start_what_signs_in_as_who_deploys(deployed: System) -> None:
    """`trigger` and `schedules` of a branch's YAML count only where the definition doesn't override them."""
    outputs = deployed.project.outputs("test")
    build = deployed.azure_clients().get_build_client()
    triggers = {
        name: build.get_definition(outputs["project_id"], outputs[f"{name}_pipeline_id"]).triggers
        for name in ("build", "release", "drift")
    }
    kinds = {name: [each["triggerType"] for each in found] for name, found in triggers.items()}
    assert kinds == {"build": ["continuousIntegration"], "release": ["schedule"], "drift": ["schedule"]}
    branches = {name: triggers[name][0]["schedules"][0]["branchFilters"] for name in ("release", "drift")}
    assert branches == {"release": ["+refs/heads/main", "-refs/heads/main"], "drift": ["+refs/heads/main"]}


def test_production_asks_the_approvers_and_never_the_requester(deployed: System) -> None:
    outputs = deployed.project.outputs("test")
    approval = checks(deployed, "prod")["Approval"]
    assert approval["settings"]["requesterCannotBeApprover"] is True
    assert approval["settings"]["minRequiredApprovers"] == 1
    assert approval["timeout"] == 72 * 60
    graph = deployed.azure_clients().get_graph_client()
    [group] = [
        each
        for each in graph.list_groups(graph.get_descriptor(outputs["project_id"]).value).graph_groups
        if each.origin_id == approval["settings"]["approvers"][0]["id"]
    ]
    members = graph.list_memberships(group.descriptor, direction="down")
    names = {graph.get_user(each.member_descriptor).principal_name for each in members}
    assert names == {"avery@rehearsal.example", "ari@rehearsal.example"}


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_an_environment_takes_one_deployment_at_a_time_from_main_alone(deployed: System, stack: str) -> None:
    found = checks(deployed, stack)
    assert found["evaluatebranchProtection"]["settings"]["inputs"]["allowedBranches"] == "refs/heads/main"
    assert found["evaluatebranchProtection"]["settings"]["inputs"]["ensureProtectionOfBranch"] == "true"
    assert "ExclusiveLock" in found
    assert set(found) == {"evaluatebranchProtection", "ExclusiveLock"} | ({"Approval"} if stack == "prod" else set())


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_an_environment_is_open_to_the_release_pipeline_and_to_no_other(deployed: System, stack: str) -> None:
    outputs = deployed.project.outputs("test")
    environment = deployed.project.outputs(stack)["environment_id"]
    client = deployed.azure_clients().get_pipeline_permissions_client()
    allowed = client.get_pipeline_permissions_for_resource(outputs["project_id"], "environment", str(environment))
    assert [each.id for each in allowed.pipelines if each.authorized] == [outputs["release_pipeline_id"]]
    assert not (allowed.all_pipelines and allowed.all_pipelines.authorized)


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_the_folder_holds_release_and_tests_byte_for_byte_and_nothing_else(deployed: System, stack: str) -> None:
    client = deployed.workspace_client()
    folder = FOLDERS[stack]
    files = [(file, ROOT / "notebooks", folder) for file in scan(ROOT / "notebooks").files]
    if stack == "test":
        files += [(file, ROOT / "tests/release", f"{folder}/tests") for file in scan(ROOT / "tests/release").files]
    kinds = {ObjectType.NOTEBOOK, ObjectType.FILE}
    there = {item.path for item in client.workspace.list(folder, recursive=True) if item.object_type in kinds}
    assert there == {f"{place}/{file.workspace_path}" for file, _, place in files}
    for file, source, place in files:
        local = (source / file.source).read_bytes()
        # A notebook in Jupyter's format is kept as cells; what it says is compared, not how its JSON is set.
        as_jupyter = file.format == "JUPYTER"
        asked = ExportFormat.JUPYTER if as_jupyter else ExportFormat.SOURCE
        exported = client.workspace.export(f"{place}/{file.workspace_path}", format=asked).content
        content = base64.b64decode(exported or "")
        if as_jupyter:
            assert cells(content) == cells(local)
        else:
            assert content.rstrip(b"\n") == local.rstrip(b"\n")


def test_the_daily_job_is_in_both_environments_and_the_suites_are_in_test_alone(deployed: System) -> None:
    client = deployed.workspace_client()
    jobs = {str(each.settings.name): each.settings for each in client.jobs.list(expand_tasks=True) if each.settings}
    suites = {f"{suite} (test)" for suite in ("functional", "integration", "performance")}
    assert set(jobs) == suites | {"daily (test)", "daily (production)"}
    for environment, folder, status in (
        ("test", FOLDERS["test"], PauseStatus.PAUSED),
        ("production", FOLDERS["prod"], PauseStatus.UNPAUSED),
    ):
        job = jobs[f"daily ({environment})"]
        assert job.schedule is not None
        assert job.schedule.pause_status == status
        notebooks = {each.notebook_task.notebook_path for each in job.tasks or [] if each.notebook_task}
        assert {f"{folder}/{name}" for name in ("ingest", "transform", "publish", "watch", "maintain")} <= notebooks
        assert {each.name: each.default for each in job.parameters or []}["catalog"] == environment


def cells(notebook: bytes) -> list[tuple[str, str]]:
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(notebook)["cells"]]


def test_production_is_read_only_for_developers_and_closed_to_everybody_else(deployed: System) -> None:
    client = deployed.workspace_client()
    directory = client.workspace.get_status("/bike-sharing-production")
    found = client.permissions.get("directories", str(directory.object_id))
    direct = {
        each.group_name or each.user_name: [one.permission_level for one in each.all_permissions or []]
        for each in found.access_control_list or []
        if not all(one.inherited for one in each.all_permissions or [])
    }
    assert direct["data-engineers"] == [PermissionLevel.CAN_READ]
    assert direct["data-analysts"] == [PermissionLevel.CAN_RUN]
    assert "users" not in direct


def test_main_refuses_a_push_and_a_branch_takes_it(deployed: System, tmp_path: Path) -> None:
    url = deployed.project.outputs("test")["repository_url"]
    environment = deployed.git_environment("dana")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", url, str(clone)], env=environment, check=True)
    (clone / "notebooks" / "new.py").write_text("# Databricks notebook source\n")
    for command in (
        ["add", "--all"],
        ["-c", "user.name=Dana", "-c", "user.email=dana@rehearsal.example", "commit", "--quiet", "--message", "new"],
    ):
        subprocess.run(["git", *command], cwd=clone, env=environment, check=True)

    def push(target: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "push", "origin", f"HEAD:{target}"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    refused = push("refs/heads/main")
    assert refused.returncode != 0
    assert "TF402455" in refused.stderr
    accepted = push("refs/heads/new-notebook")
    assert accepted.returncode == 0, accepted.stderr


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_nothing_differs_right_after_up(deployed: System, stack: str) -> None:
    outcome = deployed.project.preview(stack, "--expect-no-changes")
    assert outcome, outcome.text
    outcome = deployed.project.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", stack)
    assert outcome, outcome.text


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_nothing_differs_after_the_services_were_restarted(deployed: System, stack: str) -> None:
    deployed.restart()
    outcome = deployed.project.preview(stack, "--expect-no-changes")
    assert outcome, outcome.text
    outcome = deployed.project.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", stack)
    assert outcome, outcome.text


def test_the_exports_are_the_urls_ids_and_figures_that_people_and_the_other_stack_need(deployed: System) -> None:
    shared = {
        "project_id",
        "project_url",
        "repository_id",
        "repository_url",
        "default_branch",
        "build_pipeline_id",
        "build_pipeline_url",
        "release_pipeline_id",
        "release_pipeline_url",
        "drift_pipeline_id",
        "drift_pipeline_url",
    }
    own = {"environment_id", "environment_url", "folder", "folder_url", "notebooks", "release_digest"}
    test, prod = deployed.project.outputs("test"), deployed.project.outputs("prod")
    assert set(test) == shared | own
    assert set(prod) == own
    release = scan(ROOT / "notebooks")
    assert test["notebooks"] == sum(file.kind == "notebook" for file in release.files)
    assert test["release_digest"] == prod["release_digest"] == release.digest


def test_no_secret_is_in_state_exports_or_plugin_home(deployed: System) -> None:
    secrets = [*deployed.azure.tokens.values(), *deployed.workspace.tokens.values()]
    texts = [
        path.read_bytes()
        for folder in ("backend", "pulumi", "project")
        for path in (deployed.home / folder).rglob("*")
        if path.is_file() and not path.is_symlink() and ".venv" not in path.parts
    ]
    assert texts
    for stack in ("test", "prod"):
        exported = deployed.project.pulumi("stack", "export", "--show-secrets", "--stack", stack)
        assert exported, exported.text
        texts.append(exported.text.encode())
        shown = deployed.project.pulumi("stack", "output", "--show-secrets", "--stack", stack)
        texts.append(shown.text.encode())
    assert not [secret for secret in secrets if any(secret.encode() in text for text in texts)]
