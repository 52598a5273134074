"""Broken connections while a job is created: one job of the name is there at the end, and nobody else's is touched."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk.service.jobs import NotebookTask, Task

from tests.engine.samples import sample_release
from tests.engine.shelf import Shelf
from tests.engine.system import System

pytestmark = pytest.mark.engine

CREATE, READ = "/jobs/create$", "/jobs/get"


@pytest.fixture(scope="module")
def deployed(shelf: Shelf) -> Iterator[System]:
    """A system with a release and without jobs; each test adds one of its own."""
    with shelf.system("test") as system:
        sample_release(system.project.path)
        system.project.settings("test", no_jobs)
        system.bring_up("test")
        yield system


@pytest.fixture(autouse=True)
def no_faults(deployed: System) -> None:
    deployed.workspace.forget()


def no_jobs(settings: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"tests": {}, "jobs": {}, "jobOverrides": {}}
    settings.update({**nothing, "notebooks": {"folder": "sample"}})


def add_job(system: System, key: str) -> None:
    system.project.settings("test", lambda settings: settings["jobs"].update({key: {"notebook": "load_trips"}}))


def jobs(system: System, key: str) -> set[str]:
    return {str(each.job_id) for each in system.workspace_client().jobs.list(name=f"{key} (test)")}


def assert_settled(system: System, key: str) -> None:
    (there,) = jobs(system, key)
    nothing = system.project.preview("test", "--expect-no-changes")
    assert nothing, nothing.text
    assert there == state_id(system, key)


def state_id(system: System, key: str) -> str:
    """The id that the state knows."""
    exported = system.project.pulumi("stack", "export", "--stack", "test").text
    resources = json.loads(exported[exported.index("{") :])["deployment"]["resources"]
    return next(str(each["id"]) for each in resources if each["urn"].endswith(f"::job-{key}"))


def test_a_create_that_was_done_before_the_connection_broke_makes_one_job_and_the_warning_names_the_other(
    deployed: System,
) -> None:
    add_job(deployed, "trips")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)

    outcome = deployed.project.up("test")

    assert outcome, outcome.text
    assert "deleting the job 'trips (test)' (" in outcome.text
    assert_settled(deployed, "trips")
    assert f"({state_id(deployed, 'trips')})" not in outcome.text


def test_a_job_of_the_same_name_that_was_made_by_hand_before_is_left_alone(deployed: System) -> None:
    by_hand = deployed.workspace_client().jobs.create(
        name="manual (test)",
        tasks=[Task(task_key="load", notebook_task=NotebookTask(notebook_path="/mine"))],
    )
    add_job(deployed, "manual")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)

    outcome = deployed.project.up("test")

    assert outcome, outcome.text
    assert jobs(deployed, "manual") == {str(by_hand.job_id), state_id(deployed, "manual")}


def test_what_a_create_that_failed_in_the_end_has_left_is_deleted_and_the_next_up_converges(deployed: System) -> None:
    add_job(deployed, "failed")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)
    deployed.workspace.fault("status", method="POST", path=CREATE, status=500)

    outcome = deployed.project.up("test")

    assert not outcome
    assert "deleting the job 'failed (test)' (" in outcome.text
    assert jobs(deployed, "failed") == set()
    outcome = deployed.project.up("test")
    assert outcome, outcome.text
    assert_settled(deployed, "failed")


def test_of_two_jobs_of_which_the_second_could_not_be_read_back_the_next_up_keeps_the_second(deployed: System) -> None:
    add_job(deployed, "unread")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)
    deployed.workspace.fault("status", method="GET", path=READ, status=500)

    outcome = deployed.project.up("test")

    assert not outcome
    assert state_id(deployed, "unread") in jobs(deployed, "unread")
    outcome = deployed.project.up("test")
    assert outcome, outcome.text
    assert "deleting the job 'unread (test)' (" in outcome.text
    assert_settled(deployed, "unread")


def test_what_an_up_killed_after_the_create_has_left_is_deleted_by_the_next_one(deployed: System) -> None:
    add_job(deployed, "killed")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)
    deployed.workspace.fault("reset-before", method="POST", path=CREATE, count=1000)
    deployed.project.killed_up("test", lambda: bool(jobs(deployed, "killed")))
    (left,) = jobs(deployed, "killed")
    deployed.workspace.forget()
    cancelled = deployed.project.pulumi("cancel", "--yes", "--stack", "test")
    assert cancelled, cancelled.text

    outcome = deployed.project.up("test")

    assert outcome, outcome.text
    assert f"deleting the job 'killed (test)' ({left})" in outcome.text
    assert_settled(deployed, "killed")


def test_a_workspace_that_does_not_say_who_one_is_loses_no_job_and_fails_no_up(deployed: System) -> None:
    add_job(deployed, "unknown")
    deployed.workspace.fault("reset-after", method="POST", path=CREATE)
    deployed.workspace.fault("status", path="/jobs/list", status=403, count=1000)

    outcome = deployed.project.up("test")

    assert outcome, outcome.text
    assert "none is deleted" in outcome.text
    assert len(jobs_after_faults(deployed, "unknown")) == 2


def jobs_after_faults(system: System, key: str) -> set[str]:
    system.workspace.forget()
    return jobs(system, key)
