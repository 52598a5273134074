"""Silver of one source: judge the new rows together with what stands for their keys already, and store what changed.

The state after any number of runs is that of judging all rows of bronze at once: for each key the newest row stands,
and it is judged by the rules. So a run only needs the new rows, the rows that stand for the same keys (in silver, or in
the quarantine for a rule after `duplicate`), and rows whose verdict depends on something else that changed.

Stored in an order that survives being cut off: first what goes to the quarantine, then silver, then what leaves the
quarantine. A run that is started again finds the same and finishes it; no row is ever in neither place.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.window import Window

from bike_sharing import quality, storing
from bike_sharing.sources import TRIPS, Source
from bike_sharing.tables import Tables

_OWN = ("_file", "_file_day", "_batch", "_row")
_NOT_DATA = {*_OWN, "_file_size", "_file_modified", "_header", "_ingested_at"}


@dataclass(frozen=True)
class Span:
    """The batches of a run: those after `done` up to `to`, and the number that its changes are marked with."""

    done: int
    to: int
    settled: int


@dataclass(frozen=True)
class Settled:
    """What a run stored for a source, in rows.

    Args:
        inserted: new in silver.
        updated: replaced in silver by a newer row.
        deleted: taken from silver because the newer row is broken.
        quarantined: new in the quarantine, or there under another rule now.
        readmitted: back from the quarantine.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    quarantined: int = 0
    readmitted: int = 0


def settle(
    spark: SparkSession, tables: Tables, source: Source, span: Span, stations: DataFrame | None = None
) -> Settled:
    """Judge the rows of the batches and store the outcome in silver and the quarantine.

    Args:
        spark: the session.
        tables: where the tables are.
        source: whose rows.
        span: the batches; without any, only rows that depend on the stations are judged again.
        stations: all known stations in the column `station_id`, for sources with rules about them.
    """
    bronze = spark.table(tables.name(source.bronze))
    new = bronze.where(f"_batch > {span.done} AND _batch <= {span.to}")
    silver = spark.table(tables.name(source.silver))
    quarantine = spark.table(tables.name("quarantine")).where(f.col("source") == source.name)
    # Quick to see, and nothing needs to be looked for in what is empty.
    first = silver.select("_batch").unionByName(quarantine.select("_batch")).isEmpty()
    found: list[Row] = []
    if not first:
        refs = _standing(spark, tables, source, new)
        if stations is not None:
            refs = refs.unionByName(_resolved(spark, tables, stations).withColumn("back", f.lit(True)))
        found = refs.select("_batch", "back").distinct().collect()
    rows = new
    batches = sorted({int(row["_batch"]) for row in found if row["_batch"] <= span.done})
    if batches:
        # The list keeps the reading to the files that hold these batches.
        older = bronze.where(f.col("_batch").isin(batches))
        rows = new.unionByName(older.join(refs, ["_batch", "_row"], "left_semi"))
    quarantined = _quarantine(spark, tables, source, judge(source, rows, stations), span, merge=not first)
    # Read anew: what was just stored there is the verdict on the rows.
    rejected = spark.table(tables.name("quarantine")).where(f.col("source") == source.name)
    rejected = rejected.where((f.col("_batch") > span.done) | f.col("_batch").isin(batches))
    rejected = rejected.select("_batch", "_row", f.col("rule").alias("_rule"))
    returning = stations if any(row["back"] for row in found) else None
    if returning is not None:
        rejected = rejected.join(_resolved(spark, tables, returning), ["_batch", "_row"], "left_anti")
    inserted, updated, deleted = _to_silver(spark, tables, source, rows, rejected, span=span, merge=bool(found))
    readmitted = _leave(spark, tables, _resolved(spark, tables, returning)) if returning is not None else 0
    return Settled(inserted, updated, deleted, quarantined, readmitted)


