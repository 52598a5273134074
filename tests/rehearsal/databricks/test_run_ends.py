"""Runs that are ended: by a time limit, by somebody, by the limit of concurrent runs; and repairs."""

import itertools
from pathlib import Path

import pytest
from databricks.sdk.errors import BadRequest
from databricks.sdk.service.jobs import QueueSettings

from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace


def pid_of_child(workspace: Workspace, run_id: int, key: str, attempt: int = 0) -> int:
    """The process that the order `child` started."""
    file = workspace.state / "runs" / str(run_id) / f"{key}-{attempt}" / "child.pid"
    return int(jobs.until(lambda: file.exists() and file.read_text(), "the child"))


@pytest.mark.parametrize("manners", ["", "deaf;"])
def test_a_time_limit_ends_the_process_and_what_it_started(workspace: Workspace, manners: str) -> None:
    orders = {"slow": f"{manners}child 300;sleep 300", "after": ""}
    edges = {"slow": {"timeout_seconds": 1}, "after": {"after": ["slow"]}}
    run_id = jobs.start(workspace, jobs.graph(workspace, orders, edges))
    child = pid_of_child(workspace, run_id, "slow")
    assert jobs.alive(child)
    run = jobs.finished(workspace, run_id)
    assert jobs.results(run) == {"slow": "TIMEDOUT", "after": "UPSTREAM_FAILED"}
    assert not jobs.alive(child)
    assert jobs.result(run) == "FAILED"


def test_a_task_that_timed_out_is_tried_again_only_if_it_says_so(workspace: Workspace) -> None:
    limits = {"max_retries": 1, "timeout_seconds": 1}
    run = jobs.run(
        workspace,
        jobs.graph(
            workspace, {"a": "sleep 300", "b": "sleep 300"}, {"a": limits | {"retry_on_timeout": True}, "b": limits}
        ),
    )
    assert [(each.task_key, jobs.result(each)) for each in run.tasks or []] == [
        ("a", "TIMEDOUT"),
        ("a", "TIMEDOUT"),
        ("b", "TIMEDOUT"),
    ]


def test_the_time_limit_of_a_job_ends_the_whole_run(workspace: Workspace) -> None:
    orders = {"a": "child 300;sleep 300", "b": ""}
    job_id = jobs.graph(workspace, orders, {"a": {"max_retries": 5}, "b": {"after": ["a"]}}, timeout_seconds=1)
    run = jobs.run(workspace, job_id)
    assert (jobs.result(run), jobs.results(run)) == ("TIMEDOUT", {"a": "TIMEDOUT", "b": "TIMEDOUT"})
    assert len(run.tasks or []) == 2
    assert run.run_id is not None
    assert not jobs.alive(pid_of_child(workspace, run.run_id, "a"))


def test_a_cancelled_run_leaves_no_process_and_starts_nothing_more(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "child 300;sleep 300", "b": ""}, {"b": {"after": ["a"], "run_if": "ALL_DONE"}})
    run_id = jobs.start(workspace, job_id)
    child = pid_of_child(workspace, run_id, "a")
    workspace.sdk().jobs.cancel_run(run_id)
    run = jobs.finished(workspace, run_id)
    assert (jobs.result(run), jobs.results(run)) == ("CANCELED", {"a": "CANCELED", "b": "CANCELED"})
    assert run.status is not None
    assert run.status.termination_details is not None
    assert run.status.termination_details.code is not None
    assert run.status.termination_details.code.value == "USER_CANCELED"
    assert not jobs.alive(child)
    workspace.sdk().jobs.cancel_run(run_id)  # once more is no mistake


def test_a_cancelled_task_lets_the_tasks_run_that_handle_failure(workspace: Workspace) -> None:
    edges = {"next": {"after": ["a"]}, "clean": {"after": ["a"], "run_if": "AT_LEAST_ONE_FAILED"}}
    run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "sleep 300", "next": "", "clean": ""}, edges))
    attempt = jobs.running(workspace, run_id, "a")
    assert attempt.run_id is not None
    workspace.sdk().jobs.cancel_run(attempt.run_id)
    run = jobs.finished(workspace, run_id)
    assert jobs.results(run) == {"a": "CANCELED", "next": "UPSTREAM_CANCELED", "clean": "SUCCESS"}


def test_runs_above_the_limit_are_skipped_or_wait_in_the_queue(workspace: Workspace) -> None:
    gate = workspace.state / "gate"
    job_id = jobs.graph(workspace, {"a": f"wait {gate}"}, {})
    first = jobs.start(workspace, job_id)
    jobs.running(workspace, first, "a")
    skipped = jobs.finished(workspace, jobs.start(workspace, job_id))
    assert jobs.result(skipped) == "MAXIMUM_CONCURRENT_RUNS_REACHED"
    assert skipped.state is not None
    assert skipped.state.life_cycle_state is not None
    assert skipped.state.life_cycle_state.value == "SKIPPED"
    waiting = [jobs.start(workspace, job_id, queue=QueueSettings(enabled=True)) for _ in range(2)]
    run = workspace.sdk().jobs.get_run(waiting[0])
    assert jobs.state(run) == "QUEUED"
    assert run.status is not None
    jobs.until(lambda: workspace.sdk().jobs.get_run(waiting[0]).status.queue_details)  # type: ignore[union-attr]  # just asserted
    gate.touch()
    ended = [jobs.finished(workspace, each) for each in (first, *waiting)]
    gate.unlink()
    assert [jobs.result(each) for each in ended] == ["SUCCESS"] * 3
    for before, after in itertools.pairwise(ended):
        assert (after.tasks or [])[0].start_time >= before.end_time  # type: ignore[operator]  # both have ended


