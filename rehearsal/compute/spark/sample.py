"""Some work of every kind: `python -m rehearsal.compute.spark.sample NAMES` writes which classes Spark loads for it."""

import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from rehearsal.compute.spark import session

_WORK = (
    "USE test.default",
    """CREATE TABLE readings (id STRING NOT NULL, at TIMESTAMP, day DATE, degrees DOUBLE, raw MAP<STRING, STRING>)
        USING delta PARTITIONED BY (day) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')""",
    """INSERT INTO readings
        SELECT id, to_timestamp(at), to_date(at), CAST(degrees AS DOUBLE), map('row', degrees)
          FROM (SELECT _c0 AS id, _c1 AS at, _c2 AS degrees, row_number() OVER (PARTITION BY _c0 ORDER BY _c1 DESC) AS n
                  FROM lines) WHERE n = 1""",
    """MERGE INTO readings AS t
        USING (SELECT r.id, r.day, max(l.value.degrees) AS degrees
                 FROM readings AS r JOIN documents AS l ON r.id = l.value.id GROUP BY ALL) AS s
        ON t.id = s.id AND t.day = s.day
        WHEN MATCHED AND s.degrees > 5 THEN UPDATE SET degrees = s.degrees
        WHEN NOT MATCHED THEN INSERT (id, day, degrees) VALUES (s.id, s.day, s.degrees)
        WHEN NOT MATCHED BY SOURCE THEN DELETE""",
    "UPDATE readings SET degrees = round(degrees, 1) WHERE id = 'a'",
    "DELETE FROM readings WHERE degrees > 30 OR id LIKE 'x%'",
    "OPTIMIZE readings",
    "VACUUM readings",
    "DESCRIBE HISTORY readings",
    "DESCRIBE EXTENDED readings",
    "SELECT * FROM readings VERSION AS OF 1 UNION ALL SELECT * FROM readings ORDER BY at LIMIT 5",
    """SELECT day, hour(at), count_if(degrees > 1), avg(degrees), collect_set(id), lag(max(day)) OVER (ORDER BY day)
          FROM readings LEFT ANTI JOIN documents ON id = value.name
         GROUP BY ALL HAVING count(DISTINCT id) > 0""",
    "DROP TABLE readings",
)


def main(names: str) -> None:
    """Works, with a Spark of its own.

    Args:
        names: the file to write.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work(session.local(Path(folder), options=[f"-XX:DumpLoadedClassList={names}"]), Path(folder))


def work(spark: SparkSession, folder: Path) -> None:
    """Reads files, and makes, changes and queries a Delta table of them."""
    (folder / "lines.csv").write_text(
        "a,2024-10-27T01:30:00Z,7\na,2024-10-27T02:30:00Z,8.5\nb,2024-10-28T02:30:00Z,9\n"
    )
    (folder / "documents.json").write_text('{"id": "a", "degrees": 9.5}\n{"id": "c", "name": "d"}\n')
    spark.read.csv(str(folder / "lines.csv")).createOrReplaceTempView("lines")
    documents = spark.read.text(str(folder / "documents.json"), wholetext=False)
    documents.selectExpr(
        "from_json(value, 'id STRING, name STRING, degrees DOUBLE') AS value", "_metadata.file_path"
    ).createOrReplaceTempView("documents")
    for statement in _WORK:
        spark.sql(statement).collect()


if __name__ == "__main__":
    main(sys.argv[1])
