"""The same answers by hand: one Spark script as somebody writes it who needs them once.

It reads the landing files, deduplicates, converts, joins and writes silver and gold tables. What the product adds is
what it leaves out: nothing is kept of the files as they came, nothing is quarantined, and a second run does everything
again. The benchmark compares the product's chain with it, and checks first that both wrote the same.
"""

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own documentation uses

ZONE = "Europe/Vienna"
RENAMED = {"start_station_id": "start_station", "end_station_id": "end_station"}
KEPT = ("trip_id", "bike_id", "start_station", "end_station", "started_at", "ended_at", "duration_s", "distance_m")


def run(spark: SparkSession, landing: str, schema: str) -> None:
    """Reads everything below `landing` and writes the tables into `schema`, which may have a catalog in front."""
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    snapshots = spark.read.json(f"{landing}/stations/*/*").withColumn("day", _file_day())
    stations = (
        snapshots.where("station_id <> '' AND lat BETWEEN 47 AND 49 AND lon BETWEEN 15 AND 18 AND capacity >= 1")
        .dropDuplicates(["station_id", "day"])
        .select("station_id", "day", F.trim("name").alias("name"), "capacity", "bikes_available")
    )
    weather = _weather(spark.read.csv(f"{landing}/weather/*/*", header=True).withColumn("day", _file_day()))
    _trips(spark, landing, stations).write.format("delta").mode("overwrite").saveAsTable(f"{schema}.silver_trips")
    trips = spark.table(f"{schema}.silver_trips")
    _gold(trips, stations, weather, schema)


def _file_day() -> Column:
    return F.to_date(F.regexp_extract(F.col("_metadata.file_path"), r"/(\d{4}-\d{2}-\d{2})/[^/]*$", 1))


def _trips(spark: SparkSession, landing: str, stations: DataFrame) -> DataFrame:
    before = spark.read.csv(f"{landing}/trips/2024-10-2[123]/*", header=True, mode="DROPMALFORMED")
    after = spark.read.csv(f"{landing}/trips/2024-10-2[4567]/*", header=True, mode="DROPMALFORMED")
    rows = before.withColumn("file_day", _file_day()).unionByName(
        after.withColumn("file_day", _file_day()).withColumnsRenamed(RENAMED)
    )
    newest = Window.partitionBy("trip_id").orderBy(F.col("exported_at").desc(), "file_day")
    rows = rows.where("trip_id IS NOT NULL").withColumn("nth", F.row_number().over(newest)).where("nth = 1")
    start, end = (_utc(f"try_to_timestamp({name}, 'yyyy-MM-dd HH:mm:ss')") for name in ("started_at", "ended_at"))
    hour, seconds = F.expr("INTERVAL 1 HOUR"), F.expr("try_cast(duration_s AS INT)")
    rows = rows.select(
        "*",
        start.alias("start"),
        end.alias("end"),
        seconds.alias("seconds"),
        F.expr("try_cast(distance AS DOUBLE) * IF(firmware LIKE '1.%', 1000, 1)").alias("distance_m"),
    )
    # In the hour that the clock shows twice the earlier instant counts, unless the duration says otherwise.
    fits = F.coalesce(
        *(
            F.when(
                (F.unix_timestamp(end + late_end) - F.unix_timestamp(start + late_start) == F.col("seconds"))
                & _shows(start + late_start, "started_at")
                & _shows(end + late_end, "ended_at"),
                start + late_start,
            )
            for late_start in (F.expr("INTERVAL 0 HOUR"), hour)
            for late_end in (F.expr("INTERVAL 0 HOUR"), hour)
        )
    )
    return (
        rows.withColumn("begun", fits)
        .where("begun IS NOT NULL AND seconds > 0 AND seconds <= 86400 AND distance_m BETWEEN 0 AND 200000")
        .join(F.broadcast(stations.select(F.col("station_id").alias("start_station")).distinct()), "start_station")
        .join(F.broadcast(stations.select(F.col("station_id").alias("end_station")).distinct()), "end_station")
        .select(
            "trip_id",
            "bike_id",
            "start_station",
            "end_station",
            F.col("begun").alias("started_at"),
            F.expr("timestampadd(SECOND, seconds, begun)").alias("ended_at"),
            F.col("seconds").alias("duration_s"),
            "distance_m",
            (F.col("member") == "yes").alias("member"),
            "file_day",
        )
    )


