"""From nothing to a destroyed system: what is left, what refuses, what an interruption does."""

from typing import Any

import pytest

from tests.engine.interruption import killed_up, wait_until
from tests.engine.system import System

pytestmark = pytest.mark.engine


def inventory(system: System) -> dict[str, Any]:
    """All that there is in both services."""
    clients = system.azure_clients()
    projects = clients.get_core_client().get_projects()
    git = clients.get_git_client()
    workspace = system.workspace_client()
    return {
        "projects": sorted(each.name for each in projects),
        "repositories": sorted(each.name for project in projects for each in git.get_repositories(project.id)),
        "workspace": sorted(str(each.path) for each in workspace.workspace.list("/", recursive=True)),
        "jobs": sorted(str(each.job_id) for each in workspace.jobs.list()),
        "groups": sorted(str(each.display_name) for each in workspace.groups.list()),
    }


def deploy(system: System) -> None:
    for stack in ("test", "prod"):
        outcome = system.project.up(stack)
        assert outcome, outcome.text


def test_destroy_leaves_the_services_as_they_were_and_protected_production_refuses_first(system: System) -> None:
    before = inventory(system)
    deploy(system)
    full = inventory(system)
    assert full != before

    refused = system.project.destroy("prod")
    assert not refused
    assert "protect" in refused.text
    assert inventory(system) == full
    nothing = system.project.preview("prod", "--expect-no-changes")
    assert nothing, nothing.text

    system.project.settings("prod", lambda settings: settings["workspace"].update(protect=False))
    outcome = system.project.up("prod")
    assert outcome, outcome.text
    for stack in ("prod", "test"):
        outcome = system.project.destroy(stack)
        assert outcome, outcome.text
    assert inventory(system) == before


def test_an_existing_project_and_repository_are_adopted_and_outlive_the_system(system: System) -> None:
    clients = system.azure_clients()
    core, git = clients.get_core_client(), clients.get_git_client()
    core.queue_create_project(
        {
            "name": "Bikes",
            "description": "by hand",
            "visibility": "private",
            "capabilities": {
                "versioncontrol": {"sourceControlType": "Git"},
                "processTemplate": {"templateTypeId": "adcc42ab-9882-485e-a3ed-7678f01f66bc"},
            },
        }
    )
    wait_until(lambda: any(each.name == "Bikes" and each.state == "wellFormed" for each in core.get_projects()))
    project = core.get_project("Bikes")
    repository = git.create_repository({"name": "bike-notebooks", "project": {"id": project.id}}, project=project.id)

    def adopt(settings: dict[str, Any]) -> None:
        settings["controlPlane"] = {
            "project": {"name": "Bikes", "adopt": True},
            "repository": {"name": "bike-notebooks", "adopt": True},
        }

    system.project.settings("test", adopt)
    outcome = system.project.up("test")
    assert outcome, outcome.text
    assert core.get_project("Bikes").description == "by hand"
    assert git.get_refs(repository.id, project=project.id)[0].object_id == system.project.git("rev-parse", "HEAD")
    again = system.project.preview("test", "--expect-no-changes")
    assert again, again.text
    outcome = system.project.destroy("test")
    assert outcome, outcome.text
    assert core.get_project("Bikes").id == project.id
    assert git.get_repository("bike-notebooks", project=project.id).id == repository.id


def test_outside_a_checkout_the_first_push_says_what_to_do_and_the_next_up_goes_on(system: System) -> None:
    hidden = system.project.path / ".git"
    hidden.rename(system.home / "hidden.git")
    outcome = system.project.up("test")
    assert not outcome
    assert "not a git checkout" in outcome.text
    assert "git init" in outcome.text
    (system.home / "hidden.git").rename(hidden)
    (system.project.path / "notebooks" / "forgotten.py").write_text("# Databricks notebook source\n")
    outcome = system.project.up("test")
    assert outcome, outcome.text
    assert "not committed" in outcome.text
    assert "notebooks/forgotten.py" in outcome.text


@pytest.mark.parametrize("moment", ["create of the project", "create of a policy", "import of a notebook"])
def test_after_a_killed_up_the_next_one_says_what_to_do_about_the_lock_and_converges(
    system: System, moment: str
) -> None:
    service, method, path = {
        "create of the project": (system.azure, "POST", "/_apis/projects$"),
        "create of a policy": (system.azure, "POST", "/policy/configurations"),
        "import of a notebook": (system.workspace, "POST", "/workspace/import"),
    }[moment]
    # The request's work is done, its answer is never seen.
    service.fault("delay", method=method, path=path, seconds=0)
    killed_up(system, "test", lambda: any(each["fault"] for each in service.requests()))

    locked = system.project.up("test")
    assert not locked
    assert "pulumi cancel" in locked.text
    cancelled = system.project.pulumi("cancel", "--yes", "--stack", "test")
    assert cancelled, cancelled.text
    outcome = system.project.up("test")
    assert outcome, outcome.text
    nothing = system.project.preview("test", "--expect-no-changes")
    assert nothing, nothing.text
    assert_nothing_is_doubled(system)


def assert_nothing_is_doubled(system: System) -> None:
    """No policy twice, no project, repository, pipeline or environment besides those of the stack."""
    outputs = system.project.outputs("test")
    clients = system.azure_clients()
    assert [each.name for each in clients.get_core_client().get_projects()] == ["Databricks CI-CD"]
    policies = clients.get_policy_client().get_policy_configurations(outputs["project_id"])
    types = [each.type.display_name for each in policies]
    assert sorted(types) == sorted(set(types))
    pipelines = clients.get_build_client().get_definitions(outputs["project_id"])
    assert sorted(each.name for each in pipelines) == ["build", "drift", "release"]
