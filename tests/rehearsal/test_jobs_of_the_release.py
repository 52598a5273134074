"""The release as jobs of the stand-in: the daily chain's watch, and suites that fail for a defect and nothing else.

Every run is a run of the Jobs API, of notebooks in the workspace, on Spark with Delta.
"""

import json
import math
from collections.abc import Iterator

import pytest

from tests.rehearsal.databricks.run_helpers import output, until
from tests.rehearsal.databricks.test_notifications import Receiver, destination, mails, receiver
from tests.rehearsal.planted_defects import DEFECTS
from tests.rehearsal.release_jobs import ROOT, Outcome, Release, of_stack, released, settings

__all__ = ["receiver"]  # a fixture, which pytest finds by its name here

SUITES = ("functional", "integration", "performance")
TO = "ops@city.example"
QUICK = "wind stays in kilometres an hour"
SLOW = "rows are joined with their verdict by a condition that is no equality"
LATE = "2024-11-05T06:00:00Z"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A workspace with the release, of which no job has run yet."""
    with released(tmp_path_factory.mktemp("release")) as made:
        yield made


@pytest.fixture(scope="module")
def first_day(release: Release) -> Outcome:
    """The first run of the daily chain."""
    outcome = release.run("daily")
    assert (outcome.errors, outcome.result) == ({}, "SUCCESS")
    return outcome


def test_every_defect_has_its_place_in_the_product() -> None:
    assert {defect.suite for defect in DEFECTS.values()} == set(SUITES)
    for defect in DEFECTS.values():
        text = defect.planted(ROOT / "notebooks")
        assert text != (ROOT / "notebooks" / defect.file).read_text(encoding="utf-8")
        compile(text, defect.file, "exec")


def test_the_budget_is_a_million_trips_within_the_limits_of_the_daily_job() -> None:
    daily = settings().jobs["daily"]
    accepted = json.loads((ROOT / "tests/release/accepted.json").read_text(encoding="utf-8"))["stages"]
    minutes = {stage: daily.tasks[stage].timeout_minutes for stage in ("ingest", "transform", "publish")}
    minutes["chain"] = daily.timeout_minutes
    least = {stage: math.ceil(1_000_000 / ((limit or 0) * 60)) for stage, limit in minutes.items()}
    assert {stage: figures["least_rows_per_second"] for stage, figures in accepted.items()} == least


def test_stale_data_fails_the_daily_job_and_people_hear_why(
    release: Release, first_day: Outcome, receiver: Receiver
) -> None:
    stack = of_stack()
    stack["jobOverrides"]["daily"]["tasks"]["watch"]["parameters"]["as_of"] = LATE
    hook = destination(release.workspace, receiver.url)
    notify = {"emails": [TO], "webhooks": [hook]}
    stack["jobDefaults"]["notify"] = notify
    told_of = settings(**stack).jobs["daily"]
    outcome = release.run_job(release.create("daily", told_of), only=["watch", "maintain"])
    assert outcome.result == "FAILED"
    assert (outcome.tasks["watch"], outcome.tasks["maintain"]) == ("FAILED", "UPSTREAM_FAILED")
    assert "WatchError" in outcome.errors["watch"]
    trace = str(output(release.workspace, outcome.run, "watch").error_trace)
    assert "freshness of trips: the newest day is 2024-10-27" in trace
    until(lambda: receiver.got and mails(release.workspace), "a mail and a post")
    [mail] = mails(release.workspace)
    assert (mail["To"], mail["Subject"]) == (TO, "[Databricks] Job daily (test) failed")
    assert "Task watch" in mail.get_content()
    [(body, _)] = receiver.got
    assert (body["event_type"], body["run"]["run_id"]) == ("jobs.on_failure", outcome.run.run_id)


@pytest.mark.parametrize("suite", ["functional", "integration"])
def test_a_suite_succeeds_with_the_release_as_it_is(release: Release, suite: str) -> None:
    outcome = release.run(suite)
    assert outcome.errors == {}
    assert outcome.result == "SUCCESS"
    summary = release.summary(outcome, suite)
    assert summary["failed"] == summary["skipped"] == 0
    assert summary["passed"] > 0


def test_a_bad_join_fails_the_performance_suite_for_its_stage_and_the_other_stages_pass(release: Release) -> None:
    stack = of_stack()
    # Other tests run beside this one: with the tolerance that the job has, it is judged below, where nothing else runs.
    # That the suite succeeds with the release as it is, the tour sees.
    stack["jobOverrides"]["performance"]["parameters"] |= {"repeats": "1", "tolerance": "1.2"}
    defect = DEFECTS[SLOW]
    with release.with_file(defect.file, defect.planted(ROOT / "notebooks")):
        outcome = release.run_job(release.create("performance", settings(**stack).jobs["performance"]))
    assert outcome.result == "FAILED"
    assert defect.test in outcome.errors["performance"]
    summary = release.summary(outcome, "performance")
    failed = {each["test"] for each in summary["failures"]}
    assert defect.test in failed
    assert {name.partition("[")[2] for name in failed} <= {"transform]", "chain]"}, failed
    assert summary["passed"] >= 4


def test_a_planted_defect_fails_its_suite_by_name(release: Release) -> None:
    defect = DEFECTS[QUICK]
    with release.with_file(defect.file, defect.planted(ROOT / "notebooks")):
        outcome = release.run(defect.suite)
    assert outcome.result == "FAILED"
    assert f"{defect.suite}: 1 of " in outcome.errors[defect.suite]
    assert defect.test in outcome.errors[defect.suite]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_fails_its_suite_and_no_other(release: Release, name: str) -> None:
    defect = DEFECTS[name]
    with release.with_file(defect.file, defect.planted(ROOT / "notebooks")):
        outcomes = {suite: release.run(suite) for suite in SUITES}
    errors = {suite: outcome.errors.get(suite, "") for suite, outcome in outcomes.items()}
    print(json.dumps({suite: [round(outcome.seconds), errors[suite]] for suite, outcome in outcomes.items()}, indent=1))
    assert {suite for suite, error in errors.items() if error} == {defect.suite}, errors
    assert defect.test in errors[defect.suite]
