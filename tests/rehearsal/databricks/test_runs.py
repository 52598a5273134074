"""Runs of jobs: started, shown, listed, deleted, refused."""

from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, OperationFailed, ResourceDoesNotExist
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.jobs import NotebookTask, RunType, SubmitTask, ViewsToExport

from rehearsal.databricks import processes, run_machine
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace

VERSIONS = ("2.0", "2.1", "2.2")


def test_the_official_client_starts_a_job_and_gets_what_the_notebook_returned(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "exit hello"}, {})
    run = workspace.sdk().jobs.run_now(job_id).result()
    assert jobs.result(run) == "SUCCESS"
    assert (run.job_id, run.run_name, run.creator_user_name) == (job_id, "job", "admin@rehearsal.example")
    [task] = run.tasks or []
    assert task.run_id is not None
    assert task.run_id != run.run_id
    output = workspace.sdk().jobs.get_run_output(task.run_id)
    assert output.notebook_output is not None
    assert (output.notebook_output.result, output.notebook_output.truncated) == ("hello", False)


def test_a_failed_notebook_fails_the_job_in_the_services_words(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "fail the source is empty"}, {})
    words = "got RunLifeCycleState.INTERNAL_ERROR: Task a failed with message: Workload failed, see run output for"
    with pytest.raises(OperationFailed, match=words):
        workspace.sdk().jobs.run_now(job_id).result()
    [run] = workspace.sdk().jobs.list_runs(job_id=job_id, expand_tasks=True)
    assert (jobs.result(run), jobs.results(run)) == ("FAILED", {"a": "FAILED"})  # type: ignore[arg-type]  # a BaseRun has the same fields
    assert run.tasks is not None
    assert run.tasks[0].run_id is not None
    output = workspace.sdk().jobs.get_run_output(run.tasks[0].run_id)
    assert output.error == "ValueError: the source is empty"
    assert output.error_trace is not None


def test_a_notebook_that_ends_its_interpreter_fails_with_a_sentence(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "crash 7"}, {}))
    assert jobs.results(run) == {"a": "FAILED"}
    assert jobs.output(workspace, run, "a").error == "The Python process exited unexpectedly, without a result."


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_shows_a_run_with_both_kinds_of_state(workspace: Workspace, version: str) -> None:
    job_id = jobs.graph(workspace, {"a": ""}, {})
    run_id = workspace.call("POST", f"{version}/jobs/run-now", json={"job_id": job_id}).json()["run_id"]
    jobs.finished(workspace, run_id)
    run = workspace.call("GET", f"{version}/jobs/runs/get", params={"run_id": run_id}).json()
    for shown in (run, run["tasks"][0]):
        assert shown["state"] == {
            "life_cycle_state": "TERMINATED",
            "result_state": "SUCCESS",
            "state_message": "",
            "user_cancelled_or_timedout": False,
        }
        assert shown["status"]["termination_details"] == {"code": "SUCCESS", "type": "SUCCESS", "message": ""}
    assert run["run_page_url"] == f"{workspace.url}/jobs/{job_id}/runs/{run_id}"
    assert run["start_time"] <= run["tasks"][0]["start_time"] <= run["tasks"][0]["end_time"] <= run["end_time"]


def test_more_than_a_hundred_tasks_come_in_pages(workspace: Workspace) -> None:
    path = jobs.notebook(workspace, "n", "")
    tasks = [jobs.task(f"t{number}", path, after=["t0"] if number else []) for number in range(103)]
    tasks[0]["notebook_task"]["notebook_path"] = "/Shared/missing"
    run = jobs.run(workspace, jobs.create(workspace, tasks))
    assert len(run.tasks or []) == 103
    page = workspace.call("GET", "2.2/jobs/runs/get", params={"run_id": run.run_id}).json()
    assert len(page["tasks"]) == 100
    assert set(jobs.results(run).values()) == {"FAILED", "UPSTREAM_FAILED"}


