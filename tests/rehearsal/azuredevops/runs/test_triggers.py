"""What starts runs by itself, and what doesn't: filters, batches, schedules."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rehearsal.agent.language.plan import Filter
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.runs import filters, schedules
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines

pytestmark = SOCKETS_LEFT_OPEN


@pytest.mark.parametrize(
    ("include", "exclude", "name", "taken"),
    [
        ((), (), "anything", True),
        (("main",), (), "main", True),
        (("main",), (), "maintenance", False),
        (("refs/heads/main",), (), "main", True),
        (("releases/*",), (), "releases/1/2", True),
        (("releases/*",), ("releases/old*",), "releases/old1", False),
        ((), ("feature/*",), "main", True),
    ],
)
def test_branches_are_filtered(include: tuple[str, ...], exclude: tuple[str, ...], name: str, taken: bool) -> None:
    assert filters.branch(Filter(include, exclude), name) is taken


@pytest.mark.parametrize(
    ("include", "exclude", "path", "taken"),
    [
        (("docs",), (), "docs/a/b.md", True),
        (("docs/*",), (), "docs/a/b.md", True),
        (("docs",), (), "src/docs.py", False),
        ((), ("docs",), "docs/a.md", False),
        ((), ("docs",), "src/a.py", True),
        (("docs/keep",), ("docs",), "docs/keep/a.md", True),
        (("docs",), ("docs/README.md",), "docs/README.md", False),
    ],
)
def test_paths_are_filtered(include: tuple[str, ...], exclude: tuple[str, ...], path: str, taken: bool) -> None:
    assert filters.file(Filter(include, exclude), path) is taken


def test_a_push_starts_a_run_only_if_it_changes_what_the_trigger_names(pipelines: Pipelines) -> None:
    yaml = """
trigger:
  branches: {include: [main]}
  paths: {include: [notebooks]}
jobs: [{job: one, steps: [{script: echo}]}]
"""
    definition = pipelines.define("build", yaml, ci=True)
    pipelines.push({"README.md": "1"})
    made = pipelines.push({"notebooks/a.py": "1"})
    assert pipelines.first_run_of(definition)["sourceVersion"] == made
    pipelines.agent().work("one")
    assert len(pipelines.runs_of(definition)) == 1


def test_with_batch_pushes_wait_for_the_run_and_the_last_one_counts(pipelines: Pipelines) -> None:
    yaml = """
trigger:
  batch: true
  branches: {include: [main]}
jobs: [{job: one, steps: [{script: echo}]}]
"""
    definition = pipelines.define("build", yaml, ci=True)
    pipelines.push({"a": "1"})
    pipelines.push({"a": "2"})
    last = pipelines.push({"a": "3"})
    agent = pipelines.agent()
    agent.work("one")
    second = pipelines.first_run_of(definition, 2)
    assert (second["reason"], second["sourceVersion"]) == ("batchedCI", last)
    agent.work("one")
    assert pipelines.result(second["id"]) == "succeeded"
    assert len(pipelines.runs_of(definition)) == 2


FOR_EVERY_BRANCH = """
trigger: {branches: {include: ['*']}}
schedules:
  - {cron: "0 4 * * *", displayName: nightly, branches: {include: ['*']}, always: true}
resources:
  pipelines: [{pipeline: build, source: build, trigger: {branches: {include: [main]}}}]
jobs: [{job: two, steps: [{script: echo}]}]
"""


def schedule(*branches: str, **more: Any) -> dict[str, Any]:
    """A schedule of a pipeline's settings, as the provider sends it: every day at 02:30 UTC."""
    given = {
        "branchFilters": list(branches),
        "daysToBuild": 127,
        "startHours": 2,
        "startMinutes": 30,
        "timeZoneId": "UTC",
        "scheduleOnlyWithChanges": False,
        "scheduleJobId": None,
    }
    return {"triggerType": "schedule", "schedules": [given | more]}


def test_no_push_starts_a_pipeline_whose_settings_override_the_trigger_but_the_end_of_a_build_does(
    pipelines: Pipelines,
) -> None:
    builds = "trigger: {branches: {include: ['*']}}\njobs: [{job: one, steps: [{script: echo}]}]"
    release = pipelines.define("release", FOR_EVERY_BRANCH)
    build = pipelines.define("build", builds, ci=True)
    agent = pipelines.agent()
    pipelines.push({"release.yml": FOR_EVERY_BRANCH + "# changed"}, branch="feature")
    pipelines.first_run_of(build)
    agent.work("one")
    pipelines.ended(pipelines.first_run_of(build)["id"])
    pipelines.push({"a": "1"})
    pipelines.first_run_of(build, 2)
    agent.work("one", "two")
    (run,) = pipelines.runs_of(release)
    assert (run["reason"], run["sourceBranch"]) == ("resourceTrigger", "refs/heads/main")
    assert pipelines.http().get(f"build/definitions/{release}").json()["triggers"] == []


