"""The files as committed: right for the rehearsal, and honest about what a real organisation has to set."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import naming
from components.settings import NAMESPACE, Settings, parse
from components.settings_reading import Problems, Section

ROOT = Path(__file__).parents[2]
REHEARSAL = {"AZDO_ORG_SERVICE_URL": "http://127.0.0.1:8080/rehearsal", "DATABRICKS_HOST": "http://127.0.0.1:8081"}


def stack_file(stack: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return content


def committed(stack: str) -> Settings:
    """The settings of a committed stack as Pulumi hands them over, defaults of the project file included."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    defaults = {key: entry["default"] for key, entry in project["config"].items()}
    values = {key.removeprefix(f"{NAMESPACE}:"): value for key, value in stack_file(stack)["config"].items()}
    return parse({**defaults, **values}, stack=stack, environment=REHEARSAL, root=ROOT)


def test_the_test_stack_owns_the_control_plane() -> None:
    settings = committed("test")
    assert settings.environment == "test"
    assert settings.control_plane is not None
    assert settings.gate.approvers == ()
    assert not settings.workspace.protect
    assert settings.warnings == ()


def test_the_prod_stack_reads_the_control_plane_and_asks_for_an_approval() -> None:
    settings = committed("prod")
    assert settings.environment == "production"
    assert settings.control_plane_stack == "test"
    assert settings.gate.approvers
    assert not settings.gate.requester_may_approve
    assert settings.workspace.protect
    assert settings.warnings == ()


def test_the_stacks_keep_apart() -> None:
    assert not naming.folders_overlap(committed("test").workspace.folder, committed("prod").workspace.folder)


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_the_daily_chain_is_that_of_the_project_file_in_every_stack(stack: str) -> None:
    daily = committed(stack).jobs["daily"]
    order = {key: set(task.after) for key, task in daily.tasks.items()}
    assert order["transform"] == {"ingest"}
    assert order["publish"] == {"transform"}
    assert order["watch"] == order["weekly-report"] == {"publish"}
    assert order["plots"] == {"weekly-report"}
    assert order["maintain"] == {"watch", "plots"}
    assert daily.tasks["watch"].run_if == "ALL_DONE"
    # The service tells a run's success by the tasks that no other comes after. That one must stand for all.
    assert set(order) - set().union(*order.values()) == {"maintain"}
    assert daily.tasks["maintain"].run_if == "ALL_SUCCESS"
    assert daily.schedule is not None
    assert (daily.schedule.cron, daily.schedule.time_zone) == ("0 30 5 * * ?", "Europe/Vienna")


def test_schedules_are_paused_in_test_and_on_in_production_where_failures_are_told() -> None:
    for stack, paused in (("test", True), ("prod", False)):
        schedule = committed(stack).jobs["daily"].schedule
        assert schedule is not None
        assert schedule.paused is paused
    assert committed("prod").jobs["daily"].notify.emails


def test_the_stacks_work_in_catalogs_of_their_own() -> None:
    places = [{job.parameters["catalog"] for job in committed(stack).jobs.values()} for stack in ("test", "prod")]
    assert places == [{"test"}, {"production"}]
    for stack, catalog in (("test", "test"), ("prod", "production")):
        assert committed(stack).jobs["daily"].parameters["landing"] == f"/Volumes/{catalog}/bike_sharing/landing"


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_a_stack_file_holds_nothing_of_one_machine(stack: str) -> None:
    assert set(stack_file(stack)) == {"config"}  # no encryptionsalt, no secretsprovider
    assert "secure" not in json.dumps(stack_file(stack))


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_what_only_the_user_knows_is_marked_in_the_stack_file(stack: str) -> None:
    lines = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8").splitlines()
    for word in ("group: ", "approvers:", "organizationUrl:", "workspaceHost:"):
        for number, line in enumerate(lines):
            if word in line and not line.startswith("# "):
                assert any("yours" in near for near in lines[max(0, number - 5) : number + 1]), line


def test_the_project_file_declares_every_setting_with_type_default_and_description() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["name"] == NAMESPACE
    for key, entry in project["config"].items():
        assert entry["type"] in ("string", "object"), key
        assert key == "jobs" or entry["default"] == ("" if entry["type"] == "string" else {}), key
        assert len(entry["description"]) > 20, key


def test_the_project_file_and_the_program_know_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(Section, "close", lambda section: asked.append(section.asked) if not section.path else None)
    committed("test")
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert set(asked[-1]) == set(project["config"])


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        ("databricksRequestsPerSecond", "databricks_requests_per_second"),
        ("azureDevOpsAttempts", "azure_devops_attempts"),
        ("minimumApprovals", "minimum_approvals"),
        ("requesterMayApprove", "requester_may_approve"),
        ("timeoutHours", "timeout_hours"),
        ("exclusiveLock", "exclusive_lock"),
        ("onlyFromDefaultBranch", "only_from_default_branch"),
    ],
)
def test_defaults_in_descriptions_are_those_of_the_program(setting: str, default: str) -> None:
    text = " ".join((ROOT / "Pulumi.yaml").read_text(encoding="utf-8").split())
    settings = committed("test")
    owner = settings.services if hasattr(settings.services, default) else settings.gate
    (written,) = re.findall(rf"{setting} (\w+)", text)
    assert written == json.dumps(getattr(owner, default))


def test_examples_in_remedies_are_yaml_that_sets_the_key() -> None:
    remedy = Problems("test").how_to_set("workspace.access", [{"group": "a", "level": "CAN_RUN"}])
    assert yaml.safe_load(remedy.partition("\n")[2]) == {
        "config": {f"{NAMESPACE}:workspace": {"access": [{"group": "a", "level": "CAN_RUN"}]}}
    }
