# Databricks notebook source
# MAGIC %md
# MAGIC # Integration tests
# MAGIC The whole chain over the sample week with all its mistakes: at once, again, and in pieces out of order. The
# MAGIC tables must hold the right answers, which are known without the data.
# MAGIC
# MAGIC A failing test fails this notebook, with its name in the error. Results: `junit.xml` and `summary.json` in
# MAGIC `<volume>/integration/<run_id>/`.

# COMMAND ----------

# MAGIC %pip install pytest

# COMMAND ----------

import running

# The days of the week as they arrive in pieces: not in order, with corrections before what they correct. Day by day is
# 1 2 3 4 5 6 7. From 200 trips on a week has every mistake.
told = running.parameters(dbutils, rows="400", seed="1", pieces="147 2356")
summary = running.run("integration", told, spark=spark, dbutils=dbutils)

# COMMAND ----------

dbutils.notebook.exit(summary)