@pytest.mark.parametrize(
    "wrong", [{"daysToBuild": 0}, {"startHours": 24}, {"timeZoneId": "Mars"}, {"branchFilters": []}]
)
def test_a_schedule_of_the_settings_that_makes_no_sense_is_refused(pipelines: Pipelines, wrong: dict[str, Any]) -> None:
    definition = pipelines.define("build", FOR_EVERY_BRANCH)
    body = pipelines.http().get(f"build/definitions/{definition}").json() | {
        "triggers": [schedule("+refs/heads/main", **wrong)]
    }
    answer = pipelines.http().put(f"build/definitions/{definition}", json=body)
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.text or "Mars" in answer.text


@pytest.mark.parametrize(
    ("cron", "time", "due"),
    [
        ("0 5 * * *", "2026-03-02T05:00", True),
        ("0 5 * * *", "2026-03-02T05:01", False),
        ("*/20 * * * *", "2026-03-02T05:40", True),
        ("10-30/10 * * * *", "2026-03-02T05:20", True),
        ("10-30/10 * * * *", "2026-03-02T05:40", False),
        ("0 3 * * Mon-Fri", "2026-03-02T03:00", True),
        ("0 3 * * 1-5", "2026-03-01T03:00", False),
        ("0 3 1 jan *", "2026-01-01T03:00", True),
        ("0 3 1,15 * *", "2026-01-14T03:00", False),
        ("0 3 1 * mon", "2026-03-02T03:00", True),
    ],
)
def test_schedules_are_read(cron: str, time: str, due: bool) -> None:
    assert schedules.matches(cron, datetime.fromisoformat(time)) is due


@pytest.mark.parametrize("cron", ["0 5 * *", "60 * * * *", "x * * * *", "*/0 * * * *", "5-1 * * * *"])
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        schedules.matches(cron, datetime(2026, 1, 1, tzinfo=UTC))


def test_the_clock_starts_a_run_once_unless_nothing_has_changed(pipelines: Pipelines, state: Path) -> None:
    yaml = """
trigger: none
schedules:
  - {cron: "0 4 * * *", displayName: nightly, branches: {include: [main]}, always: false}
jobs: [{job: one, steps: [{script: echo}]}]
"""
    definition = pipelines.define("drift", yaml)
    service = Service(state, CREDENTIALS, orchestrated=True)
    # The service itself has looked at the minutes up to now; this one looks at those of a day in the future.
    schedules.look(service, datetime(2100, 1, 4, 3, 59, tzinfo=UTC))
    assert pipelines.runs_of(definition) == []
    schedules.look(service, datetime(2100, 1, 4, 4, 1, tzinfo=UTC))
    schedules.look(service, datetime(2100, 1, 4, 4, 1, tzinfo=UTC))
    (run,) = pipelines.runs_of(definition)
    assert (run["reason"], run["sourceBranch"]) == ("schedule", "refs/heads/main")
    (job,) = pipelines.agent().work("one")
    assert job.predefined["Build.CronSchedule.DisplayName"] == "nightly"
    pipelines.ended(run["id"])
    schedules.look(service, datetime(2100, 1, 5, 4, 0, tzinfo=UTC))
    assert len(pipelines.runs_of(definition)) == 1
    pipelines.push({"a": "1"})
    schedules.look(service, datetime(2100, 1, 6, 4, 0, tzinfo=UTC))
    assert len(pipelines.runs_of(definition)) == 2
    service.store.close()


def test_schedules_of_the_settings_count_and_those_of_a_branch_then_do_not(pipelines: Pipelines, state: Path) -> None:
    main = "refs/heads/main"
    nightly = pipelines.define("drift", FOR_EVERY_BRANCH, triggers=[schedule(f"+{main}")])
    never = pipelines.define("never", FOR_EVERY_BRANCH, triggers=[schedule(f"+{main}", f"-{main}")])
    of_yaml = pipelines.define("of-yaml", FOR_EVERY_BRANCH)
    there = {"daysToBuild": 1, "timeZoneId": "W. Europe Standard Time"}  # Monday, and an hour before UTC in winter
    elsewhere = pipelines.define("elsewhere", FOR_EVERY_BRANCH, triggers=[schedule(f"+{main}", **there)])
    pipelines.push({"a": "1"}, branch="feature")
    service = Service(state, CREDENTIALS, orchestrated=True)
    found: dict[int, list[tuple[int, int, int, str]]] = {each: [] for each in (nightly, never, of_yaml, elsewhere)}
    for day in (10, 11):  # a Sunday, a Monday
        for hour, minute in ((1, 30), (2, 30), (4, 0)):
            before = {each: len(pipelines.runs_of(each)) for each in found}
            schedules.look(service, datetime(2100, 1, day, hour, minute, tzinfo=UTC) - timedelta(minutes=1))
            schedules.look(service, datetime(2100, 1, day, hour, minute, tzinfo=UTC))
            for each, starts in found.items():
                new = pipelines.runs_of(each)[before[each] :]
                starts.extend((day, hour, minute, run["sourceBranch"]) for run in new)
    service.store.close()
    assert found == {
        nightly: [(10, 2, 30, main), (11, 2, 30, main)],
        never: [],
        of_yaml: [(day, 4, 0, f"refs/heads/{name}") for day in (10, 11) for name in ("feature", "main")],
        elsewhere: [(11, 1, 30, main)],
    }
    (kept,) = pipelines.http().get(f"build/definitions/{nightly}").json()["triggers"][0]["schedules"]
    assert kept["scheduleJobId"]