def test_a_request_that_is_sent_twice_starts_one_run(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": ""}, {})
    first, second = (jobs.start(workspace, job_id, idempotency_token="once") for _ in range(2))
    assert first == second
    jobs.finished(workspace, first)
    workspace.sdk().jobs.delete_run(first)
    with pytest.raises(InvalidParameterValue, match="was deleted"):
        jobs.start(workspace, job_id, idempotency_token="once")


def test_a_submitted_run_needs_no_job(workspace: Workspace) -> None:
    path = jobs.notebook(workspace, "a", "exit done")
    task = SubmitTask(task_key="one", notebook_task=NotebookTask(notebook_path=path))
    run = workspace.sdk().jobs.submit(run_name="by hand", tasks=[task]).result()
    assert (run.run_name, run.run_type, jobs.result(run)) == ("by hand", RunType.SUBMIT_RUN, "SUCCESS")
    assert list(workspace.sdk().jobs.list()) == []
    assert run.run_id is not None
    output = workspace.sdk().jobs.get_run_output(run.run_id)  # of its only task
    assert output.notebook_output is not None
    assert output.notebook_output.result == "done"


def test_only_restricts_a_run_to_tasks_and_their_neighbours(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "fail", "b": "", "c": ""}, {"b": {"after": ["a"]}, "c": {"after": ["b"]}})
    run = jobs.run(workspace, job_id, only=["b+"])
    assert jobs.results(run) == {"a": "DISABLED", "b": "SUCCESS", "c": "SUCCESS"}
    assert jobs.result(run) == "SUCCESS"
    assert jobs.results(jobs.run(workspace, job_id, only=["+b"])) == {
        "a": "FAILED",
        "b": "UPSTREAM_FAILED",
        "c": "DISABLED",
    }
    with pytest.raises(BadRequest, match="no task d"):
        jobs.start(workspace, job_id, only=["d"])


def test_runs_are_listed_by_what_is_asked(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    one, two = (jobs.graph(workspace, {"a": "", "b": ""}, {}) for _ in range(2))
    ended = [jobs.run(workspace, one).run_id for _ in range(2)]
    waits = jobs.graph(workspace, {"a": "sleep 60"}, {})
    active = jobs.start(workspace, waits)
    submitted = sdk.jobs.submit(
        tasks=[SubmitTask(task_key="x", notebook_task=NotebookTask(notebook_path="/Shared/b"))]
    ).run_id
    jobs.finished(workspace, submitted)

    def found(**filters: Any) -> list[int | None]:
        return [each.run_id for each in sdk.jobs.list_runs(**filters)]

    assert found(job_id=one) == ended[::-1]
    assert found(job_id=two) == []
    assert found(active_only=True) == [active]
    assert set(found(completed_only=True)) == {*ended, submitted}
    assert found(run_type=RunType.SUBMIT_RUN) == [submitted]
    assert found(limit=1) == [submitted, active, *ended[::-1]]  # pages of one
    since = sdk.jobs.get_run(active).start_time
    assert found(start_time_from=since) == [submitted, active]
    assert found(start_time_to=since)[-1] == ended[0]
    assert [len(each.tasks or []) for each in sdk.jobs.list_runs(job_id=one, expand_tasks=True)] == [2, 2]
    with pytest.raises(BadRequest, match="Only one of"):
        found(active_only=True, completed_only=True)


def test_an_active_run_can_not_be_deleted_an_ended_one_can(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "sleep 60"}, {}))
    with pytest.raises(BadRequest, match="Cannot delete active run"):
        sdk.jobs.delete_run(run_id)
    sdk.jobs.cancel_run(run_id)
    jobs.finished(workspace, run_id)
    sdk.jobs.delete_run(run_id)
    with pytest.raises(ResourceDoesNotExist, match=f"Run {run_id} does not exist"):
        sdk.jobs.get_run(run_id)


