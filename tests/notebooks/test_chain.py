"""The chain from files to gold: right whatever the order of arrival, cut off or run again."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from bike_sharing import Tables, ingest, maintain, publish, transform, watch
from bike_sharing_data import DAYS, LocalFiles, expected, write
from comparing import differences
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

ROWS = 400
SOME_DAYS = (DAYS[0], DAYS[3], DAYS[6])  # with the renamed columns, and the day of 25 hours


def run(spark: SparkSession, tables: Tables, landing: Path) -> tuple[Any, Any, Any]:
    return ingest.run(spark, tables, str(landing)), transform.run(spark, tables), publish.run(spark, tables)


def wrong(spark: SparkSession, tables: Tables, days: Any) -> list[str]:
    """What differs from the closed form; the weekly report is a notebook's."""
    found = differences(spark, tables.prefix, expected(rows=ROWS, days=days))
    return [line for line in found if not line.startswith("gold_weekly_report")]


def versions(spark: SparkSession, tables: Tables) -> dict[str, int]:
    names = [row["tableName"] for row in spark.sql(f"SHOW TABLES IN {tables.prefix}").collect()]
    history = {name: spark.sql(f"DESCRIBE HISTORY {tables.prefix}.{name} LIMIT 1").collect()[0] for name in names}
    return {name: row["version"] for name, row in history.items()}


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.permutations(SOME_DAYS).flatmap(lambda days: st.tuples(st.just(days), st.integers(1, 2))))
def test_days_in_any_order_and_grouping_give_the_closed_form(
    spark: SparkSession,
    new_tables: Callable[[], Tables],
    tmp_path_factory: pytest.TempPathFactory,
    arrival: tuple[list[date], int],
) -> None:
    days, cut = arrival
    tables, landing = new_tables(), tmp_path_factory.mktemp("landing")
    for group in (days[:cut], days[cut:]):
        write(spark, str(landing), rows=ROWS, files=LocalFiles(), days=group)
        run(spark, tables, landing)
    assert wrong(spark, tables, SOME_DAYS) == []


def test_a_second_run_changes_no_table(spark: SparkSession, tables: Tables, tmp_path: Path) -> None:
    write(spark, str(tmp_path), rows=ROWS, files=LocalFiles(), days=DAYS)
    read, _, published = run(spark, tables, tmp_path)
    assert read.rows == {**expected(rows=ROWS).bronze}
    assert set(DAYS) <= set(published.days)
    assert wrong(spark, tables, DAYS) == []
    before = versions(spark, tables)
    again, transformed, published = run(spark, tables, tmp_path)
    assert versions(spark, tables) == before
    assert (again.batch, transformed.sources, published.days) == (None, {}, ())

    # cut off before the last commit of a step: it does its work again and comes to the same
    spark.sql(f"DELETE FROM {tables.name('progress')}")  # noqa: S608 # names of the test's own
    spark.sql(f"DELETE FROM {tables.name('ingested_files')} WHERE source = 'trips'")  # noqa: S608 # names of the test's own
    run(spark, tables, tmp_path)
    assert wrong(spark, tables, DAYS) == []

    limits = watch.Limits(as_of=datetime(2024, 10, 28, 6, tzinfo=UTC), max_quarantine_share=1)
    assert [figures.newest_day for figures in watch.check(spark, tables, limits)] == [DAYS[-1]] * 3
    with pytest.raises(watch.WatchError) as failed:
        watch.check(spark, tables, watch.Limits(max_age_hours=48, min_rows=10**6, max_quarantine_share=0))
    checks = {finding.check for finding in failed.value.findings}
    assert checks == {"freshness", "volume", "quality"}
    assert all(finding.message in str(failed.value) for finding in failed.value.findings)


STATIONS = '{{"station_id":"{}","name":"A","lat":48.2,"lon":16.3,"capacity":5,"bikes_available":2}}\n'
HEADER = "trip_id,bike_id,start_station,end_station,started_at,ended_at,duration_s,distance,firmware,member,exported_at"
TRIP = "{0},b1,{1},{2},2024-10-21 08:00:00,2024-10-21 08:10:00,{3},1500,2.1,yes,2024-10-2{4}T01:00:00Z\n"


def put(landing: Path, path: str, text: str) -> Path:
    file = landing / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def stored(spark: SparkSession, tables: Tables) -> tuple[list[Any], list[Any]]:
    trips = spark.table(tables.name("silver_trips")).select("trip_id", "end_station", "file_day").orderBy("trip_id")
    rejected = spark.table(tables.name("quarantine")).where("source = 'trips'").select("_key", "rule")
    return [tuple(row) for row in trips.collect()], sorted(tuple(row) for row in rejected.collect())


