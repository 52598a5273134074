"""The chain from files to gold: right whatever the order of arrival, cut off or run again."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

import pytest
from bike_sharing import Tables, ingest, maintain, publish, transform, watch
from bike_sharing_data import DAYS, LocalFiles, expected, write
from comparing import differences
from pyspark.sql import SparkSession

from tests.notebooks.small_files import HEADER, STATION, TRIP, put

ROWS = 400
PIECES = ((DAYS[6], DAYS[1], DAYS[4]), (DAYS[5], DAYS[3], DAYS[2], DAYS[0]))  # later files first


class Week(NamedTuple):
    tables: Tables
    landing: Path


class CutOffError(Exception):
    """A job ends in the middle."""


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


@contextmanager
def cut_off(module: Any, name: str, before: Callable[..., bool] = lambda *_, **__: True) -> Iterator[None]:
    """Ends a run where it calls this function of a module."""
    real = getattr(module, name)

    def ending(*args: Any, **kwargs: Any) -> Any:
        if before(*args, **kwargs):
            raise CutOffError
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, ending)
        with pytest.raises(CutOffError):
            yield


@pytest.fixture(scope="module")
def week(spark: SparkSession, new_tables: Callable[[], Tables], tmp_path_factory: pytest.TempPathFactory) -> Week:
    """The sample week: arrived in two pieces, the later first; in the second each step was cut off once."""
    tables, landing = new_tables(), tmp_path_factory.mktemp("landing")
    write(spark, str(landing), rows=ROWS, files=LocalFiles(), days=PIECES[0])
    run(spark, tables, landing)
    write(spark, str(landing), rows=ROWS, files=LocalFiles(), days=PIECES[1])
    with cut_off(ingest, "_append", before=lambda *args, **_: args[2].name == "weather"):
        ingest.run(spark, tables, str(landing))
    with cut_off(ingest, "_remember"):
        ingest.run(spark, tables, str(landing))
    assert ingest.run(spark, tables, str(landing)).files == {"trips": 0, "stations": 0, "weather": 0}
    for step in (transform, publish):
        with cut_off(transform, "advance"):
            step.run(spark, tables)
        step.run(spark, tables)
    return Week(tables, landing)


def test_days_in_pieces_out_of_order_and_cut_off_give_the_closed_form(spark: SparkSession, week: Week) -> None:
    assert wrong(spark, week.tables, DAYS) == []


def test_a_second_run_changes_no_table(spark: SparkSession, week: Week) -> None:
    before = versions(spark, week.tables)
    read, transformed, published = run(spark, week.tables, week.landing)
    assert (read.batch, transformed.sources, published.days) == (None, {}, ())
    assert versions(spark, week.tables) == before


def test_upkeep_puts_small_files_together_and_keeps_what_they_hold(
    spark: SparkSession, week: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "COLUMNS", ["bronze_trips", "ingested_files"])
    upkeep = maintain.run(spark, week.tables).tables
    assert [(one.table, one.written) for one in upkeep] == [("bronze_trips", 1), ("ingested_files", 1)]
    assert min(one.compacted for one in upkeep) >= len(PIECES)
    assert wrong(spark, week.tables, DAYS) == []


def test_upkeep_deletes_what_is_older_than_the_retention_and_spares_what_is_younger_or_needed(
    spark: SparkSession, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "COLUMNS", ["progress"])
    tables.create(spark)
    for batch in (1, 2):  # two files, which upkeep puts together; the earlier version needs them
        spark.sql(f"INSERT INTO {tables.name('progress')} VALUES ('x', 'trips', {batch}, now())")  # noqa: S608 # names of the test's own
    detail = spark.sql(f"DESCRIBE DETAIL {tables.name('progress')}").collect()[0]
    folder = Path(unquote(urlparse(detail["location"]).path))
    replaced = set(folder.glob("*.parquet"))
    old, young = (folder / f"part-{name}.snappy.parquet" for name in ("old", "young"))  # of runs that were cut off
    for path, hours in [*((path, 1000) for path in replaced), (old, 169), (young, 167)]:
        path.touch()
        os.utime(path, (time.time() - hours * 3600,) * 2)
    assert maintain.run(spark, tables).tables == (maintain.Upkeep("progress", 2, 1),)
    assert not old.exists()
    assert young.exists()
    # They are old, but were needed until now.
    assert replaced < set(folder.glob("*.parquet"))
    assert spark.sql(f"SELECT * FROM {tables.name('progress')} VERSION AS OF 2").count() == 2  # noqa: S608 # as above


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
    put(tmp_path, "stations/2024-10-21/s.json", STATION.format("S1"))
    put(tmp_path, "notes/readme.txt", "x")
    read = ingest.run(spark, tables, str(tmp_path))
    transform.run(spark, tables)
    assert [Path(path).name for path in read.ignored] == ["readme.txt"]
    day = date(2024, 10, 21)
    assert stored(spark, tables) == (
        [("t2", "S1", day)],
        [("t1", "station_unknown"), ("t3", "duration_wrong")],
    )

    put(tmp_path, "stations/2024-10-22/s.json", STATION.format("S1") + STATION.format("S9"))
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


def test_where_nothing_has_arrived_every_step_works_and_ingest_says_which_folder_is_missing(
    spark: SparkSession, tmp_path: Path
) -> None:
    tables = Tables("", "names-of-two-levels")
    with pytest.raises(FileNotFoundError, match=r"no landing folder .*nowhere"):
        ingest.run(spark, tables, str(tmp_path / "nowhere"))
    assert transform.run(spark, tables) == transform.TransformReport()
    assert publish.run(spark, tables) == publish.PublishReport()
    found = [watch.judge(figures, watch.Limits()) for figures in watch.figures(spark, tables)]
    assert [[finding.message for finding in each] for each in found] == [["nothing has ever arrived"]] * 3


@pytest.mark.parametrize("hours", [167, -1])
def test_a_retention_that_endangers_running_jobs_is_refused(hours: int) -> None:
    with pytest.raises(ValueError, match=f"retention of {hours} hours is too short.*take 168"):
        maintain.run(None, Tables("", "x"), hours)  # type: ignore[arg-type] # refused before


def test_names_of_tables() -> None:
    assert Tables("test", "bikes").name("silver_trips") == "test.bikes.silver_trips"
    assert Tables("", "my-bikes").name("silver_trips") == "`my-bikes`.silver_trips"
    with pytest.raises(ValueError, match="schema is empty"):
        Tables("test", " ")
    with pytest.raises(KeyError, match="no table silver"):
        Tables("test", "bikes").name("silver")
