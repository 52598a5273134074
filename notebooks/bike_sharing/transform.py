"""Silver: what arrived, judged, typed and merged, with the history of the stations.

The table `progress` says up to which batch each source is done. It is written last, so that a run that was cut off is
done again; every step before it can be repeated.
"""

from dataclasses import dataclass, field

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from bike_sharing import stations
from bike_sharing.sources import SOURCES, STATIONS, TRIPS, WEATHER
from bike_sharing.tables import Tables
from bike_sharing.verdict import Settled, Span, settle

STEP = "transform"


@dataclass(frozen=True)
class TransformReport:
    """What a run changed.

    Args:
        batch: newest batch that silver holds now; 0 when nothing was ever ingested.
        sources: rows that were stored, by source; sources without news are left out.
        station_versions: rows of the stations' history that were changed.
    """

    batch: int = 0
    sources: dict[str, Settled] = field(default_factory=dict)
    station_versions: int = 0


def positions(spark: SparkSession, tables: Tables, step: str) -> dict[str, int]:
    """The newest batch that a step has done, by source.

    Args:
        spark: the session.
        tables: where the tables are.
        step: name of the step.
    """
    rows = spark.table(tables.name("progress")).where(f.col("step") == step).collect()
    return {str(row["source"]): int(row["batch"]) for row in rows}


def advance(spark: SparkSession, tables: Tables, step: str, batches: dict[str, int]) -> None:
    """Remember the newest batch that a step has done.

    Args:
        spark: the session.
        tables: where the tables are.
        step: name of the step.
        batches: batch by source.
    """
    done = spark.createDataFrame(
        [(step, source, batch) for source, batch in batches.items()], "step string, source string, batch bigint"
    ).withColumn("at", f.current_timestamp())
    spark.sql(
        f"""MERGE INTO {tables.name("progress")} AS t USING {{done}} AS s
        ON t.step = s.step AND t.source = s.source
        WHEN MATCHED AND t.batch <> s.batch THEN UPDATE SET *
        WHEN NOT MATCHED THEN INSERT *""",
        done=done,
    )


def run(spark: SparkSession, tables: Tables) -> TransformReport:
    """Bring silver up to bronze. Running it again changes nothing.

    Args:
        spark: the session.
        tables: where the tables are; missing ones are made.
    """
    tables.create(spark)
    done = positions(spark, tables, STEP)
    arrived = {
        str(row["source"]): int(row["batch"])
        for row in spark.table(tables.name("ingested_files"))
        .groupBy("source")
        .agg(f.max("batch").alias("batch"))
        .collect()
    }
    newest = max(arrived.values(), default=0)
    news = {source.name for source in SOURCES if arrived.get(source.name, 0) > done.get(source.name, 0)}
    if not news:
        return TransformReport(batch=newest)
    spans = {source.name: Span(done.get(source.name, 0), arrived.get(source.name, 0), newest) for source in SOURCES}
    settled: dict[str, Settled] = {}
    versions = 0
    if STATIONS.name in news:
        settled[STATIONS.name] = settle(spark, tables, STATIONS, spans[STATIONS.name])
        versions = stations.update(spark, tables)
    if WEATHER.name in news:
        settled[WEATHER.name] = settle(spark, tables, WEATHER, spans[WEATHER.name])
    if not news.isdisjoint({TRIPS.name, STATIONS.name}):  # new stations can bring trips back from the quarantine
        known = spark.table(tables.name("silver_stations")).select("station_id").distinct()
        settled[TRIPS.name] = settle(spark, tables, TRIPS, spans[TRIPS.name], known)
    advance(spark, tables, STEP, {name: spans[name].to for name in news})
    return TransformReport(batch=newest, sources=settled, station_versions=versions)
