"""What the loop costs: packaging beside git and sha256sum, and the way of a change from push to production.

The way is that of the tour (rehearsal/tour). Of each run the time is split into what its steps take by themselves, and
the rest: the service's and the agent's part.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import CommandError
from rehearsal import processes
from rehearsal.tour.project import commit, git
from rehearsal.tour.steps import Tour
from rehearsal.tour.team import TourError

FILES = 1000
BYTES = 20_000
MEGABYTE = 1_000_000
ROOT = Path(__file__).parents[1]
WORDS = ("trips", "stations", "weather", "riders", "duration", "distance", "price", "hour", "kind", "region", "quality")
_PROJECT = ("Pulumi.yaml", "Pulumi.test.yaml", "Pulumi.prod.yaml", "__main__.py", "release_files.py")


def measure(home: Path, runs: int) -> None:
    """Measures and prints.

    Args:
        home: an empty folder.
        runs: of packaging and verifying; the tour runs once.

    Raises:
        CommandError: a command failed.
    """
    _packaging(home / "packaging", runs)
    _way(home / "tour")


def _packaging(home: Path, runs: int) -> None:
    """`package` and `verify` of many files, each right after what is compared with it."""
    project = home / "project"
    _make(project)
    size = FILES * BYTES / MEGABYTE
    seconds: dict[str, list[float]] = {"package": [], "git archive": [], "verify": [], "sha256sum": []}
    artifact, plain = home / "artifact", home / "plain"
    for _ in range(runs):
        for folder in (artifact, plain):
            shutil.rmtree(folder, ignore_errors=True)
        plain.mkdir()
        delivery = [sys.executable, "-B", "-m", "delivery"]
        seconds["package"].append(_timed([*delivery, "package", "--output", str(artifact)], project))
        archive = f"git archive HEAD | tar -x -C '{plain}'"
        seconds["git archive"].append(_timed(["bash", "-c", archive], project))
        seconds["verify"].append(_timed([*delivery, "verify", "."], artifact))
        listing = "find . -type f -print0 | xargs -0 sha256sum"
        seconds["sha256sum"].append(_timed(["bash", "-c", listing], artifact))
    print(f"\nPackaging {FILES:,} notebooks, {size:.0f} MB")
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"  {name:34} {middle:8.2f} [{min(found):.2f}-{max(found):.2f}] s  {size / middle:8.1f} MB/s")
    verify = statistics.median(
        ours / theirs for ours, theirs in zip(seconds["verify"], seconds["sha256sum"], strict=True)
    )
    print(f"  verify takes {verify:.1f} times as long as sha256sum, Python's start included")


def _make(project: Path) -> None:
    project.mkdir(parents=True)
    for name in (*_PROJECT, "requirements.lock"):
        shutil.copy(ROOT / name, project / name)
    for name in ("components", "delivery", "tests/release"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "notebooks").mkdir()
    chance = random.Random(1)  # noqa: S311 - no secret, only words
    for number in range(FILES):
        text = f"# Databricks notebook source\n# {number}\n"
        while len(text) < BYTES:
            text += _line(chance)
        (project / "notebooks" / f"notebook_{number:04}.py").write_text(text)
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Everything", "Bench", "bench@example.com")


def _line(chance: random.Random) -> str:
    """A line as people write them, and hardly ever one that is there already: what repeats is scanned once."""
    table, column, other = (chance.choice(WORDS) for _ in range(3))
    number, function = chance.randrange(100_000), chance.choice(("sum", "max", "avg"))
    return f'{table}_{number} = {other}.where("{column} > {number}").groupBy("{other}").agg(F.{function}("{column}"))\n'


def _timed(command: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return seconds


def _way(folder: Path) -> None:
    folder.mkdir()
    tour = Tour(folder, lambda line: print(line, file=sys.stderr))
    try:
        tour.whole()
        print("\nThe tour, step by step")
        for title, seconds in tour.seconds.items():
            print(f"  {seconds:6.0f} s  {title}")
        print("\nOf the runs: from its queueing to its end or its approval; the steps alone; the rest")
        for what, number in (("build of main", tour.build), ("release", tour.release)):
            whole, steps = _split(tour.team.run(number), tour.team.records(number))
            print(f"  {what:34} {whole:8.1f} s  {steps:8.1f} s  {whole - steps:8.1f} s")
    except TourError as error:
        raise CommandError(str(error)) from error
    finally:
        processes.stop(tour.home)


def _split(run: Mapping[str, Any], records: list[Mapping[str, Any]]) -> tuple[float, float]:
    """Seconds of a run without what it waited for people, and those in which a step of it ran."""
    waiting = sum(_seconds(each) for each in records if each["type"] == "Checkpoint.Approval")
    whole = _at(run["finishTime"]) - _at(run["queueTime"]) - waiting
    steps = sum(_seconds(each) for each in records if each["type"] == "Task")
    return whole, steps


def _seconds(record: Mapping[str, Any]) -> float:
    if not record.get("startTime") or not record.get("finishTime"):
        return 0.0
    return _at(record["finishTime"]) - _at(record["startTime"])


def _at(time_of: str) -> float:
    return datetime.fromisoformat(time_of).timestamp()
