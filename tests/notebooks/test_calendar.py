"""Local time, against Python's own time zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bike_sharing import calendar
from bike_sharing.sources import TRIPS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

CITY = ZoneInfo(calendar.CITY_ZONE)
SWITCHES = [datetime(2024, 3, 31, 2), datetime(2024, 10, 27, 2), datetime(2025, 3, 30, 2), datetime(1999, 10, 31, 2)]
near_switches = st.builds(
    lambda switch, seconds: switch + timedelta(seconds=seconds), st.sampled_from(SWITCHES), st.integers(-9000, 9000)
)
walls = st.one_of(
    near_switches, st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda d: d.replace(microsecond=0))
)
# Each example is a query: a failure is shown as it is found, to shrink it would take minutes.
quick = settings(
    max_examples=6, deadline=None, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)
SESSION_ZONES = ("UTC", "America/New_York", "Europe/Vienna")


def instants(wall: datetime) -> list[datetime]:
    """All instants at which the city's clock shows this, by zoneinfo."""
    both = {wall.replace(tzinfo=CITY, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(at for at in both if at.astimezone(CITY).replace(tzinfo=None) == wall)


@quick
@given(st.lists(walls, min_size=30, max_size=60), st.sampled_from(SESSION_ZONES))
def test_wall_clocks_are_read_as_zoneinfo_reads_them(spark: SparkSession, clocks: list[datetime], zone: str) -> None:
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        rows = spark.createDataFrame([(number, str(wall)) for number, wall in enumerate(clocks)], "n int, text string")
        rows = rows.withColumn("at", f.expr(calendar.earliest(calendar.wall_clock("text"))))
        rows = rows.selectExpr(
            "n",
            "unix_seconds(at) AS at",
            f"{calendar.is_doubled('at')} AS doubled",
            f"{calendar.local_day('at')} AS day",
            f"{calendar.local_hour('at')} AS hour",
            f"unix_seconds({calendar.hour_of('at')}) AS full",
        )
        found = sorted(tuple(row) for row in rows.collect())
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    for (_, at, doubled, day, hour, full), wall in zip(found, clocks, strict=True):
        right = instants(wall)
        assert at == (right[0].timestamp() if right else None), wall
        if right:
            assert (doubled, day, hour, full) == (len(right) == 2, wall.date(), wall.hour, at // 3600 * 3600), wall


@quick
@given(
    st.lists(
        st.tuples(st.sampled_from(SWITCHES), st.integers(-9000, 9000), st.integers(1, 86400)), min_size=30, max_size=60
    )
)
def test_the_duration_tells_which_of_two_hours_is_meant(
    spark: SparkSession, trips: list[tuple[datetime, int, int]]
) -> None:
    starts = [switch.replace(tzinfo=CITY).astimezone(UTC) + timedelta(seconds=offset) for switch, offset, _ in trips]
    ends = [start + timedelta(seconds=trip[2]) for start, trip in zip(starts, trips, strict=True)]
    local = [[at.astimezone(CITY).strftime("%F %T") for at in both] for both in zip(starts, ends, strict=True)]
    rows = spark.createDataFrame(
        [(n, *local[n], str(trip[2])) for n, trip in enumerate(trips)],
        "n int, started_at string, ended_at string, duration_s string",
    )
    for column in set(TRIPS.columns) - set(rows.columns):
        rows = rows.withColumn(column, f.lit(None).cast("string"))
    for step in TRIPS.typed:
        rows = rows.withColumn("_file_day", f.lit(None).cast("date")).withColumns(
            {k: f.expr(v) for k, v in step.items()}
        )
    found = sorted(rows.selectExpr("n", "unix_seconds(started_at)", "unix_seconds(ended_at)", "_shift").collect())
    for row, start, end in zip(found, starts, ends, strict=True):
        # Both ends in the doubled hour an hour apart from themselves: the earlier instant is as right.
        choices = [(s, e) for s in instants_of(start) for e in instants_of(end) if e - s == end - start]
        assert (row[1], row[2]) == tuple(int(at.timestamp()) for at in min(choices)), (start, end)


def instants_of(at: datetime) -> list[datetime]:
    return instants(at.astimezone(CITY).replace(tzinfo=None))


@pytest.mark.parametrize(("day", "hours"), [("2024-10-27", 25), ("2024-03-31", 23), ("2024-10-26", 24)])
def test_a_day_has_its_hours(spark: SparkSession, day: str, hours: int) -> None:
    found = spark.sql(
        f"SELECT transform({calendar.hours_of_day(f'DATE{day!r}')}, h -> unix_seconds(h)) AS hours"
    ).collect()
    first = datetime.combine(date.fromisoformat(day), datetime.min.time(), CITY).timestamp()
    assert found[0]["hours"] == [int(first) + 3600 * number for number in range(hours)]


@pytest.mark.parametrize(
    "text", ["2024-10-21", "21.10.2024 08:00:00", "2024-10-21 08:00:00+02:00", "2024-13-41 08:00:00", "", None]
)
def test_what_is_no_wall_clock_is_null(spark: SparkSession, text: str | None) -> None:
    row = spark.createDataFrame([(text,)], "text string").selectExpr(f"{calendar.wall_clock('text')} IS NULL AS empty")
    assert row.collect()[0]["empty"]


@pytest.mark.parametrize("text", ["2024-10-21T08:00:00", "2024-10-21T08:00:00+02:00", "yesterday", None])
def test_an_instant_without_its_zone_is_null(spark: SparkSession, text: str | None) -> None:
    row = spark.createDataFrame([(text,)], "text string").selectExpr(f"{calendar.instant('text')} IS NULL AS empty")
    assert row.collect()[0]["empty"]
