"""The Databricks stand-in as a process whose runs get no Spark: a notebook that needs none has run in a second."""

import functools
import sys

from rehearsal import processes
from rehearsal.databricks import compute
from rehearsal.home import Home

if __name__ == "__main__":
    vars(compute)["Compute"] = functools.partial(compute.Compute, cluster=())
    processes.serve_one(Home(), "databricks", int(sys.argv[1]))