def test_as_many_runs_as_the_job_allows_run_at_once(workspace: Workspace) -> None:
    gate = workspace.state / "gate"
    job_id = jobs.graph(workspace, {"a": f"wait {gate}"}, {}, max_concurrent_runs=2, queue={"enabled": True})
    run_ids = [jobs.start(workspace, job_id) for _ in range(3)]
    for each in run_ids[:2]:
        jobs.running(workspace, each, "a")
    assert jobs.state(workspace.sdk().jobs.get_run(run_ids[2])) == "QUEUED"
    gate.touch()
    assert [jobs.result(jobs.finished(workspace, each)) for each in run_ids] == ["SUCCESS"] * 3
    gate.unlink()


def test_all_runs_of_a_job_are_cancelled_the_queued_ones_too(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "sleep 300"}, {}, queue={"enabled": True})
    run_ids = [jobs.start(workspace, job_id) for _ in range(2)]
    jobs.running(workspace, run_ids[0], "a")
    workspace.sdk().jobs.cancel_all_runs(all_queued_runs=True)
    assert jobs.result(jobs.finished(workspace, run_ids[1])) == "CANCELED"
    assert jobs.state(workspace.sdk().jobs.get_run(run_ids[0])) == "RUNNING"
    workspace.sdk().jobs.cancel_all_runs(job_id=job_id)
    assert jobs.result(jobs.finished(workspace, run_ids[0])) == "CANCELED"


def test_a_repair_runs_what_failed_again_and_keeps_what_succeeded(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    edges = {"b": {"after": ["a"]}, "c": {"after": ["b"]}}
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "", "b": "fail", "c": ""}, edges))
    assert run.run_id is not None
    jobs.notebook(workspace, "b", "")
    sdk.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True)
    repaired = jobs.finished(workspace, run.run_id)
    assert jobs.result(repaired) == "SUCCESS"
    assert [(each.task_key, each.attempt_number, jobs.result(each)) for each in repaired.tasks or []] == [
        ("a", 0, "SUCCESS"),
        ("b", 0, "FAILED"),
        ("b", 1, "SUCCESS"),
        ("c", 0, "UPSTREAM_FAILED"),
        ("c", 1, "SUCCESS"),
    ]
    history = repaired.repair_history or []
    assert [each.type and each.type.value for each in history] == ["ORIGINAL", "REPAIR"]
    assert [each.state and each.state.result_state and each.state.result_state.value for each in history] == [
        "FAILED",
        "SUCCESS",
    ]
    repair = history[1].id
    assert repair is not None
    assert len(history[1].task_run_ids or []) == 2
    with pytest.raises(BadRequest, match="latest_repair_id"):
        sdk.jobs.repair_run(run.run_id, rerun_tasks=["a"])
    with pytest.raises(BadRequest, match="no failed task"):
        sdk.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True, latest_repair_id=repair)
    sdk.jobs.repair_run(run.run_id, rerun_tasks=["b"], rerun_dependent_tasks=True, latest_repair_id=repair)
    again = jobs.finished(workspace, run.run_id)
    assert [each.attempt_number for each in again.tasks or []] == [0, 0, 1, 2, 0, 1, 2]


def test_a_run_in_progress_is_not_repaired(workspace: Workspace) -> None:
    run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "sleep 300"}, {}))
    with pytest.raises(BadRequest, match="in progress"):
        workspace.sdk().jobs.repair_run(run_id, rerun_tasks=["a"])


def test_a_job_that_is_deleted_takes_its_runs_with_it(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "sleep 300"}, {})
    run_id = jobs.start(workspace, job_id)
    jobs.running(workspace, run_id, "a")
    workspace.sdk().jobs.delete(job_id)
    assert jobs.result(jobs.finished(workspace, run_id)) == "CANCELED"


def test_a_reset_ends_what_runs_and_removes_what_runs_made(workspace: Workspace) -> None:
    run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "child 300;sleep 300"}, {}))
    child = pid_of_child(workspace, run_id, "a")
    workspace.control("POST", "reset")
    assert not jobs.alive(child)
    assert not Path(workspace.state / "runs").exists()
    assert list(workspace.sdk().jobs.list_runs()) == []


def test_what_a_task_leaves_behind_ends_with_it(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "child 300"}, {}))
    assert jobs.result(run) == "SUCCESS"
    assert run.run_id is not None
    assert not jobs.alive(pid_of_child(workspace, run.run_id, "a"))
