# Databricks notebook source
# MAGIC %md
# MAGIC # Load the stations
# MAGIC Replaces the table of stations by the list that is released together with this notebook.

# COMMAND ----------

dbutils.widgets.text("schema", "bike_sharing")
schema = dbutils.widgets.get("schema")

# COMMAND ----------

import csv
from pathlib import Path

with Path("data/stations.csv").open(newline="") as file:
    stations = [{**row, "docks": int(row["docks"])} for row in csv.DictReader(file)]

# COMMAND ----------

spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
spark.createDataFrame(stations).write.mode("overwrite").saveAsTable(f"{schema}.stations")
dbutils.notebook.exit(str(len(stations)))
