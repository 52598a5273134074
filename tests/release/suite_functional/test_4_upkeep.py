"""`watch` fails on data that can't be trusted; `maintain` tidies up and changes no row."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import pytest
from bike_sharing import watch
from chain import Chain

SOON, LATE = "2024-10-28T06:00:00Z", "2024-11-05T06:00:00Z"


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def figures(published: Chain) -> Callable[[str], list[watch.Figures]]:
    """What is measured of the known days at an instant, once each."""

    @cache
    def measured(as_of: str) -> list[watch.Figures]:
        return watch.figures(published.spark, published.tables, instant(as_of))

    return measured


def complaint(measured: list[watch.Figures], **limits: float) -> str:
    with pytest.raises(watch.WatchError) as failed:
        watch.demand_good(measured, watch.Limits(**limits))  # type: ignore[arg-type] # as each test says
    return str(failed.value)


def test_watch_is_content_with_data_within_the_limits(figures: Callable[[str], list[watch.Figures]]) -> None:
    watch.demand_good(figures(SOON), watch.Limits(max_age_hours=120, min_rows=2, max_quarantine_share=0.9))


def test_watch_fails_the_job_when_the_data_breaks_a_limit(published: Chain) -> None:
    # What the service raises isn't a documented type.
    with pytest.raises(Exception):  # noqa: B017, PT011
        published.notebook("watch", as_of=LATE, max_age_hours="120", min_rows="2", max_quarantine_share="0.9")


def test_watch_names_the_age_that_is_allowed(figures: Callable[[str], list[watch.Figures]]) -> None:
    found = complaint(figures(LATE), max_age_hours=36, min_rows=0, max_quarantine_share=1.0)
    assert "freshness" in found
    assert "36" in found


def test_watch_names_the_number_of_rows_that_is_expected(figures: Callable[[str], list[watch.Figures]]) -> None:
    found = complaint(figures(SOON), max_age_hours=120, min_rows=1234, max_quarantine_share=1.0)
    assert "volume" in found
    assert "1234" in found


def test_watch_names_the_share_that_may_be_rejected(figures: Callable[[str], list[watch.Figures]]) -> None:
    found = complaint(figures(SOON), max_age_hours=120, min_rows=0, max_quarantine_share=0.25)
    assert "quality of trips" in found
    assert "25.0%" in found


def test_maintain_puts_small_files_together_and_changes_no_row(published: Chain) -> None:
    names = ("bronze_trips", "silver_trips", "silver_stations", "quarantine", "gold_demand_hourly")

    def contents() -> dict[str, list[str]]:
        return {name: sorted(map(str, published.table(name).collect())) for name in names}

    before = contents()
    published.notebook("maintain", retention_hours="168")
    assert contents() == before
    history = published.spark.sql(f"DESCRIBE HISTORY {published.tables.name('silver_trips')}")
    assert "VACUUM END" in {row["operation"] for row in history.select("operation").collect()}
