"""Every rule, by rows that break just it, and by rows at its limit."""

from collections import Counter
from datetime import date
from typing import Any

import pytest
from bike_sharing import quality, verdict
from bike_sharing.sources import SOURCES, STATIONS, TRIPS, WEATHER, Source
from pyspark.sql import DataFrame, SparkSession

GOOD: dict[str, dict[str, str | None]] = {
    "trips": {
        "trip_id": "T", "bike_id": "B1", "start_station": "S1", "end_station": "S2",
        "started_at": "2024-10-21 08:00:00",
        "ended_at": "2024-10-21 08:10:00", "duration_s": "600", "distance": "1500", "firmware": "2.1", "member": "yes",
        "exported_at": "2024-10-22T01:00:00Z",
    },
    "stations": {"station_id": "S", "name": " Süd ", "lat": "48.2", "lon": "16.3", "capacity": "10",
        "bikes_available": "3"},
    "weather": {
        "observed_at": "2024-10-21T08:00:00Z", "temperature": "10", "temperature_unit": "C", "wind": "3",
        "wind_unit": "m/s", "precipitation_mm": "0.2",
    },
}  # fmt: skip

# what differs from a good row -> the rule that it breaks, or None
TRIP_CASES: list[tuple[dict[str, str | None], str | None]] = [
    ({}, None),
    ({"_malformed": "x,y"}, "malformed"),
    ({"trip_id": None}, "trip_id_missing"),
    ({"trip_id": "  "}, "trip_id_missing"),
    ({"start_station": None}, "station_missing"),
    ({"end_station": " "}, "station_missing"),
    ({"started_at": "8 o'clock"}, "time_unreadable"),
    ({"started_at": "2024-03-31 02:30:00", "ended_at": "2024-03-31 03:10:00"}, "time_unreadable"),
    ({"duration_s": "0"}, "duration_wrong"),
    ({"duration_s": "-600"}, "duration_wrong"),
    ({"duration_s": None}, "duration_wrong"),
    ({"duration_s": "601"}, "duration_wrong"),
    ({"duration_s": "4200"}, "duration_wrong"),
    ({"ended_at": "2024-10-22 08:00:00", "duration_s": "86400"}, None),
    ({"ended_at": "2024-10-22 08:00:01", "duration_s": "86401"}, "too_long"),
    ({"distance": None}, "distance_wrong"),
    ({"distance": "-1"}, "distance_wrong"),
    ({"distance": "200000"}, None),
    ({"distance": "200000.1"}, "distance_wrong"),
    ({"distance": "NaN"}, "distance_wrong"),
    ({"distance": "200", "firmware": "1.9"}, None),
    ({"distance": "200.1", "firmware": "1.9"}, "distance_wrong"),
    ({"distance": "1500", "firmware": "10.1"}, None),
    ({"start_station": "S404"}, "station_unknown"),
    ({"end_station": "S404"}, "station_unknown"),
    # several at once: the first in the order of the rules counts
    ({"trip_id": None, "end_station": None, "distance": "-1"}, "trip_id_missing"),
    ({"end_station": None, "started_at": "x", "duration_s": "0"}, "station_missing"),
    ({"distance": "-1", "end_station": "S404"}, "distance_wrong"),
]
STATION_CASES: list[tuple[dict[str, str | None], str | None]] = [
    ({}, None),
    ({"_malformed": "{"}, "malformed"),
    ({"station_id": ""}, "station_id_missing"),
    ({"lat": None}, "position_wrong"),
    ({"lat": "46.99"}, "position_wrong"),
    ({"lon": "18.01"}, "position_wrong"),
    ({"lat": "47", "lon": "18"}, None),
    ({"capacity": None}, "capacity_wrong"),
    ({"capacity": "0"}, "capacity_wrong"),
    ({"capacity": "1"}, None),
    ({"capacity": "0", "lat": "0"}, "position_wrong"),
]
WEATHER_CASES: list[tuple[dict[str, str | None], str | None]] = [
    ({}, None),
    ({"_malformed": "x"}, "malformed"),
    ({"observed_at": "2024-10-21 08:00:00"}, "observed_at_unreadable"),
    ({"temperature": None}, "temperature_wrong"),
    ({"temperature": "50"}, None),
    ({"temperature": "50.01"}, "temperature_wrong"),
    ({"temperature": "122", "temperature_unit": "F"}, None),
    ({"temperature": "123", "temperature_unit": "F"}, "temperature_wrong"),
    ({"temperature": "280", "temperature_unit": "K"}, "temperature_wrong"),
    ({"wind": None}, "wind_wrong"),
    ({"wind": "-0.1"}, "wind_wrong"),
    ({"wind": "36", "wind_unit": "km/h"}, None),
]
CASES = {"trips": TRIP_CASES, "stations": STATION_CASES, "weather": WEATHER_CASES}


