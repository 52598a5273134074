"""The product as a suite uses it: its notebooks and its package, on tables and files of the suite's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bike_sharing import Tables, ingest, publish, transform
from pyspark.sql import DataFrame, SparkSession
from running import Parameters

TIMEOUT_SECONDS = 3600
STAGES: dict[str, Callable[[SparkSession, Tables, str], object]] = {
    "ingest": ingest.run,
    "transform": lambda spark, tables, _: transform.run(spark, tables),
    "publish": lambda spark, tables, _: publish.run(spark, tables),
}
"""The stages of the chain as calls of the package, in order."""


@dataclass(frozen=True)
class Chain:
    """A schema and a landing folder that belong to a suite, and what runs on them."""

    spark: SparkSession
    dbutils: Any
    tables: Tables
    landing: str

    @classmethod
    def of(cls, spark: SparkSession, dbutils: Any, told: Parameters, suite: str) -> "Chain":
        """The chain of a suite; its schema and landing folder are empty."""
        tables = Tables(told.catalog, f"{told.schema}_{suite}")
        made = cls(spark, dbutils, tables, f"{told.volume}/work/{suite}")
        made.drop()
        spark.sql(f"CREATE SCHEMA {tables.prefix}")
        return made

    def drop(self) -> None:
        """Remove the tables and the files."""
        self.drop_tables()
        self.dbutils.fs.rm(self.landing, True)

    def drop_tables(self) -> None:
        """Remove the tables with their schema; the files stay."""
        self.spark.sql(f"DROP SCHEMA IF EXISTS {self.tables.prefix} CASCADE")

    def notebook(self, name: str, **widgets: str) -> str:
        """Run one of the product's notebooks as a job would; returns what it exits with."""
        told = {"catalog": self.tables.catalog, "schema": self.tables.schema} | widgets
        return str(self.dbutils.notebook.run(f"../{name}", TIMEOUT_SECONDS, told))

    def table(self, name: str) -> DataFrame:
        """One of the product's tables."""
        return self.spark.table(self.tables.name(name))

    def put(self, path: str, text: str) -> None:
        """Write a landing file."""
        self.dbutils.fs.put(f"{self.landing}/{path}", text, True)
