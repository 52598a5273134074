"""The history of the stations, as a slowly changing dimension of type 2.

Each row says what a station was from one day to another. The history follows from all accepted rows of all daily
snapshots and from nothing else, so the order in which they arrive doesn't matter. A station that a snapshot leaves out
ends on that day; one whose row was rejected counts as left out.
"""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.window import Window

from bike_sharing.tables import Tables

ATTRIBUTES = ("name", "lat", "lon", "capacity")
_COLUMNS = ("station_id", *ATTRIBUTES, "valid_from", "valid_to", "is_current")


def history(snapshots: DataFrame) -> DataFrame:
    """The versions of each station.

    Args:
        snapshots: one row for each station and day, with `station_id`, `day` and the attributes.
    """
    days = snapshots.select("day").distinct()
    # All days fit into one window: there is one row a day.
    next_day = f.lead("day").over(Window.orderBy("day"))
    rows = snapshots.join(f.broadcast(days.withColumn("_next", next_day)), "day")
    station = Window.partitionBy("station_id").orderBy("day")
    same = [f.col(name).eqNullSafe(f.lag(name).over(station)) for name in ATTRIBUTES]
    follows = f.col("day") == f.lag("_next").over(station)
    begins = ~f.coalesce(follows, f.lit(False))
    for attribute in same:
        begins = begins | ~attribute
    numbered = rows.withColumn("_begins", begins).withColumn("_version", f.count_if("_begins").over(station))
    return (
        numbered.groupBy("station_id", "_version")
        .agg(
            *(f.any_value(name).alias(name) for name in ATTRIBUTES),
            f.min("day").alias("valid_from"),
            f.max_by("_next", "day").alias("valid_to"),
        )
        .withColumn("is_current", f.col("valid_to").isNull())
        .select(*_COLUMNS)
    )


def update(spark: SparkSession, tables: Tables) -> int:
    """Bring `silver_stations` up to the snapshots in `silver_station_stock`; returns the number of changed rows.

    Args:
        spark: the session.
        tables: where the tables are.
    """
    changed = " OR ".join(f"NOT t.{name} <=> s.{name}" for name in (*ATTRIBUTES, "valid_to"))
    merged = spark.sql(
        f"""MERGE INTO {tables.name("silver_stations")} AS t USING {{history}} AS s
        ON t.station_id = s.station_id AND t.valid_from = s.valid_from
        WHEN MATCHED AND ({changed}) THEN UPDATE SET *
        WHEN NOT MATCHED THEN INSERT *
        WHEN NOT MATCHED BY SOURCE THEN DELETE""",
        history=history(spark.table(tables.name("silver_station_stock"))),
    )
    return int(merged.collect()[0]["num_affected_rows"])