def typed(source: Source, raw: DataFrame) -> DataFrame:
    """Rows with the source's typed columns.

    Args:
        source: whose rows.
        raw: the rows with the columns of bronze in `_raw`, besides `_file_day`.
    """
    there = {name.lower() for name in raw.select("_raw.*").columns}
    columns = {}
    for column, names in source.columns.items():
        known = [f"_raw.`{name}`" for name in names if name in there]
        columns[column] = f.expr(f"coalesce({', '.join(known)})")
    rows = raw.withColumns({**columns, "_malformed": f.col("_raw._malformed")})
    for step in source.typed:
        rows = rows.withColumns({name: f.expr(expression) for name, expression in step.items()})
    return rows


def _raw(rows: DataFrame) -> DataFrame:
    # In the order of their names, which doesn't depend on the order in which columns first arrived.
    data = sorted(name for name in rows.columns if name not in _NOT_DATA)
    return rows.select(f.struct(*(f.col(f"`{name}`") for name in data)).alias("_raw"), *_OWN)


def judge(source: Source, rows: DataFrame, stations: DataFrame | None) -> DataFrame:
    """Rows of bronze with their typed columns, `_key` and `_rule` (null: accepted, and the newest of its key).

    Args:
        source: whose rows.
        rows: rows of bronze; of each key that occurs, all or the newest so far and newer ones.
        stations: as for `settle`.
    """
    before = typed(source, _raw(rows)).select(
        "_raw",
        *_OWN,
        f.expr(source.key_text).alias("_key"),
        f.expr(source.newest).alias("_newest"),
        f.expr(quality.verdict_before(source.name)).alias("_before"),
    )
    # A row that is broken by itself competes with none: it is alone in its window.
    alone = f.when(f.col("_before").isNotNull(), f.struct("_batch", "_row"))
    newest_first = (f.desc_nulls_last("_newest"), f.desc("_raw"), f.asc("_file_day"), *map(f.asc, _OWN[:1] + _OWN[2:]))
    window = Window.partitionBy("_key", alone).orderBy(*newest_first)
    # Only the text goes through the window; it is read again behind it, which costs less than carrying both.
    judged = typed(source, before.withColumn("_place", f.row_number().over(window)))
    if stations is not None:
        for end in ("start", "end"):
            known = f.broadcast(stations.select(f.col("station_id").alias(f"_{end}_known")))
            judged = judged.join(known, f.col(f"{end}_station") == f.col(f"_{end}_known"), "left")
        judged = judged.withColumn("_stations_known", f.expr("_start_known IS NOT NULL AND _end_known IS NOT NULL"))
    rule = f"coalesce(_before, {quality.verdict_after(source.name)})"
    return judged.withColumn("_rule", f.expr(rule))


def _standing(spark: SparkSession, tables: Tables, source: Source, new: DataFrame) -> DataFrame:
    """`_batch` and `_row` of the rows that stand for the keys of new rows: in silver, or quarantined by themselves."""
    keys = typed(source, _raw(new)).select(f.expr(source.key_text).alias("_key")).distinct()
    silver = spark.table(tables.name(source.silver)).select(f.expr(source.key_text).alias("_key"), "_batch", "_row")
    quarantine = spark.table(tables.name("quarantine")).where(f.col("source") == source.name)
    broken = quarantine.where(f.col("rule").isin(quality.after_duplicate(source.name)))
    standing = silver.unionByName(broken.select("_key", "_batch", "_row"))
    return standing.join(keys, "_key", "left_semi").select("_batch", "_row", f.lit(False).alias("back"))


def _resolved(spark: SparkSession, tables: Tables, stations: DataFrame) -> DataFrame:
    """`_batch` and `_row` of quarantined trips whose stations are known now."""
    unknown = spark.table(tables.name("quarantine")).where("source = 'trips' AND rule = 'station_unknown'")
    for end in ("start", "end"):
        names = TRIPS.columns[f"{end}_station"]
        text = f.coalesce(*(f.get_json_object("row", f"$.{name}") for name in names))
        known = f.broadcast(stations.select(f.col("station_id").alias(f"_{end}")))
        unknown = unknown.join(known, f.trim(text) == f.col(f"_{end}"), "left_semi")
    return unknown.select("_batch", "_row")


