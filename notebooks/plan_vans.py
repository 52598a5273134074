# Databricks notebook source
# MAGIC %md
# MAGIC # Plan the vans
# MAGIC Which stations will be too full or too empty tonight, and how many bikes to move.

# COMMAND ----------

dbutils.widgets.text("schema", "bike_sharing")
dbutils.widgets.text("day", "2024-05-01")
schema, day = dbutils.widgets.get("schema"), dbutils.widgets.get("day")

# COMMAND ----------

from bike_sharing.stations import needs_van, net_flow

docks = {row.station: row.docks for row in spark.table(f"{schema}.stations").collect()}
trips = spark.table(f"{schema}.trips").where(f"day = '{day}'").select("start_station", "end_station").collect()
bikes = {station: capacity // 2 for station, capacity in docks.items()}
moves = needs_van(docks, bikes, net_flow((trip.start_station, trip.end_station) for trip in trips))

# COMMAND ----------

display(spark.createDataFrame(sorted(moves.items()), "station string, bikes int"))
