"""Spark as notebooks find it on Databricks: clusters, sessions, catalogs with three-level names, volumes."""
