"""From nothing to a destroyed system: what is left, what refuses."""

from typing import Any

import pytest

from tests.engine.system import System
from tests.running import wait_until

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


def test_destroy_leaves_the_services_as_they_were_and_protected_production_refuses_first(
    system: System, deployed: System
) -> None:
    before, full = inventory(system), inventory(deployed)
    assert full != before

    refused = deployed.project.destroy("prod")
    assert not refused
    assert "protect" in refused.text
    assert inventory(deployed) == full
    nothing = deployed.project.preview("prod", "--expect-no-changes")
    assert nothing, nothing.text

    deployed.project.settings("prod", lambda settings: settings["workspace"].update(protect=False))
    outcome = deployed.project.up("prod")
    assert outcome, outcome.text
    for stack in ("prod", "test"):
        outcome = deployed.project.destroy(stack)
        assert outcome, outcome.text
    assert inventory(deployed) == before


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
