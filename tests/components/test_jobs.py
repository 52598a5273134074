"""The component `Jobs`: which notebook runs when, as whom, and who hears of it."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.jobs import Jobs, JobsArgs
from components.settings_model import Access, Autoscale, Cluster, Job, Notify, Principal, Schedule, Task
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs
from tests.components.conftest import Program
from tests.components.recording import Recording

TASK = Task(
    notebook="ingest/load_trips",
    after=(),
    run_if="ALL_SUCCESS",
    retries=2,
    min_retry_minutes=3,
    retry_on_timeout=False,
    timeout_minutes=None,
    parameters={},
    compute=None,
)
JOB = Job(
    description="",
    parameters={"year": "2024", "city": "Vienna"},
    tasks={"refresh": TASK},
    clusters={},
    schedule=None,
    timeout_minutes=90,
    warn_after_minutes=None,
    max_concurrent_runs=1,
    queue=True,
    run_as=None,
    notify=Notify(emails=(), webhooks=()),
    tags={},
    access=(),
)
CLUSTER = Cluster(
    spark_version="16.4.x-scala2.12",
    node_type="Standard_D4ds_v5",
    workers=2,
    autoscale=None,
    policy=None,
    spark_conf={},
)
HOST = "https://adb-1.7.azuredatabricks.net"
DIGEST = "0123456789abcdef"


def made(program: Program, jobs: dict[str, Job]) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder="/bikes", protect=False), opts)
        args = JobsArgs(
            environment="test",
            folder="/bikes",
            jobs=jobs,
            digest=DIGEST,
            commit="c0ffee",
            workspace_host=HOST,
            after=folder,
        )
        Jobs("jobs", args, opts)

    return program.part(make)


def inputs(program: Program, **changed: Any) -> dict[str, Any]:
    return dict(made(program, {"refresh": replace(JOB, **changed)}).one("Job").inputs)


def test_without_jobs_in_the_settings_there_is_none(program: Program) -> None:
    assert "Job" not in made(program, {}).kinds()


def test_a_job_runs_its_notebook_of_this_release(program: Program) -> None:
    assert inputs(program) == {
        "name": "refresh (test)",
        "description": "Release 0123456789abcdef, commit c0ffee",
        "parameters": [{"name": "city", "default": "Vienna"}, {"name": "year", "default": "2024"}],
        "tasks": [
            {
                "taskKey": "refresh",
                "notebookTask": {"notebookPath": "/bikes/ingest/load_trips", "source": "WORKSPACE"},
                "maxRetries": 2,
                "minRetryIntervalMillis": 180_000,
            }
        ],
        "timeoutSeconds": 5400,
        "maxConcurrentRuns": 1,
        "queue": {"enabled": True},
        "editMode": "UI_LOCKED",
        "format": "MULTI_TASK",
        "tags": {"environment": "test", "release": "0123456789ab", "commit": "c0ffee"},
    }


def test_the_whole_digest_stands_in_the_description_below_the_users_own_words(program: Program) -> None:
    assert (
        inputs(program, description="Every day.\n")["description"] == f"Every day.\n\nRelease {DIGEST}, commit c0ffee"
    )


def test_the_programs_own_tags_stand_beside_the_users(program: Program) -> None:
    assert inputs(program, tags={"team": "bikes"})["tags"] == {
        "team": "bikes",
        "environment": "test",
        "release": "0123456789ab",
        "commit": "c0ffee",
    }


def test_tasks_wait_for_each_other_and_stand_in_the_order_of_their_keys(program: Program) -> None:
    tasks = {
        "publish": replace(TASK, after=("transform", "ingest"), run_if="ALL_DONE"),
        "ingest": replace(TASK, retries=0, timeout_minutes=5, retry_on_timeout=True, parameters={"day": "1"}),
        "transform": replace(TASK, after=("ingest",)),
    }

    made_tasks = inputs(program, tasks=tasks)["tasks"]

    assert [task["taskKey"] for task in made_tasks] == ["ingest", "publish", "transform"]
    ingest, publish, transform = made_tasks
    assert "dependsOns" not in ingest
    assert "runIf" not in ingest
    assert (ingest["maxRetries"], ingest["timeoutSeconds"], ingest["retryOnTimeout"]) == (0, 300, True)
    assert "minRetryIntervalMillis" not in ingest
    assert ingest["notebookTask"]["baseParameters"] == {"day": "1"}
    assert publish["dependsOns"] == [{"taskKey": "ingest"}, {"taskKey": "transform"}]
    assert publish["runIf"] == "ALL_DONE"
    assert transform["runIf"] == "ALL_SUCCESS"


def test_tasks_share_a_cluster_that_lives_as_long_as_the_run(program: Program) -> None:
    job = inputs(program, tasks={"refresh": replace(TASK, compute="small")}, clusters={"small": CLUSTER})

    assert job["tasks"][0]["jobClusterKey"] == "small"
    assert job["jobClusters"] == [
        {
            "jobClusterKey": "small",
            "newCluster": {
                "sparkVersion": "16.4.x-scala2.12",
                "nodeTypeId": "Standard_D4ds_v5",
                "numWorkers": 2,
                "dataSecurityMode": "SINGLE_USER",
            },
        }
    ]


def test_a_cluster_may_choose_its_size_between_two(program: Program) -> None:
    cluster = replace(CLUSTER, workers=None, autoscale=Autoscale(least=1, most=8), policy="E05F")
    [made_cluster] = inputs(program, clusters={"big": cluster})["jobClusters"]

    assert made_cluster["newCluster"]["autoscale"] == {"minWorkers": 1, "maxWorkers": 8}
    assert made_cluster["newCluster"]["policyId"] == "E05F"
    assert "numWorkers" not in made_cluster["newCluster"]


def test_a_cluster_without_workers_is_a_single_node_as_documented(program: Program) -> None:
    cluster = replace(CLUSTER, workers=0, spark_conf={"spark.speculation": "true"})
    [made_cluster] = inputs(program, clusters={"one": cluster})["jobClusters"]

    assert made_cluster["newCluster"]["numWorkers"] == 0
    assert made_cluster["newCluster"]["customTags"] == {"ResourceClass": "SingleNode"}
    assert made_cluster["newCluster"]["sparkConf"] == {
        "spark.speculation": "true",
        "spark.databricks.cluster.profile": "singleNode",
        "spark.master": "local[*]",
    }


def test_without_a_queue_a_run_that_finds_no_place_is_skipped(program: Program) -> None:
    job = inputs(program, queue=False, max_concurrent_runs=3)

    assert (job["queue"], job["maxConcurrentRuns"]) == ({"enabled": False}, 3)


def test_a_job_is_made_after_what_it_runs_is_deployed(program: Program) -> None:
    recorded = made(program, {"refresh": JOB})

    assert {each.urn for each in recorded.all("Directory")} & recorded.one("Job").dependencies


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
    job = inputs(program, notify=Notify(emails=("ann@example.com",), webhooks=("id-2", "id-1")))

    assert job["emailNotifications"] == {"onFailures": ["ann@example.com"]}
    assert job["webhookNotifications"] == {"onFailures": [{"id": "id-1"}, {"id": "id-2"}]}
    assert job["notificationSettings"] == {"noAlertForSkippedRuns": True}


def test_a_long_run_is_noticed_and_told(program: Program) -> None:
    job = inputs(program, warn_after_minutes=30, notify=Notify(emails=("ann@example.com",), webhooks=("id-1",)))

    assert job["health"] == {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 1800}]}
    assert job["emailNotifications"]["onDurationWarningThresholdExceededs"] == ["ann@example.com"]
    assert job["webhookNotifications"]["onDurationWarningThresholdExceededs"] == [{"id": "id-1"}]


def test_who_may_see_and_run_a_job_is_said_in_one_authoritative_list(program: Program) -> None:
    access = (Access(principal=Principal(kind="group", name="data-engineers"), level="CAN_MANAGE_RUN"),)
    recorded = made(program, {"refresh": replace(JOB, access=access), "other": JOB})

    assert recorded.one("Permissions").inputs == {
        "jobId": "id of job-refresh",
        "accessControls": [{"groupName": "data-engineers", "permissionLevel": "CAN_MANAGE_RUN"}],
    }
