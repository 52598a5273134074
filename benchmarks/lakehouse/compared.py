"""Whether the plain script and the product's chain wrote the same answers, before their times are compared.

`python -m benchmarks.lakehouse.compared CLUSTER SCHEMA PLAIN_SCHEMA`; exit code 1 and the tables' names where not.
"""

import sys
from pathlib import Path

from benchmarks.lakehouse.chain import CATALOG
from rehearsal.compute.spark import session

TABLES = ("silver_trips", "gold_demand_hourly", "gold_availability_hourly")


def differences(cluster: Path, schema: str, plain_schema: str) -> list[str]:
    """The tables that differ in the columns of the plain script's."""
    spark = session.attach(cluster, kind="classic")
    found = []
    for table in TABLES:
        theirs = spark.table(f"{CATALOG}.{plain_schema}.{table}")
        ours = spark.table(f"{CATALOG}.{schema}.{table}").select(*theirs.columns)
        if not (ours.exceptAll(theirs).isEmpty() and theirs.exceptAll(ours).isEmpty()):
            found.append(table)
    return found


if __name__ == "__main__":
    different = differences(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    sys.exit(f"not the same answers: {', '.join(different)}" if different else 0)
