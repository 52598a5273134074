# Databricks notebook source
# MAGIC %md
# MAGIC # The trend over the season

# COMMAND ----------

library(SparkR)
dbutils.widgets.text("schema", "bike_sharing")
schema <- dbutils.widgets.get("schema")

# COMMAND ----------

usage <- collect(sql(paste0("SELECT day, sum(trips) AS trips FROM ", schema, ".daily_usage GROUP BY day ORDER BY day")))
usage$index <- seq_len(nrow(usage))
trend <- lm(trips ~ index, data = usage)
summary(trend)
