"""Which tasks of a run are started, and what the run is then called."""

from collections.abc import Sequence

import pytest

from rehearsal.databricks.run_states import decide, ending, outcome
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace

OK, BAD, CUT, OUT, UP, LATE = "SUCCESS", "FAILED", "CANCELED", "EXCLUDED", "UPSTREAM_FAILED", "TIMEDOUT"
UPC = "UPSTREAM_CANCELED"
RUNS = None


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        # ALL_SUCCESS, ALL_DONE, NONE_FAILED, AT_LEAST_ONE_SUCCESS, ALL_FAILED, AT_LEAST_ONE_FAILED
        ([OK, OK], [RUNS, RUNS, RUNS, RUNS, OUT, OUT]),
        ([OK, BAD], [UP, RUNS, UP, RUNS, OUT, RUNS]),
        ([BAD, BAD], [UP, RUNS, UP, UP, RUNS, RUNS]),
        ([BAD, LATE], [UP, RUNS, UP, UP, RUNS, RUNS]),
        ([OK, LATE], [UP, RUNS, UP, RUNS, OUT, RUNS]),
        ([OK, UP], [UP, RUNS, UP, RUNS, OUT, RUNS]),
        ([OK, CUT], [UPC, RUNS, UPC, RUNS, OUT, RUNS]),
        ([CUT, CUT], [UPC, RUNS, UPC, UPC, RUNS, RUNS]),
        ([OK, OUT], [RUNS, RUNS, RUNS, RUNS, OUT, OUT]),
        ([BAD, OUT], [UP, RUNS, UP, UP, OUT, RUNS]),
        ([OUT, OUT], [OUT, OUT, OUT, OUT, OUT, OUT]),
        ([], [RUNS, RUNS, RUNS, RUNS, RUNS, RUNS]),
    ],
)
def test_run_if_decides_as_documented(upstream: Sequence[str], expected: Sequence[str | None]) -> None:
    conditions = ("ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED")
    decided = [decide(each, upstream) for each in conditions]
    assert [each and each["result"] for each in decided] == list(expected)


@pytest.mark.parametrize(
    ("results", "leaves", "expected"),
    [
        ({"a": OK, "b": OK}, ["b"], "SUCCESS"),
        ({"a": BAD, "b": OK}, ["b"], "SUCCESS_WITH_FAILURES"),
        ({"a": OK, "b": BAD}, ["b"], "FAILED"),
        ({"a": BAD, "b": UP}, ["b"], "FAILED"),
        ({"a": LATE}, ["a"], "FAILED"),
        ({"a": OK, "b": OUT}, ["b"], "SUCCESS"),
        ({"a": CUT, "b": UPC}, ["b"], "CANCELED"),
        ({"a": OK, "b": CUT, "c": BAD}, ["b", "c"], "FAILED"),
    ],
)
def test_the_leaves_decide_how_a_run_ended(results: dict[str, str], leaves: list[str], expected: str) -> None:
    endings = {key: ending(each) for key, each in results.items()}  # type: ignore[arg-type]  # the words of Result
    assert outcome(endings, leaves)["result"] == expected


def test_a_failed_task_skips_what_depends_on_it_and_nothing_else(workspace: Workspace) -> None:
    edges = {"broken": {"after": ["first"]}, "after": {"after": ["broken"]}, "last": {"after": ["after"]}}
    orders = {"first": "", "broken": "fail no such column", "after": "", "last": "", "aside": ""}
    run = jobs.run(workspace, jobs.graph(workspace, orders, edges))
    assert jobs.results(run) == {
        "first": "SUCCESS",
        "broken": "FAILED",
        "after": "UPSTREAM_FAILED",
        "last": "UPSTREAM_FAILED",
        "aside": "SUCCESS",
    }
    assert run.state is not None
    assert run.state.state_message == (
        "Task broken failed with message: Workload failed, see run output for details. "
        "This caused all downstream tasks to get skipped."
    )
    skipped = jobs.attempt_of(run, "after")
    assert skipped.state is not None
    assert skipped.state.life_cycle_state is not None
    assert skipped.state.life_cycle_state.value == "SKIPPED"


def test_a_task_that_handles_failure_runs_and_the_run_succeeds_with_failures(workspace: Workspace) -> None:
    edges = {
        "clean": {"after": ["work"], "run_if": "AT_LEAST_ONE_FAILED"},
        "always": {"after": ["work", "clean"], "run_if": "ALL_DONE"},
    }
    run = jobs.run(workspace, jobs.graph(workspace, {"work": "fail", "clean": "", "always": ""}, edges))
    assert jobs.results(run) == {"work": "FAILED", "clean": "SUCCESS", "always": "SUCCESS"}
    assert jobs.result(run) == "SUCCESS_WITH_FAILURES"
    job_id = jobs.graph(workspace, {"work": "", "clean": "", "always": ""}, edges)
    run = jobs.run(workspace, job_id)
    assert jobs.results(run) == {"work": "SUCCESS", "clean": "EXCLUDED", "always": "SUCCESS"}
    assert jobs.result(run) == "SUCCESS"


def test_independent_tasks_run_at_once_up_to_the_limit_and_dependants_wait(workspace: Workspace) -> None:
    gate = workspace.state / "gate"
    orders = dict.fromkeys(("a", "b", "c"), f"wait {gate}") | {"d": ""}
    run_id = jobs.start(workspace, jobs.graph(workspace, orders, {"d": {"after": ["a", "b", "c"]}}))
    jobs.running(workspace, run_id, "a")
    jobs.running(workspace, run_id, "b")
    run = workspace.sdk().jobs.get_run(run_id)
    assert [jobs.state(each) for each in run.tasks or []] == ["RUNNING", "RUNNING", "QUEUED", "BLOCKED"]
    queued = jobs.attempt_of(run, "c").status
    assert queued is not None
    assert queued.queue_details is not None
    assert queued.queue_details.code is not None
    assert queued.queue_details.code.value == "ACTIVE_RUNS_LIMIT_REACHED"
    gate.touch()
    run = jobs.finished(workspace, run_id)
    gate.unlink()
    assert set(jobs.results(run).values()) == {"SUCCESS"}
    assert max(jobs.attempt_of(run, key).end_time or 0 for key in "abc") <= (jobs.attempt_of(run, "d").start_time or 0)


def test_retries_are_counted_and_each_attempt_has_a_run_of_its_own(workspace: Workspace) -> None:
    edges = {"flaky": {"max_retries": 3, "min_retry_interval_millis": 1}, "after": {"after": ["flaky"]}}
    run = jobs.run(workspace, jobs.graph(workspace, {"flaky": "fail-until 2", "after": ""}, edges))
    attempts = [each for each in run.tasks or [] if each.task_key == "flaky"]
    assert [(each.attempt_number, jobs.result(each)) for each in attempts] == [
        (0, "FAILED"),
        (1, "FAILED"),
        (2, "SUCCESS"),
    ]
    assert len({each.run_id for each in attempts}) == 3
    assert jobs.result(run) == "SUCCESS"
    assert (jobs.attempt_of(run, "after").start_time or 0) >= (attempts[-1].end_time or 0)


def test_a_task_that_fails_on_is_tried_as_often_as_it_says_and_no_more(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "fail"}, {"a": {"max_retries": 2}}))
    assert [jobs.result(each) for each in run.tasks or []] == ["FAILED"] * 3
    assert jobs.result(run) == "FAILED"
    once = jobs.run(workspace, jobs.graph(workspace, {"a": "fail"}, {}))
    assert len(once.tasks or []) == 1
