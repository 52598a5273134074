"""What `watch` finds in figures, and in data that came late, too early, empty or not at all."""

import math
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from bike_sharing import Tables, ingest, transform, watch
from pyspark.sql import SparkSession

from tests.notebooks.small_files import HEADER, OBSERVATION, STATION, put

NEXT_DAY = datetime(2024, 10, 24, 6, tzinfo=UTC)


def found(measured: list[watch.Figures], **limits: float) -> set[str]:
    """The findings, each as its check, source and message."""
    chosen = watch.Limits(**limits)  # type: ignore[arg-type] # as each test says
    return {
        f"{finding.check} of {finding.source}: {finding.message}"
        for figures in measured
        for finding in watch.judge(figures, chosen)
    }


def test_limits_are_read_from_texts() -> None:
    texts = {"as_of": "2024-10-28T06:00:00", "max_age_hours": "1.5", "min_rows": "7", "max_quarantine_share": "0.1"}
    assert watch.Limits.of_texts(texts) == watch.Limits(datetime(2024, 10, 28, 6, tzinfo=UTC), 1.5, 7, 0.1)
    assert watch.Limits.of_texts({**texts, "as_of": "2024-10-28T06:00:00Z"}).as_of == datetime(
        2024, 10, 28, 6, tzinfo=UTC
    )
    assert watch.Limits.of_texts({**texts, "as_of": " "}).as_of is None
    assert math.isclose(watch.Figures("trips", None, 0, 8, 0, 2).quarantine_share, 0.25)


def test_every_limit_that_is_broken_is_named_in_the_first_line() -> None:
    trips = watch.Figures("trips", date(2024, 10, 23), 50.0, arrived=10, accepted=3, quarantined=7)
    with pytest.raises(watch.WatchError) as failed:
        watch.demand_good([trips], watch.Limits(min_rows=4))
    first, *lines = str(failed.value).splitlines()
    assert first == "The data breaks 3 of its limits: freshness of trips, volume of trips, quality of trips"
    assert len(lines) == len(failed.value.findings) == 3
    watch.demand_good([trips], watch.Limits(max_age_hours=50, min_rows=3, max_quarantine_share=0.7))


def test_a_file_of_a_day_to_come_is_found_and_hides_neither_old_nor_missing_data(
    spark: SparkSession, tables: Tables, tmp_path: Path
) -> None:
    put(tmp_path, "stations/2024-10-20/s.json", STATION.format("S1"))
    put(tmp_path, "stations/2099-01-01/s.json", STATION.format("S1"))
    put(tmp_path, "weather/2024-10-24/w.csv", OBSERVATION.format("2024-10-24"))  # the day has begun
    put(tmp_path, "trips/9999-12-31/t.csv", f"{HEADER}\n")
    ingest.run(spark, tables, str(tmp_path))
    transform.run(spark, tables)
    measured = watch.figures(spark, tables, NEXT_DAY)
    assert [figures.newest_day for figures in measured] == [date(2024, 10, 20), date(2024, 10, 24), None]
    ahead = "files of days that haven't begun have arrived: the newest is {}, and what it says counts as newer than all"
    ahead += " that comes before that day"
    assert found(measured) == {
        f"dates of stations: {ahead.format('2099-01-01')}",
        "freshness of stations: the newest day is 2024-10-20, which ended 80.0 hours ago; at most 48 are allowed",
        f"dates of trips: {ahead.format('9999-12-31')}",
        "freshness of trips: nothing has ever arrived",
    }
    # When the day has come, it is the newest.
    [stations, _, _] = watch.figures(spark, tables, datetime(2099, 1, 2, tzinfo=UTC))
    assert (stations.newest_day, stations.ahead) == (date(2099, 1, 1), None)


def test_files_that_arrive_empty_are_found(spark: SparkSession, tables: Tables, tmp_path: Path) -> None:
    put(tmp_path, "stations/2024-10-23/s.json", "\n")
    put(tmp_path, "weather/2024-10-23/w.csv", "\n")
    put(tmp_path, "trips/2024-10-23/t.csv", f"{HEADER}\n")
    ingest.run(spark, tables, str(tmp_path))
    assert found(watch.figures(spark, tables, NEXT_DAY)) == {
        "volume of stations: the files of 2024-10-23 have no row",
        "volume of weather: the files of 2024-10-23 have no row",
        "volume of trips: 0 of 0 rows of 2024-10-23 were accepted; at least 1 are expected",
    }
