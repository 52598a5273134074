# Databricks notebook source
# MAGIC %md
# MAGIC # Arrivals
# MAGIC Lets the sample week arrive in the landing folder, mistakes included: in the test environment nobody else
# MAGIC delivers files. Running it again changes nothing; `until` lets the week arrive day by day.

# COMMAND ----------

from datetime import date

from bike_sharing_data import DAYS, write

dbutils.widgets.text("landing", "/Volumes/test/bike_sharing/landing")
dbutils.widgets.text("rows", "2000")
dbutils.widgets.text("seed", "1")
dbutils.widgets.text("until", str(DAYS[-1]))
until = date.fromisoformat(dbutils.widgets.get("until"))

# COMMAND ----------

new = write(
    spark,
    dbutils.widgets.get("landing"),
    rows=int(dbutils.widgets.get("rows")),
    seed=int(dbutils.widgets.get("seed")),
    files=dbutils.fs,
    days=[day for day in DAYS if day <= until],
)

# COMMAND ----------

dbutils.notebook.exit(", ".join(map(str, new)) if new else "nothing new")