def _utc(wall_clock: str) -> Column:
    return F.to_utc_timestamp(F.expr(wall_clock), ZONE)


def _shows(instant: Column, wall_clock: str) -> Column:
    """Whether the clock on the wall shows that text at that instant."""
    return F.date_format(F.from_utc_timestamp(instant, ZONE), "yyyy-MM-dd HH:mm:ss") == F.col(wall_clock)


def _weather(rows: DataFrame) -> DataFrame:
    newest = Window.partitionBy("hour").orderBy(F.col("day").desc())
    return (
        rows.withColumn("hour", F.expr("try_to_timestamp(observed_at)"))
        .withColumn("nth", F.row_number().over(newest))
        .withColumn("raw", F.expr("try_cast(temperature AS DOUBLE)"))
        .where("nth = 1 AND hour IS NOT NULL")
        .select(
            "hour",
            F.expr("round(IF(temperature_unit = 'F', (raw - 32) * 5 / 9, raw), 2)").alias("temperature_c"),
            F.expr("try_cast(precipitation_mm AS DOUBLE)").alias("precipitation_mm"),
            F.expr("try_cast(wind AS DOUBLE)").alias("wind"),
        )
        .where("temperature_c BETWEEN -40 AND 50 AND wind >= 0")
        .drop("wind")
    )


def _gold(trips: DataFrame, stations: DataFrame, weather: DataFrame, schema: str) -> None:
    departures = trips.groupBy(F.col("start_station").alias("station_id"), _hour("started_at")).agg(
        F.count("*").alias("departures"), F.count_if("member").alias("member_departures")
    )
    arrivals = trips.groupBy(F.col("end_station").alias("station_id"), _hour("ended_at")).agg(
        F.count("*").alias("arrivals")
    )
    local = F.from_utc_timestamp("hour", ZONE)
    demand = (
        departures.join(arrivals, ["station_id", "hour"], "full")
        .na.fill(0)
        .join(F.broadcast(weather), "hour", "left")
        .withColumns({"local_day": F.to_date(local), "local_hour": F.hour(local)})
    )
    demand.write.format("delta").mode("overwrite").saveAsTable(f"{schema}.gold_demand_hourly")
    demand = demand.sparkSession.table(f"{schema}.gold_demand_hourly")
    day = F.to_utc_timestamp(F.col("day").cast("timestamp"), ZONE)
    next_day = F.to_utc_timestamp(F.date_add("day", 1).cast("timestamp"), ZONE)
    hours = stations.select(
        "station_id",
        "day",
        "capacity",
        "bikes_available",
        F.explode(F.sequence(day, next_day - F.expr("INTERVAL 1 HOUR"), F.expr("INTERVAL 1 HOUR"))).alias("hour"),
    )
    so_far = Window.partitionBy("station_id", "day").orderBy("hour")
    change = F.coalesce(F.col("arrivals") - F.col("departures"), F.lit(0))
    bikes = F.greatest(F.lit(0), F.least("capacity", F.col("bikes_available") + F.sum(change).over(so_far)))
    availability = (
        hours.join(demand.select("station_id", "hour", "arrivals", "departures"), ["station_id", "hour"], "left")
        .withColumn("bikes", bikes)
        .select("station_id", "hour", "bikes", (F.col("capacity") - F.col("bikes")).alias("free_docks"))
        .withColumns({"is_empty": F.col("bikes") == 0, "is_full": F.col("free_docks") == 0})
    )
    availability.write.format("delta").mode("overwrite").saveAsTable(f"{schema}.gold_availability_hourly")


def _hour(instant: str) -> Column:
    return F.date_trunc("hour", F.col(instant)).alias("hour")