def test_the_page_of_a_task_is_exported(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "", "b": ""}, {}))
    assert run.run_id is not None
    with pytest.raises(BadRequest, match="multiple tasks"):
        workspace.sdk().jobs.export_run(run.run_id)
    with pytest.raises(BadRequest, match="multiple tasks"):
        workspace.sdk().jobs.get_run_output(run.run_id)
    task_run_id = jobs.attempt_of(run, "a").run_id
    assert task_run_id is not None
    [view] = workspace.sdk().jobs.export_run(task_run_id, views_to_export=ViewsToExport.ALL).views or []
    assert (view.name, view.type and view.type.value) == ("a", "NOTEBOOK")
    assert "<title>/Shared/a</title>" in (view.content or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"notebook_task": None, "spark_jar_task": {"main_class_name": "x"}},
            "tasks only, not spark_jar_task",
        ),
        ({"notebook_task": None, "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}}, "condition_task"),
        ({"notebook_task": None, "for_each_task": {"inputs": "[]"}}, "for_each_task"),
        ({"notebook_task": {"notebook_path": "/a", "warehouse_id": "1"}}, "warehouse_id"),
        ({"existing_cluster_id": "0101-1"}, "existing_cluster_id"),
        ({"notebook_task": {"notebook_path": "a", "source": "GIT"}}, "none from git"),
        ({"libraries": [{"pypi": {"package": "no-such-package==1.0"}}]}, "no-such-package"),
    ],
)
def test_what_the_rehearsal_can_not_run_is_a_definition_all_the_same_and_refused_by_name(
    workspace: Workspace, change: dict[str, Any], words: str
) -> None:
    job_id = jobs.create(workspace, [jobs.task("one", "/Shared/a") | change])
    assert workspace.sdk().jobs.get(job_id).job_id == job_id
    with pytest.raises(DatabricksError, match=words) as caught:
        workspace.sdk().jobs.run_now(job_id)
    assert caught.value.error_code == "FEATURE_DISABLED"
    assert list(workspace.sdk().jobs.list_runs()) == []


@pytest.mark.parametrize("field", ["jar_params", "python_params", "sql_params", "invented"])
def test_parameters_of_other_kinds_of_tasks_are_refused_by_name(workspace: Workspace, field: str) -> None:
    job_id = jobs.graph(workspace, {"a": ""}, {})
    answer = workspace.call("POST", "2.2/jobs/run-now", json={"job_id": job_id, field: ["x"]})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert field in answer.json()["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"run_if": "SOMETIMES"},
        {"max_retries": "many"},
        {"timeout_seconds": 1.5},
        {"health": {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": "x"}]}},
        {"job_cluster_key": "none"},
        {"environment_key": "none"},
    ],
)
def test_settings_that_make_no_sense_are_refused_before_the_run(workspace: Workspace, change: dict[str, Any]) -> None:
    job_id = jobs.create(workspace, [jobs.task("one", "/Shared/a") | change])
    with pytest.raises(BadRequest):
        jobs.start(workspace, job_id)


def test_a_mistake_of_the_stand_in_ends_that_run_and_no_other(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_machine.advance

    def stumble(turn: run_machine.Turn) -> None:
        if turn.run["name"] == "cursed" and any(each["phase"] == "RUNNING" for each in turn.run["attempts"]):
            raise KeyError("a mistake")
        real(turn)

    monkeypatch.setattr(run_machine, "advance", stumble)
    other = jobs.start(workspace, jobs.graph(workspace, {"b": "sleep 1"}, {}))
    cursed = jobs.run(workspace, jobs.graph(workspace, {"a": "sleep 300"}, {}, name="cursed"))
    assert cursed.state is not None
    assert "could not go on" in (cursed.state.state_message or "")
    # The process has got its signal when the run is over, and ends as soon as it gets to run.
    folder = str(workspace.state / "runs" / str(cursed.run_id) / "a-0")
    jobs.until(lambda: processes.marked(processes.TASK, folder) == [])
    assert jobs.result(jobs.finished(workspace, other)) == "SUCCESS"
