"""Writing rows to a table and knowing how many they were, without reading them again.

Spark counts while it writes
(https://spark.apache.org/docs/latest/api/python/reference/pyspark.sql/api/pyspark.sql.Observation.html).
"""

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f


def append(rows: DataFrame, table: str) -> int:
    """Add rows in one commit; columns that the table lacks are added to it.

    Args:
        rows: what to add.
        table: its full name.

    Returns:
        How many rows they were.
    """
    counted, observed = _counted(rows)
    observed.write.mode("append").option("mergeSchema", True).saveAsTable(table)
    return _count(counted)


def replace(rows: DataFrame, table: str, where: str) -> int:
    """Put rows into the place of those that meet a condition, in one commit.

    Args:
        rows: what to store; all meet the condition.
        table: its full name.
        where: the condition in SQL.

    Returns:
        How many rows they were.
    """
    counted, observed = _counted(rows)
    observed.write.mode("overwrite").option("replaceWhere", where).saveAsTable(table)
    return _count(counted)


def _counted(rows: DataFrame) -> tuple[Observation, DataFrame]:
    counted = Observation()
    return counted, rows.observe(counted, f.count(f.lit(1)).alias("rows"))


def _count(counted: Observation) -> int:
    return int(counted.get["rows"])
