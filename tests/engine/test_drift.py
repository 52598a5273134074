"""`delivery drift` and `smoke` with the real engine: found and named, put back, strays left alone."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat, Language

from tests.engine.releases import FOLDERS, delivery, deploy, package, record, release_of, there
from tests.engine.shelf import Shelf
from tests.engine.system import System

pytestmark = pytest.mark.engine
FOLDER = FOLDERS["prod"]


@pytest.fixture(scope="module")
def deployed(shelf: Shelf) -> Iterator[System]:
    """Both stacks brought up by an administrator, and a release deployed to production."""
    with shelf.system("small") as system:
        outcome = deploy(system, package(system), "prod")
        assert outcome, outcome.text
        yield system


def edit(system: System, path: str, text: str) -> None:
    content = base64.b64encode(f"# Databricks notebook source\n{text}\n".encode()).decode()
    system.workspace_client().workspace.import_(
        f"{FOLDER}/{path}", content=content, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True
    )


def take_away(system: System, kind: str) -> None:
    """Deletes a check on production by hand."""
    project = system.project.outputs("test")["project_id"]
    checks = system.checks(project, system.project.outputs("prod")["environment_id"])
    [check] = [each["id"] for each in checks if each["type"]["name"] == kind]
    answer = httpx.delete(
        f"{system.organization_url}/{project}/_apis/pipelines/checks/configurations/{check}",
        headers={"Accept": "application/json;api-version=7.1-preview.1"},
        auth=("", system.azure.tokens["administrator"]),
    )
    answer.raise_for_status()


def test_right_after_a_deployment_nothing_differs_and_the_smoke_test_passes(deployed: System) -> None:
    artifact = deployed.home / "artifact"
    outcome = delivery(deployed, "drift", "--stack", "prod", "--report", str(deployed.home / "drift.json"))
    assert outcome, outcome.text
    assert json.loads((deployed.home / "drift.json").read_text())["differences"] == []
    outcome = delivery(deployed, "smoke", "--stack", "prod", "--artifact", ".", cwd=artifact)
    assert outcome, outcome.text


def test_a_source_that_the_checkout_has_no_more_disturbs_neither_drift_nor_refresh(deployed: System) -> None:
    project = deployed.project
    for name in ("sample/plan_vans.py", "sample/reports/demand_by_hour.ipynb", "sample/lib/trips.py"):
        (project.path / name).unlink()
    outcome = delivery(deployed, "drift", "--stack", "prod")
    assert outcome, outcome.text
    refreshed = project.pulumi("refresh", "--yes", "--skip-preview", "--stack", "prod")
    assert refreshed, refreshed.text
    # What is deployed is known as before: the program deletes what it has no more, and with the files nothing differs.
    deleted = [name.rsplit("-", 1)[0] for operation, name in project.steps("prod") if operation == "delete"]
    assert deleted == ["file-lib-trips-py", "folder", "notebook-plan-vans", "notebook-reports-demand-by-hour"]
    project.git("checkout", "--quiet", "--", "sample")
    nothing = project.preview("prod", "--expect-no-changes", "--diff")
    assert nothing, nothing.text


def test_what_was_changed_by_hand_is_named_and_put_back_and_strays_are_left_alone(deployed: System) -> None:
    artifact = deployed.home / "artifact"
    before, recorded = there(deployed, "prod"), record(deployed, "prod")
    client = deployed.workspace_client()
    edit(deployed, "load_trips", "print('by hand')")
    edit(deployed, "made by hand", "print('mine')")
    client.workspace.delete(f"{FOLDER}/lib/trips.py")
    client.workspace.delete(f"{FOLDER}/reports", recursive=True)
    [job] = [each for each in client.jobs.list() if each.settings and each.settings.name == "daily (production)"]
    client.jobs.delete(job.job_id or 0)
    folder = client.workspace.get_status(FOLDER)
    client.permissions.update(
        "directories",
        str(folder.object_id),
        access_control_list=[
            AccessControlRequest(user_name="dana@rehearsal.example", permission_level=PermissionLevel.CAN_MANAGE)
        ],
    )

    # A check of the gate, too, which is an administrator's, and keeps the rest from nothing.
    take_away(deployed, "ExclusiveLock")

    smoke = delivery(deployed, "smoke", "--stack", "prod", "--artifact", ".", cwd=artifact)
    assert smoke.code == 1
    assert f"{FOLDER}/load_trips: edited" in smoke.text
    found = delivery(deployed, "drift", "--stack", "prod")
    assert found.code == 1
    for line in (
        f"edited        {FOLDER}/load_trips",
        f"missing       {FOLDER}/lib/trips.py",
        f"missing       {FOLDER}/reports/daily_usage",
        f"stray         {FOLDER}/made by hand",
        "permissions   Permissions permissions-access",
        "jobs          Job job-daily",
        "gate          CheckExclusiveLock gate-lock",
    ):
        assert line in found.text, found.text

    repaired = delivery(deployed, "drift", "--stack", "prod", "--repair", "--artifact", str(artifact))
    assert repaired.code == 1, "the stray is still there"
    assert repaired.text.count("stray ") == 1, repaired.text
    assert "not put back: CheckExclusiveLock gate-lock: it changes the gate" in repaired.text
    left = [
        line.split()[0] for line in repaired.text.splitlines() if "there any more" in line and "put back" not in line
    ]
    assert left == ["gate"], repaired.text
    guarded = ("--refresh", "--target", "**:azuredevops:**")
    restored = deployed.project.up("prod", *guarded)
    assert restored, restored.text
    client.workspace.delete(f"{FOLDER}/made by hand")
    again = delivery(deployed, "drift", "--stack", "prod")
    assert again, again.text
    assert there(deployed, "prod") == before
    assert record(deployed, "prod") == recorded


def test_only_the_recorded_release_is_put_back(deployed: System, tmp_path: Path) -> None:
    other = release_of(deployed, "another release", "other")
    edit(deployed, "load_trips", "print('by hand')")
    refused = delivery(deployed, "drift", "--stack", "prod", "--repair", "--artifact", str(other))
    assert refused.code == 1
    assert "content " + record(deployed, "prod")["current"]["content"] in refused.text
    unknown = delivery(deployed, "drift", "--stack", "prod", "--repair")
    assert unknown.code == 1
    assert "--artifact" in unknown.text
    assert b"by hand" in there(deployed, "prod")["load_trips"]
