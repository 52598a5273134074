"""The release as jobs of the stand-in: the daily chain's watch, and suites that fail for a defect and nothing else.

Every run is a run of the Jobs API, of notebooks in the workspace, on Spark with Delta. That the suites succeed with the
release as it is, `tests/tour` shows in the pipeline; and each of the defects, the bad join among them, takes all three
suites: `make faults`.
"""

import json
import math
from collections.abc import Iterator

import pytest

from tests.notebooks.small_files import HEADER, OBSERVATION, STATION, TRIP
from tests.rehearsal.databricks.run_helpers import output, until
from tests.rehearsal.databricks.test_notifications import Receiver, destination, mails, receiver
from tests.rehearsal.planted_defects import DEFECTS
from tests.rehearsal.release_jobs import ROOT, Outcome, Release, of_stack, released, settings

__all__ = ["receiver"]  # a fixture, which pytest finds by its name here

SUITES = ("functional", "integration", "performance")
TO = "ops@city.example"
QUICK = "wind stays in kilometres an hour"
SLOW = "rows are joined with their verdict by a condition that is no equality"
LAST_DAY, LATE = "2024-10-27", "2024-11-05T06:00:00Z"
# The trips that arrive on the last day: none, or mostly broken ones.
ARRIVALS = {
    "thin": f"{HEADER}\n",
    "dirty": f"{HEADER}\n" + "".join(TRIP.format(f"t{seconds}", "S1", "S1", seconds, 2) for seconds in (600, 1, 601)),
}
FOUND = {
    "stale": ("freshness of stations, freshness of weather, freshness of trips", f"the newest day is {LAST_DAY}"),
    "thin": ("volume of trips", f"0 of 0 rows of {LAST_DAY} were accepted; at least 1 are expected"),
    "dirty": ("quality of trips", f"66.7% of the rows of {LAST_DAY} are in the quarantine; at most 20.0% are allowed"),
}


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


@pytest.mark.parametrize("data", FOUND)
def test_stale_thin_and_dirty_data_fail_the_daily_job_and_people_hear_why(
    release: Release, first_day: Outcome, receiver: Receiver, data: str
) -> None:
    (named, message), stack, steps = FOUND[data], of_stack(), ["watch", "maintain"]
    if data == "stale":
        stack["jobOverrides"]["daily"]["tasks"]["watch"]["parameters"]["as_of"] = LATE
    else:
        landing = f"/Volumes/test/bike_sharing/{data}"
        small = {"stations": STATION.format("S1"), "weather": OBSERVATION.format(LAST_DAY), "trips": ARRIVALS[data]}
        for source, text in small.items():
            release.put(f"{landing}/{source}/{LAST_DAY}/it", text)
        stack["jobDefaults"]["parameters"] |= {"schema": data, "landing": landing}
        steps += ["ingest", "transform"]
    stack["jobDefaults"]["notify"] = {"emails": [TO], "webhooks": [destination(release.workspace, receiver.url)]}
    told_of = settings(**stack).jobs["daily"]
    before = len(mails(release.workspace))
    outcome = release.run_job(release.create("daily", told_of), only=steps)
    assert outcome.result == "FAILED"
    assert (outcome.tasks["watch"], outcome.tasks["maintain"]) == ("FAILED", "UPSTREAM_FAILED")
    assert set(outcome.errors) == {"watch"}
    assert "WatchError" in outcome.errors["watch"]
    assert f"of its limits: {named}\n" in outcome.errors["watch"] + "\n"
    assert message in str(output(release.workspace, outcome.run, "watch").error_trace)
    until(lambda: receiver.got and len(mails(release.workspace)) > before, "a mail and a post")
    [mail] = mails(release.workspace)[before:]
    assert (mail["To"], mail["Subject"]) == (TO, "[Databricks] Job daily (test) failed")
    assert "Task watch" in mail.get_content()
    [(body, _)] = receiver.got
    assert (body["event_type"], body["run"]["run_id"]) == ("jobs.on_failure", outcome.run.run_id)


def test_a_planted_defect_fails_its_suite_by_name(release: Release) -> None:
    defect = DEFECTS[QUICK]
    with release.with_file(defect.file, defect.planted(ROOT / "notebooks")):
        outcome = release.run(defect.suite)
    assert outcome.result == "FAILED"
    assert f"{defect.suite}: 1 of " in outcome.errors[defect.suite]
    assert defect.test in outcome.errors[defect.suite]
    summary = release.summary(outcome, defect.suite)
    assert (summary["failed"], summary["skipped"]) == (1, 0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_bad_join_fails_the_performance_suite_for_its_stage_and_the_other_stages_pass(release: Release) -> None:
    stack = of_stack()
    # Judged with the tolerance that the job has, it is below.
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