def bronze(spark: SparkSession, source: Source, rows: list[dict[str, str | None]]) -> DataFrame:
    """Rows as they stand in bronze; `_file_day` may be given as text."""
    columns = [*GOOD[source.name], "_malformed"]
    data = [
        (
            *({**GOOD[source.name], "_malformed": None, **row}[column] for column in columns),
            "file",
            date.fromisoformat(row.get("_file_day") or "2024-10-21"),
            1,
            number,
        )
        for number, row in enumerate(rows)
    ]
    schema = ", ".join(f"{column} string" for column in [*columns, "_file"])
    return spark.createDataFrame(data, f"{schema}, _file_day date, _batch bigint, _row bigint")


def judged(spark: SparkSession, source: Source, rows: list[dict[str, str | None]]) -> list[dict[str, Any]]:
    known = spark.createDataFrame([("S1",), ("S2",)], "station_id string") if source is TRIPS else None
    found = verdict.judge(source, bronze(spark, source, rows), known).drop("_raw").orderBy("_row")
    return [row.asDict() for row in found.collect()]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_each_row_breaks_the_rule_that_it_is_made_to_break(spark: SparkSession, source: Source) -> None:
    cases = CASES[source.name]
    # of one key each, so that none is a duplicate
    keyed = {"trips": "trip_id", "stations": "station_id", "weather": "observed_at"}[source.name]
    keys = {"trips": "T{}", "stations": "S{}", "weather": "2024-11-{:02d}T08:00:00Z"}[source.name]
    rows = [{keyed: keys.format(number + 1), **case} for number, (case, _) in enumerate(cases)]
    found = [row["_rule"] for row in judged(spark, source, rows)]
    assert list(zip([case for case, _ in cases], found, strict=True)) == cases


def test_every_rule_has_a_case_and_a_sentence() -> None:
    for source in SOURCES:
        tested = {rule for _, rule in CASES[source.name]} | {quality.DUPLICATE, None}
        assert {rule.name for rule in quality.RULES if rule.source == source.name} == tested - {None}
    assert all(rule.sentence.endswith(".") for rule in quality.RULES)


def test_of_trips_with_one_id_the_last_exported_stands_though_it_is_broken(spark: SparkSession) -> None:
    late = {"exported_at": "2024-10-23T00:00:00Z"}
    rows: list[dict[str, str | None]] = [
        {},
        {**late, "duration_s": "0"},
        {"exported_at": "unknown"},
        {"end_station": None},
    ]
    assert [row["_rule"] for row in judged(spark, TRIPS, rows)] == [
        "duplicate",
        "duration_wrong",
        "duplicate",
        "duplicate",
    ]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_of_identical_copies_one_stands_and_it_is_that_of_the_earliest_day(
    spark: SparkSession, order: list[int]
) -> None:
    days = ["2024-10-23", "2024-10-21", "2024-10-22"]
    rows = judged(spark, TRIPS, [{"_file_day": days[number]} for number in order])
    assert Counter(row["_rule"] for row in rows) == {None: 1, "duplicate": 2}
    assert [row["file_day"] for row in rows if row["_rule"] is None] == [date(2024, 10, 21)]


def test_a_broken_observation_is_no_rival_and_the_last_day_wins(spark: SparkSession) -> None:
    rows = judged(
        spark,
        WEATHER,
        [{"_file_day": "2024-10-22", "wind": "4"}, {}, {"_file_day": "2024-10-23", "wind": "-1"}],
    )
    assert [row["_rule"] for row in rows] == [None, "duplicate", "wind_wrong"]


def test_units_and_names_are_made_the_same(spark: SparkSession) -> None:
    trip = judged(spark, TRIPS, [{"firmware": "1.2", "distance": "1.5", "member": "no", "trip_id": " T9 "}])[0]
    assert (trip["distance_m"], trip["member"], trip["trip_id"], trip["duration_s"]) == (1500.0, False, "T9", 600)
    fahrenheit = {"temperature": "50", "temperature_unit": "F", "wind": "10", "wind_unit": "km/h"}
    weather = judged(spark, WEATHER, [dict[str, str | None](fahrenheit)])[0]
    assert (weather["temperature_c"], weather["wind_ms"], weather["precipitation_mm"]) == (10.0, 2.78, 0.2)
    station = judged(spark, STATIONS, [{}])[0]
    assert (station["name"], station["capacity"], station["day"]) == ("Süd", 10, date(2024, 10, 21))
