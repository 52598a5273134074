# Databricks notebook source
# MAGIC %md
# MAGIC # Performance tests
# MAGIC Is the chain quick enough? Each stage against a budget, and against the last accepted figures in
# MAGIC `accepted.json`.
# MAGIC
# MAGIC A failing test fails this notebook, with its name in the error. Results: `junit.xml` and `summary.json` in
# MAGIC `<volume>/performance/<run_id>/`.

# COMMAND ----------

# MAGIC %pip install pytest

# COMMAND ----------

import running

told = running.parameters(dbutils, repeats="3", tolerance="0.8")
summary = running.run("performance", told, spark=spark, dbutils=dbutils)

# COMMAND ----------

dbutils.notebook.exit(summary)
