# Databricks notebook source
# MAGIC %md
# MAGIC # Publish
# MAGIC Brings the gold tables up to silver: departures and arrivals by station and hour, and bikes and free docks at the
# MAGIC end of each hour. Only the days that something changed on are computed again.

# COMMAND ----------

dbutils.widgets.text("catalog", "main", "Catalog (may be empty)")
dbutils.widgets.text("schema", "bike_sharing", "Schema")

# COMMAND ----------

import dataclasses
import json

from bike_sharing import Tables, publish

tables = Tables(dbutils.widgets.get("catalog"), dbutils.widgets.get("schema"))
report = publish.run(spark, tables)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The busiest hours

# COMMAND ----------

display(spark.table(tables.name("gold_demand_hourly")).orderBy("departures", ascending=False).limit(20))

# COMMAND ----------

dbutils.notebook.exit(json.dumps(dataclasses.asdict(report), default=str))
