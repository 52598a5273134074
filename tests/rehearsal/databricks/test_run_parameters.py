"""What a task gets as its parameters."""

from typing import Any

import pytest
from databricks.sdk.errors import BadRequest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.databricks.run_parameters import BadReferenceError, effective, path, resolve
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace

_SOME = st.dictionaries(st.sampled_from("abcd"), st.text(max_size=3))


@given(_SOME, _SOME, _SOME)
def test_the_jobs_parameters_win_over_those_of_the_request_and_they_over_the_tasks(
    base: dict[str, str], request: dict[str, str], of_job: dict[str, str]
) -> None:
    got = effective(base, request, of_job)
    assert set(got) == {*base, *request, *of_job}
    for name, value in got.items():
        [expected, *_] = [each[name] for each in (of_job, request, base) if name in each]
        assert value == expected


@given(st.text())
def test_a_text_without_references_stays_as_it_is(text: str) -> None:
    if "{{" not in text:
        assert resolve(text, {}) == text


@given(st.lists(st.text(st.characters(exclude_characters="`", codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_names_in_backticks_are_read_as_they_stand(names: list[str]) -> None:
    assert path(".".join(f"`{each}`" for each in names)) == names


@pytest.mark.parametrize(
    "text", ["{{}}", "{{ my.value }}", "{{job.id", "{job.id}", "{{a b}}", "{{job..id}}", "{{1+1}}"]
)
def test_what_is_no_reference_is_taken_literally(text: str) -> None:
    assert resolve(text, {"job": {"id": "1"}}) == text


@pytest.mark.parametrize("text", ["{{job.naem}}", "{{ task.x }}", "{{tasks.a.values.b}}", "{{job}}", "{{workspace.x}}"])
def test_a_wrong_name_in_a_known_namespace_is_refused(text: str) -> None:
    with pytest.raises(BadReferenceError, match="Invalid reference"):
        resolve(text, {"job": {"id": "1"}, "task": {}, "tasks": {"a": {"values": {}}}, "workspace": {}})


def shown(workspace: Workspace, run: Any, key: str) -> dict[str, str]:
    parameters: dict[str, str] = jobs.printed(workspace, run, key)["parameters"]
    return parameters


def test_a_task_sees_parameters_by_their_precedence(workspace: Workspace) -> None:
    job_id = jobs.graph(
        workspace,
        {"a": "show"},
        {"a": {"parameters": {"x": "task", "y": "task", "z": "task"}}},
        parameters=[{"name": "x", "default": "job"}, {"name": "w", "default": "job"}],
    )
    assert shown(workspace, jobs.run(workspace, job_id), "a") == {"x": "job", "y": "task", "z": "task", "w": "job"}
    run = jobs.run(workspace, job_id, job_parameters={"x": "run"}, notebook_params={"x": "old", "y": "run"})
    assert shown(workspace, run, "a") == {"x": "run", "y": "run", "z": "task", "w": "job"}
    assert [each.as_dict() for each in run.job_parameters or []] == [
        {"name": "x", "default": "job", "value": "run"},
        {"name": "w", "default": "job", "value": "job"},
    ]
    assert run.overriding_parameters is not None
    assert run.overriding_parameters.notebook_params == {"x": "old", "y": "run"}
    resolved = jobs.attempt_of(run, "a").resolved_values
    assert resolved is not None
    assert resolved.notebook_task is not None
    assert resolved.notebook_task.base_parameters == shown(workspace, run, "a")


def test_references_are_replaced_by_what_the_run_is(workspace: Workspace) -> None:
    wanted = {
        "job": "{{job.id}}/{{job.run_id}}/{{job.name}}/{{job.repair_count}}/{{job.trigger.type}}",
        "time": "{{job.start_time.timestamp_ms}}",
        "date": "{{job.start_time.iso_date}}",
        "task": "{{task.name}}/{{task.run_id}}/{{task.execution_count}}",
        "before": "{{tasks.first.result_state}} {{tasks.first.values.rows}} {{tasks.first.values.names}}",
        "workspace": "{{workspace.id}} {{workspace.url}}",
        "old": "{{job_id}}-{{run_id}}",
        "of job": "{{job.parameters.day}}",
    }
    edges = {"second": {"after": ["first"], "parameters": wanted}}
    orders = {"first": 'set rows 42;set names ["a", "b"]', "second": "show"}
    parameters = [{"name": "day", "default": "{{job.start_time.iso_date}}"}]
    job_id = jobs.graph(workspace, orders, edges, parameters=parameters)
    run = jobs.run(workspace, job_id)
    got = shown(workspace, run, "second")
    task_run = jobs.attempt_of(run, "second").run_id
    assert got["job"] == f"{job_id}/{run.run_id}/job/0/one_time"
    assert got["time"] == str(run.start_time)
    assert got["date"] == got["of job"] == got["day"]
    assert got["task"] == f"second/{task_run}/1"
    assert got["before"] == 'success 42 ["a", "b"]'
    assert got["workspace"] == f"1234567890123456 {workspace.url}"
    assert got["old"] == f"{job_id}-{task_run}"
    assert jobs.printed(workspace, run, "second")["task_values"] == {"first": {"rows": 42, "names": ["a", "b"]}}


def test_a_reference_to_a_value_that_nobody_set_fails_the_task_by_name(workspace: Workspace) -> None:
    edges = {"b": {"after": ["a"], "parameters": {"x": "{{tasks.a.values.rows}}"}}}
    run = jobs.run(workspace, jobs.graph(workspace, {"a": "", "b": ""}, edges))
    assert jobs.results(run) == {"a": "SUCCESS", "b": "FAILED"}
    task = jobs.attempt_of(run, "b")
    assert task.state is not None
    assert task.state.state_message == "Invalid reference {{tasks.a.values.rows}}: there is no tasks.a.values.rows"


def test_a_wrong_reference_in_a_jobs_parameter_is_refused_at_once(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": ""}, {}, parameters=[{"name": "x", "default": "{{job.nmae}}"}])
    with pytest.raises(BadRequest, match=r"Invalid reference \{\{job.nmae\}\}"):
        jobs.start(workspace, job_id)
    assert list(workspace.sdk().jobs.list_runs()) == []


def test_a_repair_can_bring_other_parameters(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "show;fail"}, {}, parameters=[{"name": "x", "default": "1"}])
    run_id = jobs.run(workspace, job_id, job_parameters={"x": "2"}).run_id
    assert run_id is not None
    workspace.sdk().jobs.repair_run(run_id, rerun_tasks=["a"], job_parameters={"x": "3"})
    repaired = jobs.finished(workspace, run_id)
    assert shown(workspace, repaired, "a") == {"x": "3"}
