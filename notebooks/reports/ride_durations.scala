// Databricks notebook source
// MAGIC %md
// MAGIC # How long people ride

// COMMAND ----------

dbutils.widgets.text("schema", "bike_sharing")
val schema = dbutils.widgets.get("schema")

// COMMAND ----------

import org.apache.spark.sql.functions._

val durations = spark.table(s"$schema.trips")
  .groupBy(col("start_station"))
  .agg(count("*").as("trips"), expr("percentile_approx(minutes, array(0.5, 0.9))").as("median_and_p90"))
  .orderBy(desc("trips"))

display(durations)
