"""Jobs as definitions."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobSettings, NotebookTask, Task, TaskDependency

from tests.rehearsal.databricks.clients import Workspace

TASK: dict[str, Any] = {"task_key": "one", "notebook_task": {"notebook_path": "/Shared/a"}}
VERSIONS = ("2.1", "2.2")


def make(workspace: Workspace, name: str = "nightly", user: str = "administrator", count: int = 1) -> int:
    task = NotebookTask(notebook_path="/Shared/a")
    tasks = [Task(task_key=f"task-{number}", notebook_task=task) for number in range(count)]
    job_id = workspace.sdk(user).jobs.create(name=name, tasks=tasks).job_id
    assert job_id is not None
    return job_id


def refusal(workspace: Workspace, settings: dict[str, Any], version: str = "2.2") -> str:
    answer = workspace.call("POST", f"{version}/jobs/create", json=settings)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
    assert list(workspace.sdk().jobs.list()) == []
    return str(answer.json()["message"])


def test_a_job_comes_back_with_the_services_defaults(workspace: Workspace) -> None:
    job = workspace.sdk().jobs.get(make(workspace))
    assert job.creator_user_name == job.run_as_user_name == "admin@rehearsal.example"
    settings = job.settings
    assert settings is not None
    assert (settings.name, settings.max_concurrent_runs, settings.timeout_seconds) == ("nightly", 1, 0)
    [task] = settings.tasks or []
    assert task.notebook_task is not None
    assert task.notebook_task.source is not None
    assert (task.run_if and task.run_if.value, task.notebook_task.source.value) == ("ALL_SUCCESS", "WORKSPACE")


@pytest.mark.parametrize("version", VERSIONS)
def test_fields_that_the_stand_in_does_not_know_come_back(workspace: Workspace, version: str) -> None:
    settings = {"name": "n", "tasks": [TASK | {"newer": 1}], "health": {"rules": []}, "edit_mode": "UI_LOCKED"}
    job_id = workspace.call("POST", f"{version}/jobs/create", json=settings).json()["job_id"]
    shown = workspace.call("GET", f"{version}/jobs/get", params={"job_id": job_id}).json()["settings"]
    assert shown["tasks"][0]["newer"] == 1
    assert (shown["health"], shown["edit_mode"]) == ({"rules": []}, "UI_LOCKED")


def test_reset_replaces_all_settings_but_run_as(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    job_id = make(workspace)
    workspace.call(
        "POST", "2.2/jobs/update", json={"job_id": job_id, "new_settings": {"tags": {"a": "b"}, "timeout_seconds": 9}}
    )
    application = workspace.sdk("deployer-test").current_user.me().user_name
    run_as = {"run_as": {"service_principal_name": application}}
    workspace.call("POST", "2.2/jobs/update", json={"job_id": job_id, "new_settings": run_as})
    sdk.jobs.reset(job_id, JobSettings(name="other", tasks=[Task.from_dict(TASK)]))
    job = sdk.jobs.get(job_id)
    assert job.settings is not None
    assert (job.settings.name, job.settings.tags, job.settings.timeout_seconds) == ("other", None, 0)
    assert (job.run_as_user_name, job.creator_user_name) == (application, "admin@rehearsal.example")


def test_update_merges_tasks_by_key_and_removes_fields(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    job_id = make(workspace, count=2)
    sdk.jobs.update(
        job_id,
        new_settings=JobSettings(
            tags={"a": "b"},
            tasks=[
                Task(
                    task_key="task-1",
                    depends_on=[TaskDependency(task_key="task-0")],
                    notebook_task=NotebookTask(notebook_path="/Shared/b"),
                )
            ],
        ),
    )
    settings = sdk.jobs.get(job_id).settings
    assert settings is not None
    paths = {task.task_key: task.notebook_task.notebook_path for task in settings.tasks or [] if task.notebook_task}
    assert paths == {"task-0": "/Shared/a", "task-1": "/Shared/b"}
    sdk.jobs.update(job_id, fields_to_remove=["tags", "tasks/task-1"])
    settings = sdk.jobs.get(job_id).settings
    assert settings is not None
    assert (settings.tags, len(settings.tasks or [])) == (None, 1)


def test_a_deleted_job_is_gone(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    job_id = make(workspace)
    sdk.jobs.delete(job_id)
    attempts: tuple[Callable[[], object], ...] = (lambda: sdk.jobs.get(job_id), lambda: sdk.jobs.delete(job_id))
    for attempt in attempts:
        with pytest.raises(NotFound, match=f"Job {job_id} does not exist"):
            attempt()
    old = workspace.call("GET", "2.1/jobs/get", params={"job_id": job_id})
    assert (old.status_code, old.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    with pytest.raises(ResourceDoesNotExist):
        sdk.api_client.do("GET", "/api/2.1/jobs/get", query={"job_id": job_id})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "at least one task"),
        ({"tasks": []}, "at least one task"),
        ({"tasks": "one"}, "field tasks must be a list"),
        ({"tasks": [{"notebook_task": {"notebook_path": "/a"}}]}, "Missing required field: settings.tasks.task_key"),
        ({"tasks": [TASK | {"task_key": "a b"}]}, "Invalid task key 'a b'"),
        ({"tasks": [TASK | {"task_key": "x" * 101}]}, "Invalid task key"),
        ({"tasks": [TASK, TASK]}, "found duplicates: one"),
        ({"tasks": [{"task_key": "one"}]}, "exactly one type of task; it has: none"),
        ({"tasks": [TASK | {"condition_task": {}}]}, "it has: notebook_task, condition_task"),
        ({"tasks": [TASK | {"notebook_task": {}}]}, "notebook_task.notebook_path"),
        ({"tasks": [TASK | {"notebook_task": {"notebook_path": "a"}}]}, "Only absolute paths"),
        ({"tasks": [TASK | {"depends_on": [{}]}]}, "Missing required field: settings.tasks.depends_on.task_key"),
        ({"tasks": [TASK | {"depends_on": [{"task_key": "two"}]}]}, "depends on unknown task 'two'"),
        ({"tasks": [TASK | {"depends_on": [{"task_key": "one"}]}]}, "task 'one' can not reference itself"),
        ({"tasks": [TASK], "max_concurrent_runs": 1001}, "max_concurrent_runs"),
        ({"tasks": [TASK], "schedule": {}}, "Missing required field: settings.schedule.quartz_cron_expression"),
        ({"tasks": [TASK], "run_as": {"user_name": "who@x.example"}}, "who@x.example does not exist"),
        ({"tasks": [TASK], "git_source": {"git_url": "https://x.example"}}, "git_provider"),
    ],
)
def test_settings_that_make_no_job_are_refused(
    workspace: Workspace, version: str, settings: dict[str, Any], message: str
) -> None:
    assert message in refusal(workspace, settings, version)


def test_a_cycle_is_refused(workspace: Workspace) -> None:
    tasks = [
        TASK | {"task_key": key, "depends_on": [{"task_key": before}]}
        for key, before in (("a", "c"), ("b", "a"), ("c", "b"))
    ]
    assert "cycle detected" in refusal(workspace, {"tasks": tasks})


@pytest.mark.parametrize(
    "expression",
    ["0 0 3 * * ?", "0 0/15 8-18 ? * MON-FRI", "30 5 0 L * ? 2030", "0 0 12 ? * 6L", "0 0 12 ? * 2#1", "0 0 9 LW * ?"],
)
def test_a_quartz_expression_is_taken(workspace: Workspace, expression: str) -> None:
    schedule = {"quartz_cron_expression": expression, "timezone_id": "Europe/Berlin"}
    answer = workspace.call("POST", "2.2/jobs/create", json={"tasks": [TASK], "schedule": schedule}).json()
    shown = workspace.call("GET", "2.2/jobs/get", params={"job_id": answer["job_id"]}).json()
    assert shown["settings"]["schedule"] == schedule | {"pause_status": "UNPAUSED"}


@pytest.mark.parametrize(
    "expression", ["@daily", "0 3 * * *", "0 0 3 * * *", "0 0 3 ? * ?", "0 60 3 * * ?", "x y z * * ?!"]
)
def test_what_is_no_quartz_expression_is_refused(workspace: Workspace, expression: str) -> None:
    schedule = {"quartz_cron_expression": expression, "timezone_id": "UTC"}
    assert "Invalid quartz cron expression" in refusal(workspace, {"tasks": [TASK], "schedule": schedule})


def test_an_unknown_time_zone_is_refused(workspace: Workspace) -> None:
    schedule = {"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "Europe/Atlantis"}
    assert "Invalid timezone id" in refusal(workspace, {"tasks": [TASK], "schedule": schedule})


def test_more_than_a_hundred_tasks_come_in_pages(workspace: Workspace) -> None:
    job_id = make(workspace, count=250)
    first = workspace.call("GET", "2.2/jobs/get", params={"job_id": job_id}).json()
    assert (len(first["settings"]["tasks"]), first["has_more"]) == (100, True)
    whole = workspace.sdk().jobs.get(job_id).settings
    assert whole is not None
    assert len(whole.tasks or []) == 250


def test_list_is_paged_filtered_and_newest_first(workspace: Workspace) -> None:
    ids = [make(workspace, name=f"job-{number}") for number in range(25)]
    assert [job.job_id for job in workspace.sdk().jobs.list()] == ids[::-1]
    assert [job.job_id for job in workspace.sdk().jobs.list(name="JOB-7")] == [ids[7]]
    plain = workspace.call("GET", "2.1/jobs/list", params={"limit": 1}).json()["jobs"][0]["settings"]
    expanded = workspace.call("GET", "2.1/jobs/list", params={"limit": 1, "expand_tasks": "true"}).json()
    assert "tasks" not in plain
    assert "tasks" in expanded["jobs"][0]["settings"]
    assert workspace.call("GET", "2.2/jobs/list", params={"limit": 101}).status_code == 400


def test_a_job_of_the_old_form_needs_the_old_version(workspace: Workspace) -> None:
    settings = {"name": "old", "notebook_task": {"notebook_path": "/Shared/a"}}
    assert "Missing required field: settings.tasks" in refusal(workspace, settings, "2.1")
    job_id = workspace.call("POST", "2.0/jobs/create", json=settings).json()["job_id"]
    shown = workspace.call("GET", "2.0/jobs/get", params={"job_id": job_id}).json()
    assert shown["settings"]["format"] == "SINGLE_TASK"


def test_others_see_and_change_a_job_by_their_level_only(workspace: Workspace) -> None:
    job_id = make(workspace)
    dana = workspace.sdk("dana")
    with pytest.raises(PermissionDenied, match=rf"does not have .* permissions on job {job_id}"):
        dana.jobs.get(job_id)
    assert list(dana.jobs.list()) == []
    view = AccessControlRequest(group_name="data-engineers", permission_level=PermissionLevel.CAN_VIEW)
    workspace.sdk().permissions.update("jobs", str(job_id), access_control_list=[view])
    assert dana.jobs.get(job_id).job_id == job_id
    with pytest.raises(PermissionDenied):
        dana.jobs.reset(job_id, JobSettings(name="mine", tasks=[Task.from_dict(TASK)]))
    with pytest.raises(PermissionDenied):
        dana.jobs.delete(job_id)
    with pytest.raises(PermissionDenied):
        dana.jobs.get(17)  # whether there is such a job stays unknown


def test_nobody_but_administrators_lets_a_job_run_as_another(workspace: Workspace) -> None:
    settings = {"tasks": [TASK], "run_as": {"user_name": "admin@rehearsal.example"}}
    assert workspace.call("POST", "2.2/jobs/create", user="dana", json=settings).status_code == 403


def test_a_job_id_must_be_a_number(workspace: Workspace) -> None:
    for query in ({}, {"job_id": "x"}):
        assert workspace.call("GET", "2.2/jobs/get", params=query).status_code == 400
    with pytest.raises(BadRequest):
        workspace.sdk().api_client.do("POST", "/api/2.2/jobs/delete", body={"job_id": 1.5})
