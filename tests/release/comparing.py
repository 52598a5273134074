"""Compares the product's tables with the right answers, and says in a few lines where they differ."""

import math
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bike_sharing.tables import COLUMNS
from bike_sharing_data import Expected
from bike_sharing_data.answers import Availability, Demand, Report
from bike_sharing_data.stations import Version
from bike_sharing_data.trips import Ride
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

SOURCES = {"trips": "silver_trips", "stations": "silver_station_stock", "weather": "silver_weather"}
"""The sources, and the silver table that has a row for each good row of theirs."""
MAINTENANCE = ("OPTIMIZE", "VACUUM START", "VACUUM END")
"""Operations in a table's history that leave its rows as they are."""
SHOWN = 3
"""So many differences of a table are told in full."""


def differences(spark: SparkSession, prefix: str, answers: Expected) -> list[str]:
    """Where the tables of the schema `prefix` aren't what they must be; nothing when all is right."""
    found = _counted(spark, prefix, answers) + _trips(spark, prefix, answers)
    history = {(row.station_id, row.valid_from): row for row in answers.history}
    found += _rows("silver_stations", _table(spark, prefix, "silver_stations", Version._fields), history, (0, 5))
    gold: list[tuple[str, Sequence[str], Mapping[Any, tuple[Any, ...]]]] = [
        ("gold_demand_hourly", Demand._fields, answers.demand),
        ("gold_availability_hourly", Availability._fields, answers.availability),
        ("gold_weekly_report", Report._fields, answers.report),
    ]
    for name, fields, wanted in gold:
        found += _rows(name, _table(spark, prefix, name, fields), wanted, (0, 1))
    return found


def written(spark: SparkSession, prefix: str) -> dict[str, str]:
    """For each table of the schema a text that is another one once somebody has written to it.

    The version of the last write that wasn't maintenance. Of the weekly report, the rows: Delta copies a table's files
    in every MERGE that has WHEN NOT MATCHED clauses, also when no row differs.
    """
    found = {}
    for name in COLUMNS:
        table = f"{prefix}.{name}"
        if name == "gold_weekly_report":
            found[name] = "; ".join(sorted(_shown(row) for row in spark.table(table).collect()))
            continue
        writes = spark.sql(f"DESCRIBE HISTORY {table}").where(~f.col("operation").isin(*MAINTENANCE))
        found[name] = str(writes.agg(f.max("version")).collect()[0][0])
    return found


def _counted(spark: SparkSession, prefix: str, answers: Expected) -> list[str]:
    found = []
    for source in SOURCES:
        arrived = spark.table(f"{prefix}.bronze_{source}").count()
        if arrived != answers.bronze[source]:
            found.append(f"bronze_{source}: {arrived} rows, must be {answers.bronze[source]}")
    for name, wanted in answers.silver.items():
        stored = spark.table(f"{prefix}.{name}").count()
        if stored != wanted:
            found.append(f"{name}: {stored} rows, must be {wanted}")
    rejected = {
        (row["source"], row["rule"]): row["count"]
        for row in spark.table(f"{prefix}.quarantine").groupBy("source", "rule").count().collect()
    }
    for source, rule in sorted(rejected.keys() | answers.quarantine.keys()):
        has, must = rejected.get((source, rule), 0), answers.quarantine.get((source, rule), 0)
        if has != must:
            found.append(f"quarantine: {has} rows of {source} for {rule}, must be {must}")
    return found


def _trips(spark: SparkSession, prefix: str, answers: Expected) -> list[str]:
    """Trips differ only in their ids, so how often each ride stands there tells all about them but these."""
    rides = spark.table(f"{prefix}.silver_trips").selectExpr(
        "trip_id",
        "start_station",
        "end_station",
        "unix_seconds(started_at) AS begin",
        "unix_seconds(ended_at) AS end",
        "duration_s",
        "CAST(round(distance_m) AS BIGINT) AS distance_m",
        "member",
    )
    counted = rides.groupBy(rides.columns[1:]).agg(f.count_distinct("trip_id").alias("times")).collect()
    found = {tuple(row)[:-1]: tuple(row) for row in counted}
    wanted = {(key := _of_ride(ride)): (*key, times) for ride, times in answers.rides.items()}
    return _compared("silver_trips", found, wanted)


def _of_ride(ride: Ride) -> tuple[Any, ...]:
    instants = (int(at.timestamp()) for at in (ride.started_at, ride.ended_at))
    return (ride.start_station, ride.end_station, *instants, ride.duration_s, ride.distance_m, ride.member)


def _table(spark: SparkSession, prefix: str, name: str, fields: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows with these columns; instants in UTC, whatever the zones of the session and of this process are."""
    table: DataFrame = spark.table(f"{prefix}.{name}")
    instants = [column for column, kind in table.dtypes if kind == "timestamp" and column in fields]
    rows = table.select(*(f.unix_micros(field).alias(field) if field in instants else f.col(field) for field in fields))
    places = [fields.index(column) for column in instants]
    return [
        tuple(
            datetime.fromtimestamp(value / 1_000_000, UTC) if place in places and value is not None else value
            for place, value in enumerate(row)
        )
        for row in rows.collect()
    ]


def _rows(
    name: str, found: list[tuple[Any, ...]], wanted: Mapping[Any, tuple[Any, ...]], key: tuple[int, int]
) -> list[str]:
    by_key: dict[Hashable, tuple[Any, ...]] = {(row[key[0]], row[key[1]]): row for row in found}
    told = [] if len(by_key) == len(found) else [f"{name}: {len(found) - len(by_key)} rows stand twice"]
    return told + _compared(name, by_key, wanted)


def _compared(name: str, by_key: Mapping[Any, tuple[Any, ...]], wanted: Mapping[Any, tuple[Any, ...]]) -> list[str]:
    told = []
    missing = [wanted[one] for one in wanted if one not in by_key]
    more = [by_key[one] for one in by_key if one not in wanted]
    wrong = [(by_key[one], wanted[one]) for one in wanted if one in by_key and not _equal(by_key[one], wanted[one])]
    for what, those in (("missing", missing), ("not expected", more)):
        if those:
            told.append(f"{name}: {len(those)} rows {what}, such as " + "; ".join(map(_shown, those[:SHOWN])))
    if wrong:
        some = "; ".join(f"{_shown(has)}, must be {_shown(must)}" for has, must in wrong[:SHOWN])
        told.append(f"{name}: {len(wrong)} of {len(wanted)} rows are wrong, such as {some}")
    return told


def _equal(has: tuple[Any, ...], must: tuple[Any, ...]) -> bool:
    return all(_same(one, other) for one, other in zip(has, must, strict=True))


def _same(has: Any, must: Any) -> bool:
    if isinstance(must, float) and isinstance(has, float):
        return math.isclose(has, must, rel_tol=1e-9, abs_tol=1e-6)
    return bool(has == must)


def _shown(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(str(value) for value in row) + ")"
