# Databricks notebook source
# MAGIC %md
# MAGIC # Transform
# MAGIC Brings the silver tables up to what has arrived: rows are typed, judged by the rules below, and merged, so that a
# MAGIC late or corrected trip takes its place. What breaks a rule goes to the quarantine with the rule's name. Running it
# MAGIC again changes nothing, and the order in which files arrive doesn't matter.

# COMMAND ----------

dbutils.widgets.text("catalog", "main", "Catalog (may be empty)")
dbutils.widgets.text("schema", "bike_sharing", "Schema")

# COMMAND ----------

import dataclasses
import json

from bike_sharing import Tables, transform
from bike_sharing.quality import RULES

tables = Tables(dbutils.widgets.get("catalog"), dbutils.widgets.get("schema"))
report = transform.run(spark, tables)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What the quarantine holds
# MAGIC A row that breaks several rules is counted under the first.

# COMMAND ----------

rules = spark.createDataFrame(
    [(rule.source, rule.name, rule.sentence) for rule in RULES], "source string, rule string, meaning string"
)
quarantine = spark.table(tables.name("quarantine"))
display(
    rules.join(quarantine.groupBy("source", "rule").count(), ["source", "rule"], "left")
    .na.fill(0)
    .orderBy("source", "rule")
)

# COMMAND ----------

dbutils.notebook.exit(json.dumps(dataclasses.asdict(report), default=str))
