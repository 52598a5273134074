"""What notebooks rely on in Spark, in the session that unit tests use; a cluster has the same settings."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

from rehearsal.compute.spark import session


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def spark(data: Path) -> SparkSession:
    return session.local(data)


@pytest.fixture(autouse=True)
def schema(spark: SparkSession) -> Iterator[None]:
    spark.sql("CREATE SCHEMA IF NOT EXISTS test.bikes")
    yield
    spark.sql("USE CATALOG main")
    spark.sql("DROP SCHEMA test.bikes CASCADE")


def values(spark: SparkSession, query: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in spark.sql(query).collect())


def test_the_catalogs_of_an_administrator_are_there_and_main_is_the_current_one(spark: SparkSession) -> None:
    assert values(spark, "SELECT current_catalog(), current_schema()") == [("main", "default")]
    for catalog in ("main", "test", "production"):
        assert ("default",) in values(spark, f"SHOW SCHEMAS IN {catalog}")


def test_spark_runs_with_the_classes_that_were_kept(spark: SparkSession) -> None:
    [process] = [each for each in psutil.Process().children() if each.name() == "java"]
    assert "spark.jsa" in {Path(each.path).name for each in process.memory_maps()}, "`make toolchain` makes the file"


def test_a_table_is_made_changed_and_dropped_by_its_three_level_name(spark: SparkSession, data: Path) -> None:
    spark.sql("CREATE TABLE IF NOT EXISTS test.bikes.t (id BIGINT, day DATE) PARTITIONED BY (day) COMMENT 'trips'")
    spark.sql("INSERT INTO test.bikes.t VALUES (1, '2024-10-21'), (2, '2024-10-22')")
    spark.sql(
        "MERGE INTO test.bikes.t USING (SELECT id FROM VALUES (2L), (3L) AS v(id)) new ON t.id = new.id"
        " WHEN MATCHED THEN UPDATE SET day = DATE'2024-10-27'"
        " WHEN NOT MATCHED THEN INSERT (id, day) VALUES (id, DATE'2024-10-23')"
    )
    spark.sql("UPDATE test.bikes.t SET id = 10 WHERE id = 1")
    spark.sql("DELETE FROM test.bikes.t WHERE id = 3")
    spark.sql("ALTER TABLE test.bikes.t ADD COLUMN note STRING")
    assert values(spark, "SELECT id, CAST(day AS STRING), note FROM test.bikes.t") == [
        (2, "2024-10-27", None),
        (10, "2024-10-21", None),
    ]
    assert values(spark, "SELECT id FROM test.bikes.t VERSION AS OF 1") == [(1,), (2,)]
    operations = [row.operation for row in spark.sql("DESCRIBE HISTORY test.bikes.t").collect()]
    assert operations == ["ADD COLUMNS", "DELETE", "UPDATE", "MERGE", "WRITE", "CREATE TABLE"]
    assert (data / "catalogs/test/bikes/t/_delta_log").is_dir()
    assert spark.catalog.tableExists("test.bikes.t")
    spark.sql("DROP TABLE test.bikes.t")
    assert not spark.catalog.tableExists("test.bikes.t")
    assert not (data / "catalogs/test/bikes/t").exists()


def test_tables_are_kept_small_and_clean(spark: SparkSession, data: Path) -> None:
    for _ in range(3):
        spark.range(2).coalesce(1).write.mode("append").saveAsTable("test.bikes.t")
    metrics = spark.sql("OPTIMIZE test.bikes.t").first()
    assert metrics is not None
    assert metrics.metrics.numFilesRemoved == 3
    assert metrics.metrics.numFilesAdded == 1
    # Files from now on are old enough: the retention is a setting of the table.
    spark.sql("ALTER TABLE test.bikes.t SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 0 seconds')")
    spark.sql("VACUUM test.bikes.t")
    assert len(list((data / "catalogs/test/bikes/t").glob("*.parquet"))) == 1
    detail = spark.sql("DESCRIBE DETAIL test.bikes.t").first()
    assert detail is not None
    assert detail.format == "delta"
    assert detail.numFiles == 1


def test_tables_are_replaced_by_statement_and_by_writer(spark: SparkSession) -> None:
    spark.sql("CREATE TABLE test.bikes.t AS SELECT id FROM range(3)")
    spark.sql("CREATE OR REPLACE TABLE test.bikes.t AS SELECT id, 'x' AS other FROM range(4)")
    assert values(spark, "SELECT count(*), max(other) FROM test.bikes.t") == [(4, "x")]
    spark.sql("CREATE OR REPLACE TABLE test.bikes.t (day DATE)")
    assert spark.table("test.bikes.t").columns == ["day"]
    spark.range(5).write.mode("overwrite").option("overwriteSchema", "true").saveAsTable("test.bikes.t")
    assert values(spark, "SELECT count(*) FROM test.bikes.t VERSION AS OF 1") == [(4,)]
    assert spark.table("test.bikes.t").count() == 5
    spark.range(2).writeTo("test.bikes.u").createOrReplace()
    spark.range(2).writeTo("test.bikes.u").append()
    assert spark.table("test.bikes.u").count() == 4


def test_writers_append_merge_columns_and_overwrite_single_partitions(spark: SparkSession) -> None:
    rows = spark.range(6).withColumn("part", sql.col("id") % 2)
    rows.write.partitionBy("part").saveAsTable("test.bikes.t")
    rows.write.mode("append").saveAsTable("test.bikes.t")
    with pytest.raises(AnalysisException, match="already exists"):
        rows.write.saveAsTable("test.bikes.t")
    dynamic = rows.where("part = 0").write.mode("overwrite").option("partitionOverwriteMode", "dynamic")
    dynamic.partitionBy("part").saveAsTable("test.bikes.t")
    assert values(spark, "SELECT part, count(*) FROM test.bikes.t GROUP BY part") == [(0, 3), (1, 6)]
    wider = rows.withColumn("more", sql.lit(1)).write.mode("append")
    with pytest.raises(AnalysisException, match="schema mismatch"):
        wider.saveAsTable("test.bikes.t")
    wider.option("mergeSchema", "true").saveAsTable("test.bikes.t")
    assert spark.table("test.bikes.t").columns == ["id", "part", "more"]


def test_short_names_mean_the_current_catalog_and_schema(spark: SparkSession) -> None:
    spark.sql("USE CATALOG test")
    spark.sql("USE bikes")
    spark.sql("CREATE TABLE t AS SELECT 7 AS x")
    spark.sql("USE SCHEMA default")
    assert values(spark, "SELECT x FROM bikes.t") == [(7,)]
    assert values(spark, "SHOW TABLES IN test.bikes") == [("bikes", "t", False)]
    assert values(spark, "SELECT x FROM test.Bikes.T") == [(7,)]


def test_what_isnt_there_or_isnt_possible_is_said_plainly(spark: SparkSession) -> None:
    for name in ("test.bikes.none", "test.none.t", "none.x.y"):
        with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
            spark.table(name).collect()
    with pytest.raises(AnalysisException, match="SCHEMA_NOT_FOUND"):
        spark.sql("CREATE TABLE test.none.t (id INT)")
    with pytest.raises(AnalysisException, match="test does not support views"):
        spark.sql("CREATE VIEW test.bikes.v AS SELECT 1")
    spark.sql("CREATE TABLE test.bikes.t (id INT)")
    with pytest.raises(AnalysisException, match="SCHEMA_NOT_EMPTY"):
        spark.sql("DROP SCHEMA test.bikes")
    with pytest.raises(Exception, match="Delta tables only"):
        spark.sql("CREATE TABLE test.bikes.p (id INT) USING parquet")
    with pytest.raises(Exception, match="INVALID_NAME"):
        spark.sql("CREATE TABLE test.bikes.`../t` (id INT)")


def test_volumes_and_dbfs_are_read_and_written_by_their_paths(spark: SparkSession, data: Path) -> None:
    volume = data / "volumes/test/bikes/landing/2024-10-21"
    volume.mkdir(parents=True)
    (volume / "a.csv").write_text("id,name\n1,Ölzeltgasse\n")
    found = spark.read.option("header", "true").csv("/Volumes/test/bikes/landing/*/").select("*", "_metadata.file_path")
    assert [tuple(row) for row in found.collect()] == [
        ("1", "Ölzeltgasse", "file:/Volumes/test/bikes/landing/2024-10-21/a.csv")
    ]
    spark.range(3).write.json("/Volumes/test/bikes/results/out")
    spark.range(3).write.mode("overwrite").parquet("dbfs:/out")
    assert spark.read.json("dbfs:/Volumes/test/bikes/results/out").count() == 3
    assert spark.read.parquet("/dbfs/out").count() == 3
    names = {file.name for file in (data / "volumes/test/bikes/results/out").iterdir()}
    assert {name for name in names if name.startswith(".")} == set()  # no checksums
    assert (data / "dbfs/out/_SUCCESS").is_file()
    assert not Path("/Volumes").exists()


def test_a_path_does_not_lead_out_of_the_volumes(spark: SparkSession, data: Path) -> None:
    (data / "outside.txt").write_text("no")
    with pytest.raises(Exception, match=r"PATH_NOT_FOUND|leads out"):
        spark.read.text("/Volumes/../outside.txt").collect()


def test_times_are_utc_as_on_databricks(spark: SparkSession) -> None:
    assert values(spark, "SELECT CAST(timestamp_seconds(0) AS STRING)") == [("1970-01-01 00:00:00",)]
