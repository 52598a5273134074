"""A stand-in of one Databricks workspace: workspace objects, permissions, SCIM, jobs as definitions, secrets."""

from rehearsal.databricks.app import create_app

__all__ = ["create_app"]
