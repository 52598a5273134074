"""`transform` makes instants, metres and one row a trip of what arrived, and says what is wrong with the rest."""

from datetime import UTC, datetime

import pytest
from chain import Chain
from known_days import BROKEN, GOOD


def trip(chain: Chain, trip_id: str) -> dict[str, object]:
    columns = ("start_station", "end_station", "duration_s", "distance_m", "member")
    rows = (
        chain.table("silver_trips")
        .where(f"trip_id = '{trip_id}'")
        .selectExpr(*columns, "unix_seconds(started_at) AS start", "unix_seconds(ended_at) AS end")
        .collect()
    )
    assert len(rows) == 1, f"{trip_id}: {len(rows)} rows"
    return rows[0].asDict()


def seconds(day_and_time: str) -> int:
    return int(datetime.strptime(day_and_time, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp())


def test_transform_reads_times_in_the_citys_zone(transformed: Chain) -> None:
    assert trip(transformed, "metres") == {
        "start_station": "A",
        "end_station": "B",
        "duration_s": 600,
        "distance_m": pytest.approx(1500),
        "member": True,
        "start": seconds("2024-10-23 06:00"),
        "end": seconds("2024-10-23 06:10"),
    }


def test_transform_makes_metres_of_kilometres(transformed: Chain) -> None:
    assert trip(transformed, "kilometres")["distance_m"] == pytest.approx(1250)


def test_transform_makes_celsius_and_metres_a_second(transformed: Chain) -> None:
    row = transformed.table("silver_weather").where("unix_seconds(observed_at) = 1729663200").collect()[0]
    assert (row["temperature_c"], row["wind_ms"]) == (pytest.approx(10.0), pytest.approx(10.0))


def test_transform_takes_the_renamed_columns_and_places_trips_in_the_doubled_hour(transformed: Chain) -> None:
    across = trip(transformed, "across")
    assert (across["start_station"], across["end_station"]) == ("A", "B")
    assert (across["start"], across["end"]) == (seconds("2024-10-27 00:50"), seconds("2024-10-27 01:10"))
    assert trip(transformed, "either")["start"] == seconds("2024-10-27 00:20")


def test_transform_keeps_the_latest_export_of_a_trip(transformed: Chain) -> None:
    assert trip(transformed, "corrected")["end_station"] == "A"
    assert transformed.table("silver_trips").count() == GOOD


@pytest.fixture(scope="module")
def rejected(transformed: Chain) -> dict[str, int]:
    """Rows of trips in the quarantine by rule."""
    rows = transformed.table("quarantine").where("source = 'trips'").groupBy("rule").count().collect()
    return {row["rule"]: row["count"] for row in rows}


@pytest.mark.parametrize("rule", BROKEN)
def test_transform_puts_a_broken_row_into_the_quarantine(rejected: dict[str, int], rule: str) -> None:
    assert rejected.get(rule) == BROKEN[rule]


def test_transform_rejects_nothing_else(rejected: dict[str, int]) -> None:
    assert set(rejected) == set(BROKEN)


def test_transform_keeps_the_history_of_a_station(transformed: Chain) -> None:
    rows = transformed.table("silver_stations").orderBy("station_id", "valid_from").collect()
    found = [
        (row["station_id"], row["name"], row["capacity"], str(row["valid_from"]), row["is_current"]) for row in rows
    ]
    assert found == [
        ("A", "Oper", 10, "2024-10-23", True),
        ("B", "Währing", 2, "2024-10-23", False),
        ("B", "Währing", 4, "2024-10-27", True),
    ]
