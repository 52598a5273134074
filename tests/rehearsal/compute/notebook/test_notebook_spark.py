"""Notebooks on Spark: one cluster for all of them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal.compute.notebook.tasks import CHECKOUT, Runs, source


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Folders of a running cluster and of its data."""
    folder = tmp_path_factory.mktemp("cluster")
    data = folder / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "rehearsal.compute.spark.cluster", str(folder), "--data", str(data), "--idle", "120"],
        cwd=CHECKOUT,
    )
    deadline = time.monotonic() + 120
    while not (folder / "cluster.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield folder, data
    process.terminate()
    process.wait(60)


def test_sql_and_python_cells_share_a_session_on_classic_compute(run: Runs, cluster: tuple[Path, Path]) -> None:
    ran = run(
        "dbutils.widgets.text('n', '2')\nspark.range(3).createOrReplaceTempView('numbers')",
        "%sql\nSELECT 1;\nSELECT id, CAST(NULL AS STRING) AS nothing FROM numbers WHERE id >= :n -- the last ; one",
        "display(_sqldf)\nprint(_sqldf.count(), sc.version == spark.version)",
        "from databricks.sdk.runtime import spark as offered\nprint(offered is spark)",
        "dbutils.fs.put('/Volumes/main/raw/landing/x.csv', 'a,b\\n1,ü\\n')\n"
        "print(spark.read.csv('/Volumes/main/raw/landing/x.csv', header=True).collect())",
        "%sql SELECT * FROM not_there",
        cluster=cluster[0],
        data=cluster[1],
        kind="classic",
    )

    table = {
        "type": "table",
        "columns": [{"name": "id", "type": "bigint"}, {"name": "nothing", "type": "string"}],
        "rows": [["2", None]],
        "note": None,
    }
    assert ran.outputs(2) == [table]
    assert ran.outputs(3)[0] == table
    assert ran.text(3) == "1 True\n"
    assert ran.text(4) == "True\n"
    assert "Row(a='1', b='ü')" in ran.text(5)
    assert ran.error.startswith("AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `not_there`")
    assert "In /work/main, cell 6 (%sql)" in (ran.result.error_trace or "")


def test_a_sql_notebook_runs_on_serverless_which_has_no_sc(run: Runs, cluster: tuple[Path, Path]) -> None:
    notebook = source(
        'CREATE WIDGET TEXT schema DEFAULT "nobody";\nCREATE WIDGET DROPDOWN n DEFAULT "1" CHOICES SELECT 1',
        "CREATE SCHEMA IF NOT EXISTS IDENTIFIER('main.' || :schema);\n"
        "SELECT :schema AS s, '${n}' AS n, ';' AS semicolon",
        "%python\nprint(json := _sqldf.collect()[0].asDict())",
        "%md _text_",
        "%python\nsc.version",
        comment="--",
    )
    ran = run(
        files={"work/main.sql": notebook},
        cluster=cluster[0],
        data=cluster[1],
        parameters={"schema": "sql_notebook"},
    )

    assert ran.outputs(2)[0]["rows"] == [["sql_notebook", "1", ";"]]
    assert ran.text(3) == "{'s': 'sql_notebook', 'n': '1', 'semicolon': ';'}\n"
    assert ran.error == "NameError: name 'sc' is not defined"
    assert "Serverless compute has no Spark context" in (ran.result.error_trace or "")


def test_a_notebook_that_does_not_name_spark_does_not_attach(run: Runs, tmp_path: Path) -> None:
    ran = run("import sys\nprint('pyspark' in sys.modules)", cluster=tmp_path / "nothing there")

    assert ran.stdout == "False\n"
    assert run("spark.range(1)", cluster=tmp_path / "nothing there").error.startswith("SparkError: ")
    assert json.loads((ran.directory / "result.json").read_text())["state"] == "SUCCESS"
