"""The notebooks from top to bottom, as jobs run them on serverless compute, so by Spark Connect."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bike_sharing_data import LocalFiles, expected, write
from comparing import differences
from pyspark.sql import SparkSession

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

    def __call__(self, notebook: str, **parameters: str) -> dict[str, Any]:
        self._count += 1
        directory = self._folder / str(self._count)
        directory.mkdir()
        task = {
            "notebook": f"/bikes/{notebook}", "workspace": str(self._folder / "tree"), "parameters": parameters,
            "data": str(self.data), "cluster": str(self._folder / "cluster"), "kind": "serverless", "shell": False,
            "user": "someone@example.com", "host": "http://127.0.0.1:1",
            "context": {"jobId": "1", "runId": "2", "taskKey": "one"}, "cell_timeout": None,
        }  # fmt: skip
        (directory / "task.json").write_text(json.dumps(task))
        subprocess.run(
            [sys.executable, "-m", "rehearsal.compute.notebook", str(directory)], cwd=ROOT, check=False, timeout=300
        )
        result: dict[str, Any] = json.loads((directory / "result.json").read_text())
        cells = json.loads((directory / "cells.json").read_text())["cells"]
        result["types"] = [output["type"] for cell in cells for output in cell["outputs"]]
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


def test_the_notebooks_do_their_work_from_top_to_bottom(spark: SparkSession, runner: Runner) -> None:
    landing = runner.data / "volumes" / "main" / "notebooks" / "landing"
    write(spark, str(landing), rows=ROWS, files=LocalFiles())
    names = {"catalog": "test", "schema": "notebooks"}
    as_of = {"as_of": "2024-10-28T06:00:00Z", "max_quarantine_share": "0.9"}
    steps: dict[str, dict[str, str]] = {
        "ingest": {"landing": "/Volumes/main/notebooks/landing"},
        "transform": {},
        "publish": {},
        "reports/weekly_report": {},
        "reports/demand_plots": {},
        "maintain": {},
        "watch": as_of,
    }
    results = {notebook: runner(notebook, **names, **more) for notebook, more in steps.items()}
    assert {
        notebook: result["error_trace"] for notebook, result in results.items() if result["state"] != "SUCCESS"
    } == {}
    assert json.loads(results["ingest"]["result"])["rows"] == expected(rows=ROWS).bronze
    assert (
        len(json.loads(results["transform"]["result"])["sources"]) == len(json.loads(results["watch"]["result"])) == 3
    )
    assert results["reports/demand_plots"]["types"].count("image") == 3
    assert differences(spark, "test.notebooks", expected(rows=ROWS)) == []

    stale = runner("watch", **names, max_age_hours="24")
    assert stale["state"] == "FAILED"
    assert "freshness of trips" in stale["error_trace"]
