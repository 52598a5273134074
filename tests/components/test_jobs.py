"""The component `Jobs`: which notebook runs when, as whom, and who hears of it."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.jobs import Jobs, JobsArgs
from components.settings_model import Access, Job, Principal, Schedule
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs
from tests.components.conftest import Program
from tests.components.recording import Recording

JOB = Job(
    notebook="ingest/load_trips",
    parameters={"year": "2024"},
    schedule=None,
    timeout_minutes=90,
    warn_after_minutes=None,
    retries=2,
    run_as=None,
    notify=(),
    access=(),
)


def made(program: Program, jobs: dict[str, Job]) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder="/bikes", protect=False), opts)
        args = JobsArgs(environment="test", folder="/bikes", jobs=jobs, digest="0123456789abcdef", after=folder)
        Jobs("jobs", args, opts)

    return program.part(make)


def inputs(program: Program, **changed: Any) -> dict[str, Any]:
    return dict(made(program, {"refresh": replace(JOB, **changed)}).one("Job").inputs)


def test_without_jobs_in_the_settings_there_is_none(program: Program) -> None:
    assert made(program, {}).kinds() == ["Directory"]


def test_a_job_runs_its_notebook_of_this_release(program: Program) -> None:
    assert inputs(program) == {
        "name": "refresh (test)",
        "tasks": [
            {
                "taskKey": "refresh",
                "notebookTask": {
                    "notebookPath": "/bikes/ingest/load_trips",
                    "baseParameters": {"year": "2024"},
                    "source": "WORKSPACE",
                },
                "maxRetries": 2,
                "timeoutSeconds": 5400,
            }
        ],
        "timeoutSeconds": 5400,
        "maxConcurrentRuns": 1,
        "queue": {"enabled": True},
        "editMode": "UI_LOCKED",
        "format": "MULTI_TASK",
        "tags": {"environment": "test", "release": "0123456789ab"},
    }


def test_a_job_is_made_after_what_it_runs_is_deployed(program: Program) -> None:
    recorded = made(program, {"refresh": JOB})

    assert recorded.one("Directory").urn in recorded.one("Job").dependencies


@pytest.mark.parametrize(
    ("principal", "run_as"),
    [
        (Principal(kind="user", name="ann@example.com"), {"userName": "ann@example.com"}),
        (Principal(kind="service_principal", name="0000-1111"), {"servicePrincipalName": "0000-1111"}),
    ],
)
def test_a_job_runs_as_whom_the_settings_name(program: Program, principal: Principal, run_as: dict[str, str]) -> None:
    assert inputs(program, run_as=principal)["runAs"] == run_as


@pytest.mark.parametrize(("paused", "status"), [(False, "UNPAUSED"), (True, "PAUSED")])
def test_a_job_has_its_schedule(program: Program, paused: bool, status: str) -> None:
    schedule = Schedule(cron="0 0 6 * * ?", time_zone="Europe/Berlin", paused=paused)

    assert inputs(program, schedule=schedule)["schedule"] == {
        "quartzCronExpression": "0 0 6 * * ?",
        "timezoneId": "Europe/Berlin",
        "pauseStatus": status,
    }


def test_failures_are_told_to_those_who_want_to_hear_of_them(program: Program) -> None:
    assert inputs(program, notify=("ann@example.com",))["emailNotifications"] == {
        "onFailures": ["ann@example.com"],
        "noAlertForSkippedRuns": True,
    }


def test_a_long_run_is_noticed_and_told(program: Program) -> None:
    job = inputs(program, warn_after_minutes=30, notify=("ann@example.com",))

    assert job["health"] == {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 1800}]}
    assert job["emailNotifications"]["onDurationWarningThresholdExceededs"] == ["ann@example.com"]


def test_who_may_see_and_run_a_job_is_said_in_one_authoritative_list(program: Program) -> None:
    access = (Access(principal=Principal(kind="group", name="data-engineers"), level="CAN_MANAGE_RUN"),)
    recorded = made(program, {"refresh": replace(JOB, access=access), "other": JOB})

    assert recorded.one("Permissions").inputs == {
        "jobId": "id of job-refresh",
        "accessControls": [{"groupName": "data-engineers", "permissionLevel": "CAN_MANAGE_RUN"}],
    }
