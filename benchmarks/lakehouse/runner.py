"""What it costs to run a notebook through the runner instead of the same code as a plain Python program."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lakehouse.world import VOLUME, World
from benchmarks.measure import CommandError

RUNS = 5
CODE = """
from bike_sharing import Tables, ingest, transform, publish
tables = Tables("main", SCHEMA)
ingest.run(spark, tables, "{landing}")
transform.run(spark, tables)
publish.run(spark, tables)
print(spark.table(tables.name("silver_trips")).count())
"""
PLAIN = """
import sys
from pathlib import Path
from rehearsal.compute.spark import session
spark = session.attach(Path(sys.argv[1]), kind="serverless")
SCHEMA = sys.argv[2]
"""
NOTEBOOK = """# Databricks notebook source
SCHEMA = dbutils.widgets.get("schema")

# COMMAND ----------
"""


def measure(world: World) -> Iterator[tuple[str, float, float, str]]:
    """Measures in pairs and yields the target. The work is the product's chain over the sample week."""
    code = CODE.format(landing=VOLUME)
    tree = world.path / "tree"
    tree.mkdir()
    (tree / "chain.py").write_text(NOTEBOOK + code)
    (tree / ".workspace.json").write_text(
        json.dumps(
            [
                {
                    "path": "/chain",
                    "object_type": "NOTEBOOK",
                    "language": "PYTHON",
                    "format": "SOURCE",
                    "file": "chain.py",
                }
            ]
        )
    )
    pairs = []
    with world.cluster("runner") as (cluster, _):
        for number in range(RUNS + 1):
            by_runner = _by_runner(world, tree, cluster, number)
            started = time.monotonic()
            world.python("-c", PLAIN + code, str(cluster), f"by_python_{number}")
            pairs.append((by_runner, time.monotonic() - started))
            print(
                f"    by the runner {pairs[-1][0]:.1f} s, by Python {pairs[-1][1]:.1f} s", file=sys.stderr, flush=True
            )
    del pairs[0]  # to warm up
    by_runner, by_python = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    print(f"\nThe chain over {world.rows:,} trips as a notebook through the runner, and as a plain program")
    print(f"  {by_runner:.1f} s, {by_python:.1f} s")
    yield "notebook through the runner, of plain Python", statistics.median(a / b for a, b in pairs), 1.1, ""


def _by_runner(world: World, tree: Path, cluster: Path, number: int) -> float:
    folder = world.path / "tasks" / str(number)
    folder.mkdir(parents=True)
    task = {
        "notebook": "/chain",
        "workspace": str(tree),
        "data": str(world.data),
        "cluster": str(cluster),
        "parameters": {"schema": f"by_runner_{number}"},
    }
    (folder / "task.json").write_text(json.dumps(task))
    command = [sys.executable, "-m", "rehearsal.compute.notebook", str(folder)]
    started = time.monotonic()
    done = subprocess.run(command, env=world.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"the notebook failed\n{done.stdout}{done.stderr}")
    return time.monotonic() - started
