"""A small release of every language and kind of file, for tests that shouldn't depend on the notebooks as committed."""

import json
from pathlib import Path

JUPYTER = {
    "cells": [{"cell_type": "code", "metadata": {}, "source": ["1 + 1"], "outputs": [], "execution_count": None}],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
FILES = {
    "sample/load_trips.py": "# Databricks notebook source\nprint('trips')\n",
    "sample/plan_vans.py": "# Databricks notebook source\nprint('vans')\n",
    "sample/reports/daily_usage.sql": "-- Databricks notebook source\nSELECT 1\n",
    "sample/reports/ride_durations.scala": "// Databricks notebook source\nprintln(1)\n",
    "sample/reports/season_trend.r": "# Databricks notebook source\nprint(1)\n",
    "sample/reports/demand_by_hour.ipynb": json.dumps(JUPYTER),
    "sample/lib/trips.py": "def trips(): ...\n",
    "suites/functional.py": "# Databricks notebook source\nprint('works')\n",
}


def sample_release(project: Path) -> None:
    """Writes the release into `sample` and a suite of tests into `suites`, in a copy of the project."""
    for name, content in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
