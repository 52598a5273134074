# Databricks notebook source
# MAGIC %md
# MAGIC # Maintain
# MAGIC Puts small files of all tables together and deletes files that only old versions need. Versions within the
# MAGIC retention stay readable; less than a week is refused, because jobs that run could lose files.

# COMMAND ----------

dbutils.widgets.text("catalog", "main", "Catalog (may be empty)")
dbutils.widgets.text("schema", "bike_sharing", "Schema")
dbutils.widgets.text("retention_hours", "168", "Hours that old versions can be read")

# COMMAND ----------

import dataclasses
import json

from bike_sharing import Tables, maintain

tables = Tables(dbutils.widgets.get("catalog"), dbutils.widgets.get("schema"))
report = maintain.run(spark, tables, int(dbutils.widgets.get("retention_hours")))

# COMMAND ----------

display(
    spark.createDataFrame(
        [dataclasses.astuple(upkeep) for upkeep in report.tables], "table string, compacted int, written int"
    )
)

# COMMAND ----------

dbutils.notebook.exit(json.dumps(dataclasses.asdict(report)))
