"""The measurements of the lakehouse, and the table of them."""

import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lakehouse import jobs, runner
from benchmarks.lakehouse.world import World
from benchmarks.measure import MEBIBYTE, Sampler

STAGES = ("ingest", "transform", "publish")
_ROWS_OF_RUNNER = 100_000


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The product's chain and the plain script, one right after the other.

    Args:
        stages: seconds of each of the product's stages.
        plain: seconds of the plain script.
    """

    stages: dict[str, float]
    plain: float

    @property
    def chain(self) -> float:
        """Seconds of all stages."""
        return sum(self.stages.values())


def measure(path: Path, *, rows: int, runs: int) -> Iterator[tuple[str, float, float, str]]:
    """Measures everything and prints it; yields the targets: what, reached, limit, unit.

    Args:
        path: an empty folder.
        rows: trips of the sample week.
        runs: pairs of chain and plain script, after one to warm up.
    """
    world = World(path, rows)
    print(f"\nThe notebooks' chain over a week of {rows:,} trips, each in its own warm Spark (1 GB), in pairs")
    print(f"  the files of the week were made in {world.write_landing():.0f} s")
    pairs, memory = _pairs(world, runs)
    for stage in STAGES:
        seconds = [pair.stages[stage] for pair in pairs]
        _row(stage, seconds, f"{rows / statistics.median(seconds):>10,.0f} trips/s")
    _row("chain", [pair.chain for pair in pairs], f"{rows / _median(pairs):>10,.0f} trips/s")
    _row("plain script", [pair.plain for pair in pairs], "")
    print(f"  memory at the highest, Spark and Python: chain {memory[0]:.0f} MiB, plain script {memory[1]:.0f} MiB")
    ratio = statistics.median(pair.chain / pair.plain for pair in pairs)
    yield f"chain of {rows:,} trips, of the plain script", ratio, 2.0, ""
    # What the runner adds doesn't grow with the rows: with fewer of them it weighs more, and is seen sooner.
    small = world
    if rows > _ROWS_OF_RUNNER:
        small = World(path / "small", _ROWS_OF_RUNNER)
        small.path.mkdir()
        small.write_landing()
    yield from runner.measure(small)
    jobs.measure(path / "jobs")


def _median(pairs: list[Pair]) -> float:
    return statistics.median(pair.chain for pair in pairs)


def _pairs(world: World, runs: int) -> tuple[list[Pair], tuple[float, float]]:
    pairs = []
    with world.cluster("product") as (product, product_pid), world.cluster("plain") as (plain, plain_pid):
        samplers = Sampler(product_pid), Sampler(plain_pid)
        for sampler in samplers:
            sampler.start()
        for number in range(runs + 1):
            stages = _seconds(world, "product", product, f"product_{number}")
            by_hand = _seconds(world, "plain", plain, f"plain_{number}")
            print(
                f"    chain {sum(stages.values()):.1f} s, plain {by_hand['plain']:.1f} s", file=sys.stderr, flush=True
            )
            if number == 0:
                world.python("-m", "benchmarks.lakehouse.compared", str(product), "product_0", "plain_0")
            else:
                pairs.append(Pair(stages=stages, plain=by_hand["plain"]))
        for sampler in samplers:
            sampler.end()
    return pairs, (samplers[0].memory / MEBIBYTE, samplers[1].memory / MEBIBYTE)


def _seconds(world: World, program: str, cluster: Path, schema: str) -> dict[str, float]:
    printed = world.python("-m", "benchmarks.lakehouse.chain", program, str(cluster), schema)
    return dict(json.loads(printed.splitlines()[-1]))


def _row(name: str, seconds: list[float], more: str) -> None:
    spread = f"{statistics.median(seconds):.1f} [{min(seconds):.1f}-{max(seconds):.1f}]"
    print(f"  {name:34}{spread:>22} s {more}", flush=True)
