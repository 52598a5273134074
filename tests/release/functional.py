# Databricks notebook source
# MAGIC %md
# MAGIC # Functional tests
# MAGIC Does each notebook do what it promises? Runs them one after the other on two known days and looks at the tables.
# MAGIC
# MAGIC A failing test fails this notebook, with its name in the error. Results: `junit.xml` and `summary.json` in
# MAGIC `<volume>/functional/<run_id>/`.

# COMMAND ----------

# MAGIC %pip install pytest

# COMMAND ----------

import running

told = running.parameters(dbutils)
summary = running.run("functional", told, spark=spark, dbutils=dbutils)

# COMMAND ----------

dbutils.notebook.exit(summary)
