"""What the system costs.

Part `engine`: wall time, processor time, memory and requests of each command at several sizes. Everything is measured
through the real engine and the real providers against the stand-ins, which run in processes of
their own and aren't in the figures. The stack is `prod`, with its gate, folder, permissions and generated notebooks
(in folders of 50), deployed when the control plane stands. At the largest size each command is also run with a plain
program (benchmarks/plain) that declares the same in the most obvious way, right after the product's, so that other
work on the machine hits both; the ratios are of such pairs.

Part `notebooks`: the sample's chain from files to gold tables beside a plain Spark script that writes the same answers
(benchmarks/lakehouse/plain.py), the runner of notebooks beside plain Python, and the start of a job's run.

Part `loop`: packaging and verifying a release beside git and sha256sum; what the agent adds to a step; how long a
change takes from its push to production, split into what the steps take and the rest; and the commands `preview` and
`deploy` beside bare Pulumi at several sizes, with the time that reading a release back takes.

Shown is the median of the runs, and from the lowest to the highest. Each command is told on standard error when it has
ended. The exit code is 1 when a target was missed, and when something failed.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import deploying, floor, loop, startup
from benchmarks.lakehouse import report
from benchmarks.measure import CommandError, Cost
from benchmarks.world import World
from rehearsal.toolchain import Toolchain, ensure

YES = ("--yes", "--skip-preview")
STEPS: dict[str, tuple[str, ...]] = {
    "preview of all": ("preview",),
    "up": ("up", *YES),
    "preview, no change": ("preview", "--expect-no-changes"),
    "up, no change": ("up", *YES, "--expect-no-changes"),
    "up, one changed": ("up", *YES),
    "destroy": ("destroy", *YES),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure that must not be exceeded."""

    what: str
    reached: float
    limit: float
    unit: str

    @property
    def missed(self) -> bool:
        return self.reached > self.limit

    def __str__(self) -> str:
        verdict = "MISSED" if self.missed else "reached"
        return f"{self.what:66} {self.reached:8.2f}  at most {self.limit:7.2f} {self.unit:6} {verdict}"


def main() -> int:
    """Measures and prints; gives the exit code."""
    options = _parser().parse_args()
    sizes, rows, runs = ([10, 100], 20_000, 1) if options.quick else (sorted(options.sizes), options.rows, options.runs)
    toolchain = ensure()
    home = Path(tempfile.mkdtemp(prefix="benchmark-"))
    started = time.monotonic()
    targets: list[Target] = []
    try:
        if "notebooks" in options.parts:
            (home / "notebooks").mkdir()
            targets += _named(report.measure(home / "notebooks", rows=rows, runs=runs))
        if "loop" in options.parts:
            (home / "loop").mkdir()
            targets += _named(loop.measure(home / "loop", runs, quick=options.quick))
            with _world(home / "deploying", toolchain) as world:
                targets += _named(deploying.measure(world, sizes, runs))
        if "engine" in options.parts:
            with _world(home / "engine", toolchain) as world:
                targets += _measure(world, sizes, runs)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("\nTargets")
    for target in targets:
        print(f"  {target}")
    print(f"\n{(time.monotonic() - started) / 60:.0f} minutes")
    return 1 if any(target.missed for target in targets) else 0


def _named(found: Iterable[tuple[str, float, float, str]]) -> Iterator[Target]:
    for what, reached, limit, unit in found:
        yield Target(what=what, reached=reached, limit=limit, unit=unit)


@contextmanager
def _world(home: Path, toolchain: Toolchain) -> Iterator[World]:
    home.mkdir()
    world = World(home, toolchain)
    try:
        yield world
    finally:
        world.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 and 100 notebooks, 20,000 trips, once: six minutes")
    parts = ["engine", "notebooks", "loop"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--rows", type=int, default=1_000_000, help="trips of the sample week (1,000,000)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 500], help="of notebooks (10 100 500)")
    parser.add_argument("--runs", type=int, default=3, help="of each command (3)")
    return parser