def _quarantine(
    spark: SparkSession, tables: Tables, source: Source, judged: DataFrame, span: Span, *, merge: bool
) -> int:
    """Store the rows that break a rule; returns how many are new there, or there under another rule now."""
    name = tables.name("quarantine")
    rejected = judged.where("_rule IS NOT NULL").select(
        f.lit(source.name).alias("source"),
        f.col("_rule").alias("rule"),
        f.to_json("_raw").alias("row"),
        f.col("_file").alias("file"),
        f.col("_file_day").alias("file_day"),
        "_key",
        "_batch",
        "_row",
        f.lit(span.settled).cast("bigint").alias("_settled"),
    )
    if not merge:  # the source has no row there
        return storing.append(rejected, name)
    merged = spark.sql(
        f"""MERGE INTO {name} AS t USING {{rejected}} AS s
        ON t.source = '{source.name}' AND t._batch = s._batch AND t._row = s._row
        WHEN MATCHED AND t.rule <> s.rule THEN UPDATE SET rule = s.rule, _settled = s._settled
        WHEN NOT MATCHED THEN INSERT *""",
        rejected=rejected,
    )
    return int(merged.collect()[0]["num_affected_rows"])


def _to_silver(
    spark: SparkSession,
    tables: Tables,
    source: Source,
    rows: DataFrame,
    rejected: DataFrame,
    *,
    span: Span,
    merge: bool,
) -> tuple[int, int, int]:
    """Store the rows that stand; returns how many were inserted, updated and deleted.

    What the quarantine took of the rows is the verdict: to be read there costs half of being judged once more.
    """
    name = tables.name(source.silver)
    columns = spark.table(name).columns
    typed_rows = typed(source, _raw(rows)).withColumn("_settled", f.lit(span.settled).cast("bigint"))
    if not merge:  # none of the keys is there
        accepted = typed_rows.join(rejected, ["_batch", "_row"], "left_anti")
        return storing.append(accepted.select(*columns), name), 0, 0
    judged = typed_rows.join(rejected, ["_batch", "_row"], "left")
    standing = judged.where(f.col("_rule").isNull() | f.col("_rule").isin(quality.after_duplicate(source.name)))
    assignments = ", ".join(f"{column} = s.{column}" for column in columns)
    values = ", ".join(f"s.{column}" for column in columns)
    merged = spark.sql(
        f"""MERGE INTO {name} AS t USING {{standing}} AS s
        ON {" AND ".join(f"t.{column} = s.{column}" for column in source.key)}
        WHEN MATCHED AND s._rule IS NOT NULL THEN DELETE
        WHEN MATCHED AND (t._batch <> s._batch OR t._row <> s._row) THEN UPDATE SET {assignments}
        WHEN NOT MATCHED AND s._rule IS NULL THEN INSERT ({", ".join(columns)}) VALUES ({values})""",  # noqa: S608 - its names are the code's and quoted ones
        standing=standing.select(*columns, "_rule"),
    ).collect()[0]
    return int(merged["num_inserted_rows"]), int(merged["num_updated_rows"]), int(merged["num_deleted_rows"])


def _leave(spark: SparkSession, tables: Tables, resolved: DataFrame) -> int:
    """Take rows out of the quarantine that have entered silver."""
    merged = spark.sql(
        f"""MERGE INTO {tables.name("quarantine")} AS t USING {{resolved}} AS s
        ON t.source = 'trips' AND t.rule = 'station_unknown' AND t._batch = s._batch AND t._row = s._row
        WHEN MATCHED THEN DELETE""",
        resolved=resolved,
    )
    return int(merged.collect()[0]["num_affected_rows"])
