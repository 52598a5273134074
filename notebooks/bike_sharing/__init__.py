"""A city's bike-sharing data, from the files that arrive every day to tables that people use.

The package does the work of the notebooks beside it. Each step is one call that takes a Spark session and `Tables`:

- `ingest.run`: files to bronze tables, as they came.
- `transform.run`: bronze to silver tables and the quarantine, by the rules in `quality`.
- `publish.run`: silver to gold tables.
- `maintain.run`, and `watch.figures` with `watch.demand_good`: upkeep, and whether the data can be trusted.

It uses only what Spark Connect offers, so that it runs on Databricks job clusters, on serverless compute and on a local
Spark with Delta alike (https://docs.databricks.com/en/compute/serverless/limitations.html).
"""

from bike_sharing.tables import Tables

__all__ = ["Tables"]
