"""Runs a suite of pytest inside a Databricks notebook, keeps its results in a volume, and fails the notebook with them.

The notebook's process runs pytest itself, so that the tests have its `spark` and `dbutils`. Workspace files can't be
written beside the tests: neither bytecode nor a cache is
(https://docs.databricks.com/en/notebooks/testing.html). pytest is all that is needed.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
FIRST_LINES = 3
"""So many lines of a failed test's message are told in the error of the job."""
_LONGEST_LINE = 300

# Before pytest is imported, and anything of the tests.
sys.dont_write_bytecode = True
# The tests' modules, and the product's package in the folder above.
sys.path[:0] = [path for path in (str(HERE), str(HERE.parent)) if path not in sys.path]

import pytest


class SuiteFailed(Exception):  # noqa: N818 - the job's error message begins with this name
    """Tests failed; the first line names them."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a suite is told by its notebook's widgets.

    Args:
        catalog: where its schema is; empty where there are no catalogs.
        schema: the product's schema. A suite works in one of its own, `<schema>_<suite>`, which it makes anew.
        volume: folder for its landing files and results; a volume on Databricks.
        run_id: names the results' folder.
        options: further widgets, such as the number of rows.
    """

    catalog: str
    schema: str
    volume: str
    run_id: str
    options: Mapping[str, str]


@dataclass
class Summary:
    """What came out of a suite."""

    suite: str
    run_id: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    results: str = ""


def parameters(dbutils: Any, **options: str) -> Parameters:
    """Make the widgets that every suite has, and those of `options` with these defaults; read them all."""
    widgets = {"catalog": "test", "schema": "bike_sharing", "volume": "", "run_id": ""} | options
    for name, default in widgets.items():
        dbutils.widgets.text(name, default)
    told = {name: str(dbutils.widgets.get(name)).strip() for name in widgets}
    return Parameters(
        catalog=told["catalog"],
        schema=told["schema"],
        volume=told["volume"] or f"/Volumes/{told['catalog']}/{told['schema']}/results",
        run_id=told["run_id"] or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        options={name: told[name] for name in options},
    )


def _given(**values: Any) -> ModuleType:
    """A plugin with a fixture for each value. pytest wants fixtures of a session to be no methods of an object."""
    plugin = ModuleType("given")
    for name, value in values.items():
        setattr(plugin, name, _fixture(name, value))
    return plugin


def _fixture(name: str, value: Any) -> Any:
    @pytest.fixture(scope="session", name=name)
    def give() -> Any:
        return value

    return give


class _Outcome:
    """Keeps what the tests report."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed(report.nodeid.rpartition("::")[2], report)
        elif report.skipped:
            self._summary.skipped += 1
        elif report.when == "call":
            self._summary.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed(report.nodeid, report)

    def _failed(self, name: str, report: pytest.TestReport | pytest.CollectReport) -> None:
        self._summary.failed += 1
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else report.longreprtext
        lines = [line[:_LONGEST_LINE] for line in message.splitlines() if line.strip()]
        self._summary.failures.append({"test": name, "message": "\n".join(lines[:FIRST_LINES])})


def run(suite: str, told: Parameters, *, spark: Any, dbutils: Any) -> str:
    """Run the tests in `suite_<suite>`; returns the summary as JSON.

    The tests have the fixtures `spark`, `dbutils`, `told`, and `figures`, a dict that is added to the summary.
    `junit.xml` and `summary.json` are put into `<volume>/<suite>/<run id>/` whether tests fail or not.
    SuiteFailed when a test failed, or when none passed: a suite that skips all its tests shows nothing.
    """
    summary = Summary(suite, told.run_id, results=f"{told.volume}/{suite}/{told.run_id}")
    # What else is installed on the machine has no part in the tests.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    given = _given(spark=spark, dbutils=dbutils, told=told, figures=summary.figures)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        code = pytest.main(
            [
                str(HERE / f"suite_{suite}"),
                f"--junitxml={junit}",
                f"--rootdir={HERE}",
                f"--config-file={os.devnull}",
                "--import-mode=importlib",
                "--capture=sys",
                "--tb=short",
                "-ra",
                f"--override-ini=junit_suite_name={suite}",
                "-pno:cacheprovider",
                # It wants files behind stdout and stderr, which a notebook doesn't have.
                "-pno:faulthandler",
            ],
            plugins=[given, _Outcome(summary)],
        )
        summary.seconds = round(time.monotonic() - begun, 1)
        text = json.dumps(asdict(summary), ensure_ascii=False)
        dbutils.fs.mkdirs(summary.results)
        if junit.exists():
            dbutils.fs.put(f"{summary.results}/junit.xml", junit.read_text(encoding="utf-8"), True)
        dbutils.fs.put(f"{summary.results}/summary.json", text, True)
    if code != pytest.ExitCode.OK or not summary.passed:
        raise SuiteFailed(_message(summary, code))
    return text


def _message(summary: Summary, code: int) -> str:
    if not summary.failures:
        counted = f"{summary.passed} tests passed, {summary.skipped} were skipped, none failed"
        return f"{summary.suite}: {counted}; pytest ended with {pytest.ExitCode(code).name}"
    names = ", ".join(failure["test"] for failure in summary.failures)
    lines = [f"{summary.suite}: {summary.failed} of {summary.passed + summary.failed} tests failed: {names}"]
    for failure in summary.failures:
        lines += ["", failure["test"], *(f"    {line}" for line in failure["message"].splitlines())]
    return "\n".join([*lines, "", f"Results: {summary.results}"])