def _measure(world: World, sizes: Sequence[int], runs: int) -> list[Target]:
    print("\nStart of the program alone, and the imports of a plain program")
    starts = [(startup.program(), startup.plain()) for _ in range(max(runs, 3))]
    ours, plain = [pair[0] for pair in starts], [pair[1] for pair in starts]
    _print_head()
    _print_row("program", ours)
    _print_row("plain imports", plain)
    targets = [Target(what="start, of plain imports", reached=_ratio(ours, plain, _cpu), limit=0.5, unit="")]

    print("\nThe control plane and all of the stack `test`, once")
    _print_head()
    _print_row("first up", [world.pulumi("test", "up", *YES, "--stack", "test")])

    for size in sizes:
        print(f"\n{size} notebooks")
        largest = size == sizes[-1]
        stacks = ("prod", "plain") if largest else ("prod",)
        costs: dict[tuple[str, str], list[Cost]] = {(stack, step): [] for stack in stacks for step in STEPS}
        for _ in range(runs):
            for stack, step, cost in _life(world, size, stacks):
                costs[stack, step].append(cost)
                print(f"    {stack}: {step}: {cost.wall:.1f} s", file=sys.stderr, flush=True)
        _print_head()
        for (stack, step), measured in costs.items():
            _print_row(step if stack == "prod" else f"plain program: {step}", measured)
    least = floor.measure(world, sizes[-1])
    _print_comparison(costs, least)
    return [*targets, *_targets(costs, least, sizes[-1])]


def _life(world: World, size: int, stacks: Sequence[str]) -> Iterator[tuple[str, str, Cost]]:
    """The stacks' life from nothing to nothing, step by step, the stacks one after the other in each."""
    world.release(size)
    for step, arguments in STEPS.items():
        if step == "up, one changed":
            world.change()
        for stack in stacks:
            yield stack, step, world.pulumi(stack, *arguments, "--stack", stack)


def _targets(costs: dict[tuple[str, str], list[Cost]], least: floor.Floor, size: int) -> list[Target]:
    def of_plain(step: str, what: Callable[[Cost], float]) -> float:
        return _ratio(costs["prod", step], costs["plain", step], what)

    ups = costs["prod", "up"]
    highest = max(cost.memory for (stack, _), each in costs.items() if stack == "prod" for cost in each)
    return [
        Target(
            what=f"preview of {size} without changes, time of the plain program's",
            reached=of_plain("preview, no change", _wall),
            limit=0.53,
            unit="",
        ),
        Target(
            what=f"preview of {size} without changes",
            reached=statistics.median(map(_wall, costs["prod", "preview, no change"])),
            limit=8,
            unit="s",
        ),
        Target(
            what=f"up of {size}, of the floor",
            reached=statistics.median(map(_wall, ups)) / least.seconds,
            limit=1.05,
            unit="",
        ),
        Target(what="memory of all processes at the highest", reached=highest, limit=500, unit="MiB"),
    ]


def _print_comparison(costs: dict[tuple[str, str], list[Cost]], least: floor.Floor) -> None:
    print("\nThe product in parts of the plain program, at the largest size")
    print(f"  {'':34}{'wall':>8}{'cpu':>8}")
    for step in STEPS:
        ours, plain = costs["prod", step], costs["plain", step]
        print(f"  {step:34}{_ratio(ours, plain, _wall):>8.2f}{_ratio(ours, plain, _cpu):>8.2f}")
    requests = f"{least.requests} requests of the busier of two clients, {floor.REQUESTS_PER_SECOND} a second"
    print(f"""
The floor of `up` at that size: {least.seconds:.1f} s
  {requests}: {least.of_requests:.1f} s
  the start of engine, plugins and program, a preview of one notebook: {least.start:.1f} s
  the same up without the limit, the engine and the waits for Azure DevOps alone: {least.unlimited:.1f} s
  of it, writing the state after each step and not once: {least.unlimited - least.without_checkpoints:.1f} s""")


def _wall(cost: Cost) -> float:
    return cost.wall


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _ratio(ours: Sequence[Cost], plain: Sequence[Cost], what: Callable[[Cost], float]) -> float:
    """The median of the ratios of pairs that were measured one right after the other."""
    return statistics.median(what(one) / what(other) for one, other in zip(ours, plain, strict=True))


def _print_head() -> None:
    print(f"  {'':34}{'wall, s':>22}{'cpu, s':>22}{'memory, MiB':>22}{'requests':>10}")


def _print_row(name: str, costs: Sequence[Cost]) -> None:
    memory = _spread([cost.memory for cost in costs], 0)
    requests = max(cost.requests for cost in costs)
    columns = (_spread([cost.wall for cost in costs], 1), _spread([cost.cpu for cost in costs], 1), memory)
    print(f"  {name:34}" + "".join(f"{column:>22}" for column in columns) + f"{requests:>10}", flush=True)


def _spread(values: Sequence[float], digits: int) -> str:
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


if __name__ == "__main__":
    sys.exit(main())