def test_trips_come_back_when_their_station_gets_known_and_leave_when_their_correction_is_broken(
    spark: SparkSession, tables: Tables, tmp_path: Path
) -> None:
    first = [
        TRIP.format("t1", "S1", "S9", 600, 2),
        TRIP.format("t2", "S1", "S1", 600, 2),
        TRIP.format("t3", "S1", "S1", 0, 2),
    ]
    old = put(tmp_path, "trips/2024-10-21/ä b+c%20.csv", f"{HEADER}\n{''.join(first)}")
    put(tmp_path, "stations/2024-10-21/s.json", STATIONS.format("S1"))
    put(tmp_path, "trips/2024-10-21/empty.csv", "")
    put(tmp_path, "notes/readme.txt", "x")
    read, _, _ = run(spark, tables, tmp_path)
    assert [Path(path).name for path in read.ignored] == ["readme.txt"]
    day = date(2024, 10, 21)
    assert stored(spark, tables) == (
        [("t2", "S1", day)],
        [("t1", "station_unknown"), ("t3", "duration_wrong")],
    )

    put(tmp_path, "stations/2024-10-22/s.json", STATIONS.format("S1") + STATIONS.format("S9"))
    corrected = [TRIP.format("t2", "S1", "S1", -1, 3), TRIP.format("t3", "S1", "S9", 600, 3)]
    put(tmp_path, "trips/2024-10-22/x.csv", f"{HEADER},colour of bike\n{''.join(corrected)}".replace("Z\n", "Z,red\n"))
    put(tmp_path, "trips/2024-10-22/y.csv", "trip_id,colour of bike\nt4,red\n")
    old.write_text("changed")
    read, transformed, _ = run(spark, tables, tmp_path)
    assert [Path(path).name for path in read.changed] == [old.name]
    assert [Path(path).name for path in read.incomplete] == ["y.csv"]
    trips = transformed.sources["trips"]
    assert (trips.inserted, trips.updated, trips.deleted, trips.readmitted) == (2, 0, 1, 1)
    assert stored(spark, tables) == (
        [("t1", "S9", day), ("t3", "S9", date(2024, 10, 22))],
        [("t2", "duplicate"), ("t2", "duration_wrong"), ("t3", "duplicate"), ("t4", "station_missing")],
    )
    bronze = spark.table(tables.name("bronze_trips"))
    assert {row["colour_of_bike"] for row in bronze.where("_batch = 2").collect()} == {"red"}
    demand = (
        spark.table(tables.name("gold_demand_hourly")).groupBy("station_id").sum("departures", "arrivals").collect()
    )
    assert sorted(tuple(row) for row in demand) == [("S1", 2, 0), ("S9", 0, 2)]


def test_ingest_says_which_folder_is_missing(spark: SparkSession, tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no landing folder .*nowhere"):
        ingest.run(spark, tables, str(tmp_path / "nowhere"))
    assert transform.run(spark, tables) == transform.TransformReport()
    assert publish.run(spark, tables) == publish.PublishReport()
    found = watch.findings(spark, tables, watch.Limits())
    assert [finding.message for finding in found] == ["nothing has ever arrived"] * 3
    assert {upkeep.table for upkeep in maintain.run(spark, tables).tables} >= {"silver_trips", "quarantine"}


@pytest.mark.parametrize(("hours", "allowed"), [(167, False), (-1, True)])
def test_a_retention_that_endangers_running_jobs_is_refused(hours: int, allowed: bool) -> None:
    with pytest.raises(ValueError, match=f"retention of {hours} hours"):
        maintain.run(None, Tables("", "x"), hours, allow_short_retention=allowed)  # type: ignore[arg-type] # refused before


def test_limits_are_read_from_texts() -> None:
    texts = {"as_of": "2024-10-28T06:00:00", "max_age_hours": "1.5", "min_rows": "7", "max_quarantine_share": "0.1"}
    assert watch.Limits.of_texts(texts) == watch.Limits(datetime(2024, 10, 28, 6, tzinfo=UTC), 1.5, 7, 0.1)
    assert watch.Limits.of_texts({**texts, "as_of": "2024-10-28T06:00:00Z"}).as_of == datetime(
        2024, 10, 28, 6, tzinfo=UTC
    )
    assert watch.Limits.of_texts({**texts, "as_of": " "}).as_of is None
    assert math.isclose(watch.Figures("trips", None, 0, 8, 0, 2).quarantine_share, 0.25)


def test_names_of_tables() -> None:
    assert Tables("test", "bikes").name("silver_trips") == "test.bikes.silver_trips"
    assert Tables("", "my-bikes").name("silver_trips") == "`my-bikes`.silver_trips"
    with pytest.raises(ValueError, match="schema is empty"):
        Tables("test", " ")
    with pytest.raises(KeyError, match="no table silver"):
        Tables("test", "bikes").name("silver")
