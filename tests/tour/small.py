"""A small project on a rehearsal of its own: what makes the product is all there, what it delivers takes seconds.

`pipelines/`, `components/`, `delivery/` and the program are those of the last commit. Notebooks, unit tests and the
suites of a release are a few lines each, and need no Spark.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rehearsal import processes, service
from rehearsal.home import CHECKOUT, HOME_VARIABLE, Home
from rehearsal.tour import project
from rehearsal.tour.steps import Tour

TEST, PRODUCTION = "/bike-sharing-test", "/bike-sharing-production"
NOTEBOOK, PACKAGE = "notebooks/fares.py", "notebooks/bike_sharing/fares.py"
_JOBS = """\
  databricks-cicd:jobs:
    fares:
      notebook: fares
"""
_SUITE = """\
    {0}:
      notebook: tests/{0}
      parameters:
        run_id: "{{{{job.run_id}}}}"
"""
_SUITE_NOTEBOOK = """\
# Databricks notebook source
import running

told = running.parameters(dbutils)
dbutils.notebook.exit(running.run("{0}", told, spark=None, dbutils=dbutils))
"""
SUITES = ("functional", "integration", "performance")
PRICE_LISTS = {name: f"/Volumes/test/bike_sharing/landing/half-an-hour-{name}.txt" for name in SUITES}
"""What each suite compares a fare with; where there is no such file, it knows the price by itself."""

_KEPT = ("tests/branch_coverage.py", "tests/conftest.py", "tests/release/running.py")
"""The product's own: what runs a suite, and what keeps the developer's environment from the tests."""

_FILES = {
    NOTEBOOK: """\
# Databricks notebook source
# MAGIC %md
# MAGIC # Fares

# COMMAND ----------

from bike_sharing.fares import fare

# COMMAND ----------

dbutils.notebook.exit(str(fare(30)))
""",
    "notebooks/totals.sql": "-- Databricks notebook source\nSELECT 1 AS rides\n",
    "notebooks/demand.ipynb": """\
{
 "cells": [
  {
   "cell_type": "code",
   "execution_count": null,
   "metadata": {},
   "outputs": [],
   "source": [
    "1 + 1"
   ]
  }
 ],
 "metadata": {
  "language_info": {
   "name": "python"
  }
 },
 "nbformat": 4,
 "nbformat_minor": 5
}
""",
    "notebooks/stations.csv": "id,name\n1,Praterstern\n",
    "notebooks/bike_sharing/__init__.py": '"""What the notebooks share."""\n',
    PACKAGE: '''\
"""What a ride costs."""


def fare(minutes: int) -> float:
    """The price of a ride in euros."""
    return 1.0 + minutes / 60
''',
    "tests/test_stacks.py": '''\
"""The settings of both stacks."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("stack", ["test", "prod"])
def test_a_stack_has_a_folder(stack: str) -> None:
    assert "folder: /bike-sharing-" in Path(f"Pulumi.{stack}.yaml").read_text()
''',
    "tests/notebooks/test_fares.py": '''\
"""What a ride costs."""

from bike_sharing.fares import fare


def test_half_an_hour_costs_one_and_a_half() -> None:
    assert fare(30) == 1.5
''',
    "tests/release/arrivals.py": "# Databricks notebook source\n1 + 1\n",
    **{
        f"tests/release/suite_{name}/test_{name}.py": f'''\
"""Fares against the price list that has arrived."""

from typing import Any

from bike_sharing.fares import fare


def test_half_an_hour_costs_what_the_list_says_{name}(dbutils: Any) -> None:
    try:
        price = float(dbutils.fs.head("{prices}"))
    except FileNotFoundError:
        price = 1.5
    assert fare(30) == price
'''
        for name, prices in PRICE_LISTS.items()
    },
}


def make(folder: Path) -> None:
    """Puts the project into a folder that isn't there yet, as a git repository with one commit on `main`."""
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    files = {name: (folder / name).read_text(encoding="utf-8") for name in _KEPT}
    for name in ("notebooks", "tests", "rehearsal", "benchmarks", "docs"):
        shutil.rmtree(folder / name)
    suites = {f"tests/release/{name}.py": _SUITE_NOTEBOOK.format(name) for name in SUITES}
    for name, content in {**files, **_FILES, **suites}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    jobs = _JOBS + "".join(_SUITE.format(name) for name in SUITES)
    edit(folder / "Pulumi.test.yaml", r"  databricks-cicd:jobOverrides:\n(.|\n)*", jobs)
    edit(folder / "Pulumi.prod.yaml", r"\Z", _JOBS)
    edit(folder / "Makefile", r"COVERAGE \?= .*", "COVERAGE ?= 0")
    # So few tests are through before further processes have started.
    edit(folder / "Makefile", r"-n 2 --dist loadfile \$\(UNIT\)", "tests/test_stacks.py")
    edit(folder / "pyproject.toml", r"(?m)^files = \[.*", 'files = ["notebooks/bike_sharing", "tests"]')
    project.git(folder, "init", "--quiet", "--initial-branch", "main")
    project.commit(folder, "Begin with a small project", "Ada Admin", "admin@rehearsal.example")


def edit(file: Path, old: str, new: str) -> None:
    """Replaces the one place that a pattern finds."""
    text, number = re.subn(old, new.replace("\\", r"\\"), file.read_text(encoding="utf-8"))
    assert number == 1, f"{file.name}: {old!r} is there {number} times"
    file.write_text(text, encoding="utf-8")


def bring_up(folder: Path, *options: str) -> Tour:
    """The project on stand-ins of its own, with all that `make rehearsal` makes; nothing is built yet.

    Args:
        folder: for the project and the rehearsal.
        options: of `python -m rehearsal up`.
    """
    tour = Tour(folder, print)
    make(tour.project)
    (tour.project / ".venv").symlink_to(sys.prefix)
    try:
        _start_workspace(tour.home)
        processes.start(tour.home)
        tour.python("-m", "rehearsal", "up", "--project", str(tour.project), *options)
    except BaseException:
        processes.stop(tour.home)
        raise
    return tour


def _start_workspace(home: Home) -> None:
    home.credentials  # noqa: B018 - makes them before the process could
    with service.listen(0) as listener, home.log("databricks").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.tour.workspace_without_spark", str(listener.fileno())],
            cwd=CHECKOUT,
            env={**os.environ, HOME_VARIABLE: str(home.path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # as `processes` does
        )
        home.set_port("databricks", listener.getsockname()[1])
    processes.note(home, "databricks", process)
