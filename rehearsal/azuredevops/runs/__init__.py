"""Runs of pipelines."""

from rehearsal.azuredevops.runs import rest  # noqa: F401 - publishes its locations
