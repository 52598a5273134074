"""The stations' history, against one that is made day by day in plain Python."""

from datetime import date, timedelta
from typing import Any

from bike_sharing import stations
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

FIRST = date(2024, 10, 21)
attributes = st.tuples(st.sampled_from(["A", "Ö"]), st.sampled_from([48.1, 48.2]), st.just(16.0), st.integers(1, 2))
# days that have a snapshot -> what it says of the stations that it names
snapshots = st.dictionaries(
    st.integers(0, 12), st.dictionaries(st.sampled_from(["S1", "S2", "S3"]), attributes, min_size=1), max_size=8
)


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
    max_examples=8, deadline=None, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)
@given(snapshots, st.randoms())
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
