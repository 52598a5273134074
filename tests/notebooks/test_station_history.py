"""The stations' history, against one that is made day by day in plain Python."""

from datetime import date, timedelta
from typing import Any

from bike_sharing import stations
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

FIRST = date(2024, 10, 21)
DAYS = 12
attributes = st.sampled_from([("A", 48.1, 16.0, 1), ("Ö", 48.1, 16.0, 1), ("A", 48.2, 16.0, 1), ("A", 48.1, 16.0, 2)])
# Many stations in one query, so that each example has one that changes, one that pauses, and one that leaves.
lives = st.lists(st.lists(st.none() | attributes, min_size=DAYS, max_size=DAYS), min_size=6, max_size=6)
without_snapshot = st.sets(st.integers(0, DAYS - 1), max_size=4)


def snapshots(stations: list[list[Any]], without: set[int]) -> dict[int, dict[str, tuple[Any, ...]]]:
    """What each day that has a snapshot says of the stations that it names."""
    days = {
        day: {f"S{number}": life[day] for number, life in enumerate(stations) if life[day]}
        for day in range(DAYS)
        if day not in without
    }
    return {day: named for day, named in days.items() if named}


def day_by_day(days: dict[int, dict[str, tuple[Any, ...]]]) -> set[tuple[Any, ...]]:
    open_rows: dict[str, tuple[Any, ...]] = {}
    closed = set()
    for number in sorted(days):
        day = FIRST + timedelta(days=number)
        for station, row in list(open_rows.items()):
            if days[number].get(station) != row[1:5]:
                closed.add((*row, day, False))
                del open_rows[station]
        for station, said in days[number].items():
            open_rows.setdefault(station, (station, *said, day))
    return closed | {(*row, None, True) for row in open_rows.values()}


# Each example is a query: a failure is shown as it is found, to shrink it would take minutes.
@settings(
    max_examples=5, deadline=None, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)
@given(st.builds(snapshots, lives, without_snapshot), st.randoms())
def test_the_history_is_that_of_the_days_in_order_however_they_arrive(
    spark: SparkSession, days: dict[int, dict[str, tuple[Any, ...]]], random: Any
) -> None:
    rows = [
        (station, FIRST + timedelta(days=number), *said)
        for number, snapshot in days.items()
        for station, said in snapshot.items()
    ]
    random.shuffle(rows)
    schema = "station_id string, day date, name string, lat double, lon double, capacity int"
    found = [tuple(row) for row in stations.history(spark.createDataFrame(rows, schema)).collect()]
    assert len(found) == len(set(found))
    assert set(found) == day_by_day(days)
