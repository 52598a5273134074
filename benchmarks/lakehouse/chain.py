"""One program's way from the landing files to the gold tables, in a session of a cluster that is there.

`python -m benchmarks.lakehouse.chain PROGRAM CLUSTER SCHEMA` prints the seconds of each stage as JSON. PROGRAM is
`product`, its chain of ingest, transform and publish, or `plain`.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bike_sharing import Tables, ingest, publish, transform

from benchmarks.lakehouse import plain
from benchmarks.lakehouse.world import VOLUME
from rehearsal.compute.spark import session

CATALOG = "main"


def stages(program: str, cluster: Path, schema: str) -> dict[str, float]:
    """Runs the program; gives the seconds of each of its stages."""
    spark = session.attach(cluster, kind="classic")
    if program == "plain":
        return {"plain": _seconds(lambda: plain.run(spark, VOLUME, f"{CATALOG}.{schema}"))}
    tables = Tables(CATALOG, schema)
    return {
        "ingest": _seconds(lambda: ingest.run(spark, tables, VOLUME)),
        "transform": _seconds(lambda: transform.run(spark, tables)),
        "publish": _seconds(lambda: publish.run(spark, tables)),
    }


def _seconds(stage: Callable[[], object]) -> float:
    started = time.monotonic()
    stage()
    return time.monotonic() - started


if __name__ == "__main__":
    print(json.dumps(stages(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
