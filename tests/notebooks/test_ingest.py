"""Whatever arrives is in bronze, line by line, under a number that no other line has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bike_sharing import Tables, ingest, transform
from bike_sharing.sources import header_columns, header_fields, join_header
from pyspark.sql import SparkSession

from tests.notebooks.small_files import DAY, HEADER, STATION, TRIP, put, trips

BROKEN = ('{"station_id":"S1","na', "[]", f"[{STATION.format('S2').strip()}]", '{"station_id":"S1"}{"station_id":"S2"}')
ODD_NAMES = ("x[1].csv", "{a,b}.csv", "why?*.csv", "back\\slash.csv", "ä b+c%20.csv")


class Arrived(NamedTuple):
    tables: Tables
    report: ingest.IngestReport

    def name(self, source: str) -> str:
        return self.tables.name(f"bronze_{source}")


@pytest.fixture(scope="module")
def odd(spark: SparkSession, new_tables: Callable[[], Tables], tmp_path_factory: pytest.TempPathFactory) -> Arrived:
    """What came of odd files: ingested, and transformed."""
    tables, landing = new_tables(), tmp_path_factory.mktemp("land[i]ng")
    put(landing, "stations/2024-10-20/s.json", f"{STATION.format('S1')}\n  \n")
    put(landing, "stations/2024-10-20/keys.json", '{"station_id":"S1","_of":1,"a b":2,"c,\\"d":3}\n')
    put(landing, f"stations/{DAY}/s.json", "\n".join(BROKEN))
    for place, name in enumerate(ODD_NAMES):
        put(landing, f"trips/{DAY}/{name}", trips(TRIP.format(f"t{place}", "S1", "S1", 600, 2)))
    put(landing, f"trips/{DAY}/late-header.csv", f"\n \n{trips(TRIP.format('t9', 'S1', 'S1', 600, 2))}\n")
    put(landing, f"trips/{DAY}/empty.csv", "\n")
    report = ingest.run(spark, tables, str(landing))
    transform.run(spark, tables)
    return Arrived(tables, report)


def test_a_file_of_json_that_holds_no_object_is_kept_line_by_line_and_quarantined(
    spark: SparkSession, odd: Arrived
) -> None:
    kept = spark.table(odd.name("stations")).where("_malformed IS NOT NULL").select("_malformed").collect()
    assert {row["_malformed"] for row in kept} == set(BROKEN)
    rejected = spark.table(odd.tables.name("quarantine")).where("source = 'stations' AND rule = 'malformed'")
    assert rejected.count() == len(BROKEN)


def test_a_key_that_no_column_can_be_called_keeps_its_value(spark: SparkSession, odd: Arrived) -> None:
    rows = spark.table(odd.name("stations")).where("of IS NOT NULL")
    assert [tuple(row) for row in rows.select("station_id", "of", "a_b", '`c_"d`').collect()] == [("S1", "1", "2", "3")]


def test_a_csv_file_that_begins_with_blank_lines_is_read_from_its_header_on(spark: SparkSession, odd: Arrived) -> None:
    rows = spark.table(odd.name("trips")).where("trip_id = 't9'")
    assert [row["_header"] for row in rows.collect()] == [HEADER]


def test_a_name_with_characters_that_spark_takes_for_a_pattern_names_its_file_alone(
    spark: SparkSession, odd: Arrived
) -> None:
    read = spark.table(odd.tables.name("ingested_files")).where("source = 'trips'").select("file").collect()
    assert {Path(row["file"]).name for row in read} == {*ODD_NAMES, "late-header.csv", "empty.csv"}
    assert odd.report.rows == {"stations": 6, "weather": 0, "trips": len(ODD_NAMES) + 1}


def test_the_report_names_files_without_any_line_and_the_columns_that_others_lack(odd: Arrived) -> None:
    lacking = {Path(path).name: columns for path, columns in odd.report.incomplete.items()}
    assert set(lacking) == {"empty.csv", "keys.json", "s.json"}
    assert len(lacking["empty.csv"]) == len(HEADER.split(","))
    assert lacking["keys.json"] == ["name", "lat", "lon", "capacity", "bikes_available"]


def test_a_batch_that_was_cut_off_keeps_its_number_though_its_file_is_gone(
    spark: SparkSession, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: Any) -> None:
        raise InterruptedError

    ingest.run(spark, tables, str(tmp_path))
    gone = put(tmp_path, f"trips/{DAY}/gone.csv", trips(TRIP.format("t1", "S1", "S1", 600, 2)))
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "_remember", cut_off)
        with pytest.raises(InterruptedError):
            ingest.run(spark, tables, str(tmp_path))
    gone.unlink()
    put(tmp_path, f"trips/{DAY}/next.csv", trips(TRIP.format("t2", "S1", "S1", 600, 2)))
    assert ingest.run(spark, tables, str(tmp_path)).files["trips"] == 1
    rows = spark.table(tables.name("bronze_trips")).select("trip_id", "_batch", "_row")
    assert sorted(tuple(row) for row in rows.collect()) == [("t1", 1, 0), ("t2", 2, 0)]
    listed = spark.table(tables.name("ingested_files")).select("file", "batch", "header").collect()
    assert sorted((Path(row["file"]).name, row["batch"], row["header"]) for row in listed) == [
        ("gone.csv", 1, HEADER),
        ("next.csv", 2, HEADER),
    ]


@pytest.mark.parametrize("fields", [[], [""], ["a", "b,c", 'd"e', " f "]])
def test_a_header_that_was_put_together_falls_into_the_same_fields(fields: list[str]) -> None:
    assert header_fields(join_header(fields)) == fields
    assert len(header_columns(join_header(fields))) == len(fields)
