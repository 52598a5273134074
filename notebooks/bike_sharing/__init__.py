"""What the notebooks compute, apart from Spark and from Databricks: plain functions that run anywhere."""
