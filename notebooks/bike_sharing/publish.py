"""Gold: demand and availability by station and hour, from silver.

Only the local days that something changed on are computed again; they replace what gold had for them.
"""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.window import Window

from bike_sharing import calendar, storing, transform
from bike_sharing.tables import Tables

STEP = "publish"
_ALL = "all"


@dataclass(frozen=True)
class PublishReport:
    """What a run replaced.

    Args:
        batch: newest batch that gold holds now.
        days: local days that were computed again, in order.
        demand_rows: rows of `gold_demand_hourly` on these days.
        availability_rows: rows of `gold_availability_hourly` on these days.
    """

    batch: int = 0
    days: tuple[date, ...] = ()
    demand_rows: int = 0
    availability_rows: int = 0


def run(spark: SparkSession, tables: Tables) -> PublishReport:
    """Bring gold up to silver. Running it again changes nothing.

    Args:
        spark: the session.
        tables: where the tables are; missing ones are made.
    """
    tables.create(spark)
    newest = max(transform.positions(spark, tables, transform.STEP).values(), default=0)
    done = transform.positions(spark, tables, STEP).get(_ALL, 0)
    if newest <= done:
        return PublishReport(batch=newest)
    days = touched_days(spark, tables, done)
    rows = {}
    if days:
        for table, compute in (("gold_demand_hourly", demand), ("gold_availability_hourly", availability)):
            name = tables.name(table)
            on_days = f"local_day IN ({', '.join(_literal(day) for day in days)})"
            computed = compute(spark, tables, days).select(*spark.table(name).columns)
            rows[table] = storing.replace(computed, name, on_days)
    transform.advance(spark, tables, STEP, {_ALL: newest})
    return PublishReport(
        newest, tuple(days), rows.get("gold_demand_hourly", 0), rows.get("gold_availability_hourly", 0)
    )


def touched_days(spark: SparkSession, tables: Tables, after: int) -> list[date]:
    """The local days on which silver changed.

    A row that left silver is in the quarantine now, so its days are known from there.

    Args:
        spark: the session.
        tables: where the tables are.
        after: newest batch that was published.
    """
    changed = {
        table: spark.table(tables.name(table)).where(f"_settled > {after}")
        for table in ("silver_trips", "silver_station_stock", "silver_weather", "quarantine")
    }
    # A week has few hours and many trips: the hours first, then their days.
    hours = changed["silver_trips"].select(*map(_hour, ("started_at", "ended_at"))).distinct()
    as_sent = "try_cast(left(get_json_object(row, '$.{}'), 10) AS DATE)"
    on_rejected = f"explode(array({as_sent.format('started_at')}, {as_sent.format('ended_at')}))"
    found = [
        hours.select(f.explode(f.array(*hours.columns)).alias("hour")).select(
            f.expr(calendar.local_day("hour")).alias("day")
        ),
        changed["quarantine"].where("source = 'trips'").select(f.expr(on_rejected).alias("day")),
        changed["silver_station_stock"].select("day"),
        changed["silver_weather"].select(f.expr(calendar.local_day("observed_at")).alias("day")),
    ]
    all_days = found[0]
    for more in found[1:]:
        all_days = all_days.unionByName(more)
    return sorted(row["day"] for row in all_days.where("day IS NOT NULL").distinct().collect())


def demand(spark: SparkSession, tables: Tables, days: list[date]) -> DataFrame:
    """Departures and arrivals by station and hour, with the weather of the hour.

    Args:
        spark: the session.
        tables: where the tables are.
        days: the local days wanted, in order.
    """
    first, after = _literal(days[0]), f"date_add({_literal(days[-1])}, 1)"
    # A trip that arrives on the first day can have begun the day before: none takes longer than a day.
    near = (
        f"started_at >= timestamp_seconds(unix_seconds({calendar.midnight(first)}) - 24 * 3600)"
        f" AND started_at < {calendar.midnight(after)}"
    )
    departure = "struct(start_station AS station_id, unix_seconds(started_at) DIV 3600 AS hour, 1L AS d, 0L AS a,"
    departure += " IF(member, 1L, 0L) AS m)"
    arrival = "struct(end_station AS station_id, unix_seconds(ended_at) DIV 3600 AS hour, 0L AS d, 1L AS a, 0L AS m)"
    events = spark.table(tables.name("silver_trips")).where(near).selectExpr(f"inline(array({departure}, {arrival}))")
    hours = events.groupBy("station_id", "hour").agg(
        f.sum("d").alias("departures"), f.sum("a").alias("arrivals"), f.sum("m").alias("member_departures")
    )
    hours = hours.withColumn("hour", f.expr("timestamp_seconds(hour * 3600)"))
    hours = hours.withColumn("local_day", f.expr(calendar.local_day("hour")))
    hours = hours.withColumn("local_hour", f.expr(calendar.local_hour("hour"))).where(f.col("local_day").isin(days))
    weather = spark.table(tables.name("silver_weather"))
    weather = weather.select(f.col("observed_at").alias("hour"), "temperature_c", "precipitation_mm")
    return hours.join(weather, "hour", "left")


def availability(spark: SparkSession, tables: Tables, days: list[date]) -> DataFrame:
    """Bikes and free docks at the end of each hour of the local days, for the stations in their snapshots.

    A snapshot without a number of bikes says nothing about the hours after it, so the station is left out on that day.

    Args:
        spark: the session.
        tables: where the tables are; `gold_demand_hourly` is up to date for the days.
        days: the local days wanted, in order.
    """
    stock = spark.table(tables.name("silver_station_stock")).where(f.col("day").isin(days))
    stock = stock.where("bikes_available IS NOT NULL").withColumnRenamed("day", "local_day")
    hours = stock.withColumn("hour", f.explode(f.expr(calendar.hours_of_day("local_day"))))
    flow = spark.table(tables.name("gold_demand_hourly")).where(f.col("local_day").isin(days))
    flow = flow.selectExpr("station_id", "hour", "arrivals - departures AS flow")
    since_midnight = (
        Window.partitionBy("station_id", "local_day")
        .orderBy("hour")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    summed = hours.join(flow, ["station_id", "hour"], "left").withColumn(
        "moved", f.sum(f.coalesce("flow", f.lit(0))).over(since_midnight)
    )
    bikes = "CAST(greatest(0, least(capacity, bikes_available + moved)) AS INT)"
    return summed.withColumn("bikes", f.expr(bikes)).selectExpr(
        "station_id",
        "hour",
        "local_day",
        "bikes",
        "capacity - bikes AS free_docks",
        "bikes = 0 AS is_empty",
        "bikes = capacity AS is_full",
    )


def _hour(instant: str) -> Column:
    return f.expr(calendar.hour_of(instant)).alias(instant)


def _literal(day: date) -> str:
    return f"DATE'{day.isoformat()}'"
