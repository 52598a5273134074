# Databricks notebook source
# MAGIC %md
# MAGIC # Watch
# MAGIC Fails when the data is stale, too little, or too much of it was rejected, so that the job's alert fires. The message
# MAGIC lists everything that was found.

# COMMAND ----------

dbutils.widgets.text("catalog", "main", "Catalog (may be empty)")
dbutils.widgets.text("schema", "bike_sharing", "Schema")
dbutils.widgets.text("as_of", "", "UTC instant to judge for (empty: now)")
dbutils.widgets.text("max_age_hours", "48", "Greatest age of the newest day, in hours")
dbutils.widgets.text("min_rows", "1", "Fewest accepted trips of the newest day")
dbutils.widgets.text("max_quarantine_share", "0.2", "Greatest share of rejected rows, 0 to 1")

# COMMAND ----------

import dataclasses
import json

from bike_sharing import Tables, watch

tables = Tables(dbutils.widgets.get("catalog"), dbutils.widgets.get("schema"))
limits = watch.Limits.of_texts(
    {name: dbutils.widgets.get(name) for name in ("as_of", "max_age_hours", "min_rows", "max_quarantine_share")}
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What was measured

# COMMAND ----------

measured = watch.figures(spark, tables, limits.as_of)
columns = "source string, newest_day date, age_hours double, arrived long, accepted long, quarantined long, ahead date"
display(spark.createDataFrame([dataclasses.astuple(figures) for figures in measured], columns))

# COMMAND ----------

watch.demand_good(measured, limits)
dbutils.notebook.exit(json.dumps([dataclasses.asdict(figures) for figures in measured], default=str))
