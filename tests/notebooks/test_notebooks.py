"""The notebooks from top to bottom, as jobs run them: on serverless compute, so by Spark Connect, and on a cluster."""

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bike_sharing import Tables, ingest, transform
from bike_sharing_data import LocalFiles, expected, write
from comparing import differences
from pyspark.sql import SparkSession

from tests.notebooks.small_files import DAY, STATION, TRIP, put, trips

ROOT = Path(__file__).resolve().parents[2]
ROWS = 300
SUFFIXES = {".py": "PYTHON", ".sql": "SQL", ".ipynb": "PYTHON"}


class Runner:
    """Runs notebooks on a cluster of their own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder, self.data, self._count = folder, data, 0
        tree = folder / "tree" / "bikes"
        shutil.copytree(ROOT / "notebooks", tree, ignore=shutil.ignore_patterns("__pycache__"))
        objects = []
        for path in sorted(tree.rglob("*")):
            relative = path.relative_to(tree.parent)
            is_notebook = path.suffix in SUFFIXES and "bike_sharing" not in path.parts
            kind = "DIRECTORY" if path.is_dir() else "NOTEBOOK" if is_notebook else "FILE"
            entry = {"path": f"/{relative.with_suffix('') if is_notebook else relative}", "object_type": kind}
            if is_notebook:
                entry |= {
                    "language": SUFFIXES[path.suffix],
                    "format": "JUPYTER" if path.suffix == ".ipynb" else "SOURCE",
                }
            objects.append(entry | {"file": str(relative)})
        (tree.parent / ".workspace.json").write_text(json.dumps(objects))

    def __call__(self, notebook: str, *, kind: str = "serverless", **parameters: str) -> dict[str, Any]:
        self._count += 1
        directory = self._folder / str(self._count)
        directory.mkdir()
        task = {
            "notebook": f"/bikes/{notebook}", "workspace": str(self._folder / "tree"), "parameters": parameters,
            "data": str(self.data), "cluster": str(self._folder / "cluster"), "kind": kind, "shell": False,
            "user": "someone@example.com", "host": "http://127.0.0.1:1",
            "context": {"jobId": "1", "runId": "2", "taskKey": "one"},
        }  # fmt: skip
        (directory / "task.json").write_text(json.dumps(task))
        subprocess.run(
            [sys.executable, "-m", "rehearsal.compute.notebook", str(directory)], cwd=ROOT, check=False, timeout=300
        )
        result: dict[str, Any] = json.loads((directory / "result.json").read_text())
        cells = json.loads((directory / "cells.json").read_text())["cells"]
        result["images"] = [output["png"] for cell in cells for output in cell["outputs"] if output["type"] == "image"]
        result["page"] = (directory / "page.html").read_text()
        return result


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, spark_data: Path) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("notebooks")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "rehearsal.compute.spark.cluster",
            str(folder / "cluster"),
            "--data",
            str(spark_data),
            "--small-data",
        ],
        cwd=ROOT,
    )
    deadline = time.monotonic() + 120
    while not (folder / "cluster" / "cluster.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield Runner(folder, spark_data)
    process.terminate()
    process.wait(60)


# A name that SQL takes in quotes alone.
NAMES = {"catalog": "test", "schema": "my-bikes"}
TABLES = Tables(**NAMES)
STEPS: dict[str, dict[str, str]] = {
    "ingest": {"landing": "/Volumes/main/notebooks/landing"},
    "transform": {},
    "publish": {},
    "reports/weekly_report": {},
    "reports/demand_plots": {},
    "maintain": {},
    "watch": {"as_of": "2024-10-28T06:00:00Z", "max_quarantine_share": "0.9"},
}


@pytest.fixture(scope="module")
def results(spark: SparkSession, runner: Runner) -> dict[str, dict[str, Any]]:
    """What came of each notebook, run in turn over the sample week; the report finds an old row and a gone one."""
    landing = runner.data / "volumes" / "main" / "notebooks" / "landing"
    write(None, str(landing), rows=ROWS, files=LocalFiles())  # type: ignore[arg-type] # few rows are written without Spark
    TABLES.create(spark)
    old = "(DATE'2024-10-21', 'S001', 5), (DATE'2020-01-06', 'S404', 5)"
    spark.sql(f"INSERT INTO {TABLES.name('gold_weekly_report')} (week_start, station_id, departures) VALUES {old}")  # noqa: S608 # names of the test's own
    return {notebook: runner(notebook, **NAMES, **more) for notebook, more in STEPS.items()}


def test_the_notebooks_do_their_work_from_top_to_bottom(
    spark: SparkSession, results: dict[str, dict[str, Any]]
) -> None:
    assert {name: result["error_trace"] for name, result in results.items() if result["state"] != "SUCCESS"} == {}
    assert differences(spark, TABLES.prefix, expected(rows=ROWS)) == []
    returned = {name: json.loads(results[name]["result"]) for name in ("ingest", "transform", "watch")}
    assert returned["ingest"]["rows"] == expected(rows=ROWS).bronze
    assert len(returned["transform"]["sources"]) == len(returned["watch"]) == 3


def test_the_plots_are_pictures_on_the_page(results: dict[str, dict[str, Any]]) -> None:
    plots = results["reports/demand_plots"]
    pictures = [base64.b64decode(image) for image in plots["images"]]
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"] * 3
    assert len(set(pictures)) == 3
    assert all(image in plots["page"] for image in plots["images"])


def test_the_report_run_again_on_a_cluster_changes_nothing(
    spark: SparkSession, runner: Runner, results: dict[str, dict[str, Any]]
) -> None:
    history = f"DESCRIBE HISTORY {TABLES.name('gold_weekly_report')}"
    before = spark.sql(history).count()
    again = runner("reports/weekly_report", kind="classic", **NAMES)
    assert (again["state"], again["error_trace"]) == ("SUCCESS", results["reports/weekly_report"]["error_trace"])
    assert spark.sql(history).count() == before


def test_the_watch_fails_with_every_limit_that_the_data_breaks(
    spark: SparkSession, runner: Runner, tables: Tables, tmp_path: Path
) -> None:
    good, broken = TRIP.format("t1", "S1", "S1", 600, 2), [TRIP.format(f"b{n}", "S1", "S1", 0, 2) for n in range(3)]
    put(tmp_path, f"stations/{DAY}/s.json", STATION.format("S1"))
    put(tmp_path, f"trips/{DAY}/t.csv", trips(good, *broken))
    ingest.run(spark, tables, str(tmp_path))
    transform.run(spark, tables)
    names = {"catalog": tables.catalog, "schema": tables.schema}
    failed = runner("watch", kind="classic", **names, as_of="2024-10-24T06:00:00Z", min_rows="2")
    assert failed["state"] == "FAILED"
    trace = failed["error_trace"]
    assert "freshness of stations, freshness of weather, freshness of trips, volume of trips, quality of trips" in trace
    assert "1 of 4 rows of 2024-10-21 were accepted; at least 2 are expected" in trace
    assert "75.0% of the rows of 2024-10-21 are in the quarantine; at most 20.0% are allowed" in trace
