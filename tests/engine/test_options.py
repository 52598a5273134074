"""Everything that is optional, switched on at once: it is there, and no preview shows a difference for ever."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.engine.samples import sample_release
from tests.engine.shelf import Shelf
from tests.engine.system import System
from tests.engine.test_deployed import checks

pytestmark = pytest.mark.engine

PRINCIPAL = "5d0c7a52-6d0f-4f0e-9a57-3f4f5f1c7e01"


JOBS: dict[str, Any] = {
    "trips": {
        "description": "Everything, every day.",
        "parameters": {"day": "2026-11-01"},
        # Neither in the order of the alphabet, nor each after the one before.
        "tasks": {
            "load": {
                "notebook": "load_trips",
                "retries": 2,
                "minRetryMinutes": 1,
                "timeoutMinutes": 10,
                "retryOnTimeout": True,
                "parameters": {"zone": "Europe/Vienna", "limit": "10"},
            },
            "usage": {"notebook": "reports/daily_usage", "after": ["load", "arrive"], "compute": "big"},
            "rides": {"notebook": "reports/ride_durations", "after": ["load"], "compute": "elastic"},
            "season": {"notebook": "reports/season_trend", "after": ["usage"], "compute": "one"},
            "demand": {"notebook": "reports/demand_by_hour", "after": ["usage", "rides"], "runIf": "ALL_DONE"},
        },
        "clusters": {
            "one": {
                "sparkVersion": "16.4.x-scala2.12",
                "nodeType": "Standard_D4ds_v5",
                "workers": 0,
                "sparkConf": {"spark.speculation": "true"},
            },
            "elastic": {
                "sparkVersion": "16.4.x-scala2.12",
                "nodeType": "Standard_D4ds_v5",
                "autoscale": {"min": 1, "max": 4},
                "policy": "E05F30E06C006BBA",
            },
        },
        "schedule": {"cron": "0 0 6 * * ?", "timeZone": "Europe/Berlin"},
        "timeoutMinutes": 30,
        "warnAfterMinutes": 20,
        "maxConcurrentRuns": 2,
        "queue": False,
        "runAs": {"servicePrincipal": PRINCIPAL},
        "notify": {
            "emails": ["ari@rehearsal.example", "avery@rehearsal.example"],
            "webhooks": ["d5d0e7a1-6d0f-4f0e-9a57-3f4f5f1c7e01", "0481e735-0a0b-4f6c-9b0e-3c5b0a9f5d11"],
        },
        "access": [{"group": "data-engineers", "level": "CAN_MANAGE_RUN"}],
    },
    "usage": {
        "notebook": "reports/daily_usage",
        "schedule": {"cron": "0 0 7 ? * MON", "timeZone": "UTC", "paused": False},
        "notify": {"emails": None},
    },
}


def everything(settings: dict[str, Any]) -> None:
    settings["controlPlane"] |= {
        "review": {
            "minimumReviewers": 2,
            "mergeTypes": ["squash", "rebase"],
            "linkedWorkItem": "optional",
            "requiredReviewers": [
                {"paths": ["/pipelines/*"], "reviewers": ["avery@rehearsal.example"], "message": "Pipelines changed"},
                {
                    "paths": ["/components/*", "/Pulumi.*"],
                    "reviewers": ["ari@rehearsal.example", "Build Administrators"],
                },
            ],
        },
        "agents": {"pool": "Default"},
    }
    settings["gate"] = {
        "approvers": ["avery@rehearsal.example", "Build Administrators"],
        "minimumApprovals": 1,
        "timeoutHours": 8,
        "instructions": "Look at the figures first.",
        "businessHours": {
            "days": ["monday", "friday"],
            "start": "09:00",
            "end": "17:00",
            "timeZone": "W. Europe Standard Time",
        },
    }
    settings["services"] = {"databricksRequestsPerSecond": 30}
    settings["notebooks"] = {"folder": "sample"}
    settings["tests"] = {"folder": "suites"}
    settings["jobs"] = JOBS
    settings["jobDefaults"] = {
        "paused": True,
        "parameters": {"catalog": "test", "schema": "bikes"},
        "tags": {"team": "bikes"},
        "notify": {"emails": ["dana@rehearsal.example"]},
        "clusters": {"big": {"sparkVersion": "16.4.x-scala2.12", "nodeType": "Standard_D4ds_v5", "workers": 2}},
    }
    settings["jobOverrides"] = {
        "trips": {"tasks": {"arrive": {"notebook": "tests/functional"}, "load": {"after": ["arrive"]}}},
        "suite": {"notebook": "tests/functional"},
    }


@pytest.fixture(scope="module")
def optional(shelf: Shelf) -> Iterator[System]:
    with shelf.system("nothing") as system:
        sample_release(system.project.path)
        system.project.commit("the release")
        system.project.settings("test", everything)
        system.bring_up("test")
        yield system


def test_no_preview_and_no_refresh_shows_a_difference(optional: System) -> None:
    outcome = optional.project.preview("test", "--expect-no-changes", "--diff")
    assert outcome, outcome.text
    outcome = optional.project.pulumi("refresh", "--preview-only", "--expect-no-changes", "--diff", "--stack", "test")
    assert outcome, outcome.text


def test_pipelines_and_program_ask_their_own_reviewers(optional: System) -> None:
    client = optional.azure_clients().get_policy_client()
    project = optional.project.outputs("test")["project_id"]
    found = client.get_policy_configurations(project)
    required = {
        tuple(each.settings["filenamePatterns"]): each.settings["requiredReviewerIds"]
        for each in found
        if each.type.display_name == "Required reviewers"
    }
    assert set(required) == {("/pipelines/*",), ("/components/*", "/Pulumi.*")}
    assert len(required["/pipelines/*",]) == 1
    assert len(required["/components/*", "/Pulumi.*"]) == 2
    [linked] = [each for each in found if each.type.display_name == "Work item linking"]
    assert linked.is_blocking is False


def test_the_own_pool_is_open_to_the_pipelines_of_the_project_and_to_no_other(optional: System) -> None:
    outputs = optional.project.outputs("test")
    clients = optional.azure_clients()
    [queue] = clients.get_task_agent_client().get_agent_queues(outputs["project_id"], queue_name="Default")
    permissions = clients.get_pipeline_permissions_client()
    allowed = permissions.get_pipeline_permissions_for_resource(outputs["project_id"], "queue", str(queue.id))
    ids = {each.id for each in allowed.pipelines if each.authorized}
    assert ids == {outputs[f"{name}_pipeline_id"] for name in ("build", "release", "drift")}


def test_a_deployment_waits_for_business_hours_and_an_approval_within_eight_hours(optional: System) -> None:
    found = checks(optional, "test")
    assert found["Approval"]["timeout"] == 8 * 60
    assert found["Approval"]["settings"]["instructions"] == "Look at the figures first."
    hours = found["evaluateBusinessHours"]
    assert hours["settings"]["inputs"]["businessDays"].replace(" ", "").split(",") == ["Monday", "Friday"]
    assert hours["settings"]["inputs"]["timeZone"] == "W. Europe Standard Time"


def test_the_jobs_run_as_and_when_the_settings_say(optional: System) -> None:
    client = optional.workspace_client()
    jobs = {str(each.settings.name): each for each in client.jobs.list() if each.settings}
    assert set(jobs) == {"trips (test)", "usage (test)", "suite (test)"}
    trips = client.jobs.get(int(jobs["trips (test)"].job_id or 0)).settings
    assert trips is not None
    assert trips.run_as is not None
    assert trips.run_as.service_principal_name == PRINCIPAL
    assert trips.schedule is not None
    assert trips.schedule.pause_status is not None
    assert trips.schedule.pause_status.value == "PAUSED"
    assert trips.edit_mode is not None
    assert trips.edit_mode.value == "UI_LOCKED"
    assert {each.task_key: [before.task_key for before in each.depends_on or []] for each in trips.tasks or []} == {
        "arrive": [],
        "load": ["arrive"],
        "usage": ["arrive", "load"],
        "rides": ["load"],
        "season": ["usage"],
        "demand": ["rides", "usage"],
    }
    [load] = [each for each in trips.tasks or [] if each.task_key == "load"]
    assert load.notebook_task is not None
    assert load.notebook_task.notebook_path == "/bike-sharing-test/load_trips"
    assert load.max_retries == 2
    digest = optional.project.outputs("test")["release_digest"]
    assert (trips.tags or {})["release"] == digest[:12]
    assert (trips.tags or {})["commit"] == optional.project.git("rev-parse", "HEAD")
    assert digest in str(trips.description)


def test_a_changed_setting_of_a_job_changes_that_job_alone(optional: System) -> None:
    before = (optional.project.path / "Pulumi.test.yaml").read_text()
    optional.project.settings("test", lambda settings: settings["jobs"]["usage"].update(timeoutMinutes=45))
    try:
        assert optional.project.steps("test") == [("update", "job-usage")]
    finally:
        (optional.project.path / "Pulumi.test.yaml").write_text(before)


def test_the_build_identity_may_comment_and_see_from_the_up_after_the_first_run_on_and_gets_nothing_else(
    optional: System,
) -> None:
    outputs = optional.project.outputs("test")
    project, repository = outputs["project_id"], outputs["repository_id"]
    run = httpx.post(
        f"{optional.organization_url}/{project}/_apis/pipelines/{outputs['build_pipeline_id']}/runs",
        headers={"Accept": "application/json;api-version=7.1-preview.1"},
        auth=("", optional.azure.tokens["administrator"]),
        json={"resources": {"repositories": {"self": {"refName": "refs/heads/main"}}}},
    )
    assert run.status_code == 200, run.text
    names = ("source-build-comments", "source-build-sees-environments", "source-build-sees-variable-groups")
    assert sorted(optional.project.steps("test")) == [("create", name) for name in names]
    outcome = optional.project.up("test")
    assert outcome, outcome.text
    nothing = optional.project.preview("test", "--expect-no-changes")
    assert nothing, nothing.text
    git_repositories = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87"
    clients = optional.azure_clients()
    lists = clients.get_security_client().query_access_control_lists(
        git_repositories, token=f"repoV2/{project}/{repository}"
    )
    given = [(entry.allow, entry.deny) for each in lists for entry in each.aces_dictionary.values()]
    pull_request_contribute = 16384
    assert (pull_request_contribute, 0) in given


def test_no_secret_is_in_an_argument_of_a_process_or_in_the_engines_own_log(optional: System) -> None:
    secrets = [*optional.azure.tokens.values(), *optional.workspace.tokens.values()]
    seen: set[str] = set()
    running = psutil.Popen(
        optional.project.command(
            "up", "--yes", "--skip-preview", "--refresh", "--stack", "test", "--logtostderr", "-v=9"
        ),
        cwd=optional.project.path,
        env=optional.project.environment,
        stdout=(log := (optional.home / "engine.log").open("w+")),
        stderr=log,
    )
    while running.poll() is None:
        for process in psutil.process_iter():
            try:
                seen.update(process.cmdline())
            except psutil.Error:
                continue
        time.sleep(0.05)
    log.seek(0)
    text = log.read()
    log.close()
    assert running.returncode == 0, text[-2000:]
    assert any("pulumi-resource-azuredevops" in argument for argument in seen)
    assert "Marshaling" in text
    assert not [secret for secret in secrets if secret in text or any(secret in argument for argument in seen)]
