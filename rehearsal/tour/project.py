"""The project that the tour works on: the checkout's last commit, with a few of its unit tests.

What makes the product is all there, the pipelines as they stand. The tests of stand-ins and engine are for who changes
those; and of the unit tests and of the suites some are enough to see that a build and a release run them and fail with
them. The unit tests that stay need no Spark, whose start would take most of each build's time: the suites have one.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from rehearsal.home import CHECKOUT

_LEFT_OUT = (
    "benchmarks",
    "tests/benchmarks",
    "tests/engine",
    "tests/rehearsal",
    "tests/delivery",
    "tests/pages",
    "tests/tour",
)
_KEPT = {
    "tests/components": {"test_naming.py"},
    "tests/notebooks": {"test_sources.py"},
    "tests": {"test_release_files.py"},
    "tests/release/suite_functional": {"test_1_ingest.py"},
}
"""Folder -> the modules of tests that stay."""


def make(folder: Path) -> None:
    """Puts the project into an empty folder, as a git repository with one commit on `main`.

    Raises:
        subprocess.CalledProcessError: the checkout has no commit.
    """
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    for name in _LEFT_OUT:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name, kept in _KEPT.items():
        for file in (folder / name).glob("test_*.py"):
            if file.name not in kept:
                file.unlink()
    _replace(folder / "Makefile", "COVERAGE ?= 95", "COVERAGE ?= 0")
    # So few tests are through before further processes have started.
    _replace(folder / "Makefile", "-n 2 --dist loadfile $(UNIT)", "$(UNIT)")
    _replace(folder / "pyproject.toml", 'files = ["__main__.py", "benchmarks", ', 'files = ["__main__.py", ')
    _replace(
        folder / "Pulumi.test.yaml",
        "      notebook: tests/performance\n      parameters:\n",
        # What else the machine does while the tour goes on says nothing about the release's speed.
        '      notebook: tests/performance\n      parameters:\n        repeats: "1"\n        tolerance: "9"\n',
    )
    suites = folder / "tests" / "release"
    for name in ("test_a_second_run_changes_nothing", "test_the_week_in_pieces_out_of_order_gives_the_same"):
        skipped = '@pytest.mark.skip(reason="the tour is short")\n'
        _replace(suites / "suite_integration" / "test_week.py", f"def {name}(", f"{skipped}def {name}(")
    speed = suites / "suite_performance" / "test_speed.py"
    _replace(speed, "    measured(chain)\n    rounds = [", "    rounds = [")  # without the round that warms up
    _replace(speed, "NAMES = [*STAGES", 'STAGES = {"ingest": STAGES["ingest"]}\nNAMES = [*STAGES')
    _with_fewer_rows(suites / "accepted.json")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "Begin with the product as it is", "Ada Admin", "admin@rehearsal.example")


def commit(folder: Path, message: str, name: str, mail: str) -> None:
    """Commits everything that has changed."""
    git(folder, "add", "--all")
    git(folder, "-c", f"user.name={name}", "-c", f"user.email={mail}", "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Runs git; gives what it printed.

    Raises:
        subprocess.CalledProcessError: it failed; `stderr` says why.
    """
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=dict(os.environ) | settings | (environment or {}),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise LookupError(f"{file.name} has no {old!r} any more")
    file.write_text(text.replace(old, new), encoding="utf-8")


def _with_fewer_rows(file: Path) -> None:
    """The performance suite on few rows, where nearly all time goes into what doesn't depend on their number."""
    accepted = json.loads(file.read_text(encoding="utf-8"))
    accepted["rows"] = 2000
    for figures in accepted["stages"].values():
        figures["least_rows_per_second"] = 1
    file.write_text(json.dumps(accepted, indent=2) + "\n", encoding="utf-8")
