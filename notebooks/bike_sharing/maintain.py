"""Upkeep of the tables: small files put together, files that no version needs any more deleted."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import SparkSession

from bike_sharing.tables import COLUMNS, Tables

SHORTEST_HOURS = 168
_AT_ONCE = 4  # tables; upkeep is mostly waiting for the storage to list and delete files


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table.

    Args:
        table: its name without catalog and schema.
        compacted: small files that were put together.
        written: files that they became.
    """

    table: str
    compacted: int
    written: int


@dataclass(frozen=True)
class MaintainReport:
    """What a run did.

    Args:
        tables: the upkeep of each table.
        retention_hours: older versions than this can't be read any more.
    """

    tables: tuple[Upkeep, ...]
    retention_hours: int


def run(spark: SparkSession, tables: Tables, retention_hours: int = SHORTEST_HOURS) -> MaintainReport:
    """Compact all tables and delete files that only versions older than the retention need.

    Args:
        spark: the session.
        tables: where the tables are; missing ones are made.
        retention_hours: how long old versions can be read, in hours; at least a week. A job that reads or writes for
            longer than the retention loses files under its hands, so Delta refuses less as well
            (https://docs.delta.io/latest/delta-utility.html#remove-files-no-longer-referenced-by-a-delta-table).

    Raises:
        ValueError: the retention is shorter than a week.
    """
    if retention_hours < SHORTEST_HOURS:
        raise ValueError(
            f"A retention of {retention_hours} hours is too short, running jobs could lose files: take {SHORTEST_HOURS}"
            " or more."
        )
    tables.create(spark)
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        done = tuple(workers.map(lambda table: _keep_up(spark, tables, table, retention_hours), COLUMNS))
    return MaintainReport(done, retention_hours)


def _keep_up(spark: SparkSession, tables: Tables, table: str, retention_hours: int) -> Upkeep:
    name = tables.name(table)
    metrics = spark.sql(f"OPTIMIZE {name}").select("metrics.numFilesRemoved", "metrics.numFilesAdded").collect()[0]
    spark.sql(f"VACUUM {name} RETAIN {int(retention_hours)} HOURS")
    return Upkeep(table, int(metrics[0]), int(metrics[1]))
