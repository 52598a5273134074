# Databricks notebook source
# MAGIC %md
# MAGIC # Ingest
# MAGIC Reads the files that arrived in the landing folder since the last run into the bronze tables, as they came: every
# MAGIC column as text, with the file, its day and the time of reading. Running it again changes nothing.
# MAGIC
# MAGIC Files arrive as `<landing>/<trips|stations|weather>/<file day>/<name>`. A file that was changed after it had been
# MAGIC read is named below and not read again: what it should have said must arrive under a new name.

# COMMAND ----------

dbutils.widgets.text("catalog", "main", "Catalog (may be empty)")
dbutils.widgets.text("schema", "bike_sharing", "Schema")
dbutils.widgets.text("landing", "/Volumes/main/bike_sharing/landing", "Folder that files arrive in")

# COMMAND ----------

import dataclasses
import json

from bike_sharing import Tables, ingest

tables = Tables(dbutils.widgets.get("catalog"), dbutils.widgets.get("schema"))
report = ingest.run(spark, tables, dbutils.widgets.get("landing"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The newest files

# COMMAND ----------

display(spark.table(tables.name("ingested_files")).orderBy("batch", "file", ascending=[False, True]).limit(20))

# COMMAND ----------

dbutils.notebook.exit(json.dumps(dataclasses.asdict(report), default=str))
