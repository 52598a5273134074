"""Which settings make Spark on one machine look like Databricks, and start fast."""

import os
from pathlib import Path

CATALOGS = ("main", "test", "production")
"""The catalogs that an administrator has made; the first is the current one of a new session."""

CATALOG_CLASS = "rehearsal.spark.FolderCatalog"


SMALL_DATA = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
"""What pays with a few thousand rows: compiling code for each query, and planning it again while it runs, takes longer
than the query. The sample's chain takes two thirds of the time with these. With a million rows they cost more than they
save, so they are what a cluster of a job may set otherwise."""


def prepare(data: Path) -> None:
    """Makes the folders that are there from the first day: the catalogs, each with its schema `default`."""
    for catalog in CATALOGS:
        (data / "catalogs" / catalog / "default").mkdir(parents=True, exist_ok=True)
    for each in ("volumes", "dbfs"):
        (data / each).mkdir(exist_ok=True)


def spark(data: Path, scratch: Path, *, partitions: int, default_scheme: str) -> dict[str, str]:
    """Spark's settings.

    Args:
        data: the folder of the cloud's storage.
        scratch: a folder for what Spark spills; may go when Spark has ended.
        partitions: of a shuffle; adaptive execution merges them, it doesn't split.
        default_scheme: of a path without one: `dbfs` like on Databricks, or `file`.
    """
    settings = {
        "spark.master": "local[*]",
        "spark.app.name": "rehearsal",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": (data / "warehouse").as_uri(),
        "spark.sql.shuffle.partitions": str(partitions),
        # One task, not fifty, for the files of a small table: https://github.com/delta-io/delta/blob/v4.0.0/spark/src/main/scala/org/apache/spark/sql/delta/sources/DeltaSQLConf.scala
        "spark.databricks.delta.snapshotPartitions": "1",
        # How many tasks list files, for example those of a VACUUM: 10,000 by default, however few folders there are.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(cores()),
        "spark.hadoop.rehearsal.data": str(data),
        "spark.hadoop.fs.defaultFS": default_scheme + ":///",
        # As on Databricks: https://docs.databricks.com/aws/en/sql/language-manual/parameters/timezone
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.sources.default": "delta",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,rehearsal.spark.Extensions",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.defaultCatalog": CATALOGS[0],
    }
    for scheme, files in (("file", "LocalStorage"), ("dbfs", "Dbfs")):
        settings[f"spark.hadoop.fs.{scheme}.impl"] = f"rehearsal.spark.{files}"
        settings[f"spark.hadoop.fs.AbstractFileSystem.{scheme}.impl"] = f"rehearsal.spark.{files}$Context"
    for catalog in CATALOGS:
        settings[f"spark.sql.catalog.{catalog}"] = CATALOG_CLASS
        settings[f"spark.sql.catalog.{catalog}.folder"] = (data / "catalogs" / catalog).as_uri()
    return settings


def connect() -> dict[str, str]:
    """What lets serverless sessions in: https://spark.apache.org/docs/4.0.1/configuration.html#spark-connect"""
    return {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "0",
    }


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
