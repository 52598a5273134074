"""What the loop costs: packaging beside git and sha256sum, and the way of a change from push to production.

The way is that of the tour (rehearsal/tour). Its time is split into that in which a step runs, and the rest: the
service's and the agent's part.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import CommandError
from rehearsal import processes
from rehearsal.service import Background
from rehearsal.tour.project import commit, git
from rehearsal.tour.steps import Tour
from rehearsal.tour.team import TourError
from tests.rehearsal.agent.fake_service import FakeService
from tests.rehearsal.agent.jobs import Bench

FILES = 1000
BYTES = 20_000
STEPS = 100
MEGABYTE = 1_000_000
ROOT = Path(__file__).parents[1]
WORDS = ("trips", "stations", "weather", "riders", "duration", "distance", "price", "hour", "kind", "region", "quality")
_PROJECT = ("Pulumi.yaml", "Pulumi.test.yaml", "Pulumi.prod.yaml", "__main__.py", "release_files.py")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a change's way, in seconds since 1970: from `begin` to `end`, and when its steps ran."""

    what: str
    begin: float
    end: float
    ran: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, what: str, begin: float, end: float, records: Iterable[Mapping[str, Any]]) -> "Phase":
        """With the steps of these timelines that ran in the meantime."""
        ran = [
            (max(begin, _at(each["startTime"])), min(end, _at(each["finishTime"])))
            for each in records
            if each["type"] == "Task" and each.get("result") != "skipped" and each.get("finishTime")
        ]
        return cls(what=what, begin=begin, end=end, ran=tuple(sorted(each for each in ran if each[0] <= each[1])))

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.end - self.begin

    @property
    def steps(self) -> tuple[float, int]:
        """Seconds in which at least one step ran, and how many there were."""
        total, until = 0.0, self.begin
        for begin, end in self.ran:
            total += max(0.0, end - max(begin, until))
            until = max(until, end)
        return total, len(self.ran)


def measure(home: Path, runs: int, *, quick: bool) -> Iterator[tuple[str, float, float, str]]:
    """Measures and prints; yields the targets: what, reached, limit, unit.

    Args:
        home: an empty folder.
        runs: of packaging, verifying and the agent's steps; a change goes its way once.
        quick: without a first release, so that this one starts Spark.

    Raises:
        CommandError: a command failed.
    """
    _packaging(home / "packaging", runs)
    yield from _agent(home / "agent", runs)
    _way(home / "tour", whole=not quick)


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


def _agent(home: Path, runs: int) -> Iterator[tuple[str, float, float, str]]:
    """What the agent adds to a step: jobs of many steps that do nothing, beside the same without an agent."""
    home.mkdir()
    command = ["bash", "--noprofile", "--norc", "-c", ":"]
    pipeline = "steps:\n- checkout: none\n" + "- bash: ':'\n" * STEPS
    added = []
    service = FakeService()
    with Background(service.app) as url:
        agent = Bench(service, url, home, os.environ)
        for _ in range(max(runs, 3)):
            begun = time.perf_counter()
            for _ in range(STEPS):
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
            alone = time.perf_counter() - begun
            begun = time.perf_counter()
            if agent.run(pipeline) != "Succeeded":
                raise CommandError("a job of steps that do nothing has failed")
            added.append((time.perf_counter() - begun - alone) / STEPS * 1000)
        agent.close()
    print(f"\nThe agent adds to each of {STEPS} steps {statistics.median(added):.0f} ms", end="")
    print(f" [{min(added):.0f}-{max(added):.0f}], the job's begin and end included")
    yield "what the agent adds to a step", statistics.median(added), 50, "ms"


def _way(folder: Path, whole: bool) -> None:
    """A change's way from its push to production, by the timelines of its runs."""
    folder.mkdir()
    tour = Tour(folder, lambda line: print(line, file=sys.stderr))
    try:
        tour.bring_up()
        if whole:
            tour.first_release()
        tour.change_a_notebook()
        tour.review()
        tour.merge()
        tour.approve()
        phases = _phases(tour)
    except TourError as error:
        raise CommandError(str(error)) from error
    finally:
        processes.stop(tour.home)
    print("\nA change's way: the whole, the steps of its runs alone, and the rest: what the service and the agent take")
    for phase in phases:
        steps, number = phase.steps
        rest = phase.seconds - steps
        print(f"  {phase.what:44} {phase.seconds:7.1f} s {steps:7.1f} s {rest:7.1f} s  {number} steps")


def _phases(tour: Tour) -> list[Phase]:
    request = tour.team.build_of(tour.pull_request)
    runs = {number: tour.team.run(number) for number in (request, tour.build, tour.release)}
    records = {number: tour.team.records(number) for number in runs}
    merged = _at(tour.team.pull_request(tour.pull_request)["closedDate"])
    (approval,) = (each for each in records[tour.release] if each["type"] == "Checkpoint.Approval")
    asked, approved = _at(approval["startTime"]), _at(approval["finishTime"])
    built = [*records[tour.build], *records[tour.release]]
    return [
        Phase.of(
            "push to a pull request -> its build has ended",
            _at(runs[request]["queueTime"]),
            _at(runs[request]["finishTime"]),
            records[request],
        ),
        Phase.of("merge -> the build of main has ended", merged, _at(runs[tour.build]["finishTime"]), built),
        Phase.of("merge -> the release waits for its approval", merged, asked, built),
        Phase.of("approval -> production", approved, _at(runs[tour.release]["finishTime"]), built),
    ]


def _at(time_of: str) -> float:
    return datetime.fromisoformat(time_of).timestamp()
