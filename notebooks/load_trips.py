# Databricks notebook source
# MAGIC %md
# MAGIC # Load the trips
# MAGIC Reads the operator's export of a day, leaves implausible trips out and says how many, and adds the others to the
# MAGIC table of trips. Running it twice for a day gives the same table.

# COMMAND ----------

dbutils.widgets.text("schema", "bike_sharing")
dbutils.widgets.text("day", "2024-05-01")
dbutils.widgets.text("exports", "/Volumes/main/bike_sharing/exports")
schema, day, exports = (dbutils.widgets.get(name) for name in ("schema", "day", "exports"))

# COMMAND ----------

from bike_sharing.trips import implausible, parse_trip

rows = [row.asDict() for row in spark.read.option("header", True).csv(f"{exports}/{day}.csv").collect()]
trips = [parse_trip(row) for row in rows]
kept = [trip for trip in trips if implausible(trip) is None]

# COMMAND ----------

spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
table = [
    (day, t.bike, t.start_station, t.end_station, t.started_at, t.ended_at, t.minutes)
    for t in kept
]
columns = "day string, bike string, start_station string, end_station string, started_at timestamp, ended_at timestamp, minutes double"
(
    spark.createDataFrame(table, columns)
    .write.mode("overwrite")
    .partitionBy("day")
    .option("partitionOverwriteMode", "dynamic")
    .saveAsTable(f"{schema}.trips")
)
dbutils.notebook.exit(f"{len(kept)} of {len(trips)}")
