"""What `delivery preview` and `delivery deploy` cost beside bare Pulumi, and how fast a release is read back.

Compared are pairs, one right after the other and the other way round the next time: what else the machine does hits
both. `deploy` previews before it changes anything, as `pulumi up` does by default; so it is compared with that.
`preview` writes its full report, with all text differences, as in a pull request.
"""

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Cost
from benchmarks.world import World
from delivery.pace import EXPORTS_FOR_A_REQUEST, REQUESTS_PER_SECOND

LIMIT = 1.2
UP = ("up", "--yes", "--stack", "prod")
READ_BACK = """
import sys, time
from pathlib import Path
from delivery.console import Progress
from delivery.deploy_content import compare
from delivery.stack import read_stack
from delivery.workspace import Workspace
from delivery.workspace_objects import objects_of
stack, objects = read_stack(Path(), "prod"), objects_of(Path(), "prod")
workspace = Workspace.of(stack)
begun = time.monotonic()
found = compare(workspace, objects, Progress())
assert found.equal and len(objects) == int(sys.argv[1]), found
Path(sys.argv[2]).write_text(str(time.monotonic() - begun))
"""


@dataclass
class Pairs:
    """Costs of the product's command and of the bare one."""

    ours: list[Cost] = field(default_factory=list)
    bare: list[Cost] = field(default_factory=list)

    def ratio(self, what: Callable[[Cost], float]) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(what(one) / what(other) for one, other in zip(self.ours, self.bare, strict=True))

    def row(self, name: str) -> str:
        """A line of the table."""
        wall = f"{_middle(self.ours, _wall):8.1f} s {_middle(self.bare, _wall):8.1f} s {self.ratio(_wall):8.2f}"
        return f"  {name:34}{wall}{_middle(self.ours, _cpu):10.1f} s {_middle(self.bare, _cpu):8.1f} s"


def measure(world: World, sizes: Sequence[int], runs: int) -> Iterator[tuple[str, float, float, str]]:
    """Measures and prints; yields the targets: what, reached, limit, unit.

    Args:
        world: in which nothing is deployed yet.
        sizes: of the releases, in notebooks.
        runs: pairs of each.
    """
    world.pulumi("test", "up", "--yes", "--skip-preview", "--stack", "test")
    world.release(1)
    world.pulumi("prod", *UP)
    for size in sizes:
        pairs: dict[str, Pairs] = {}
        for number in range(runs):
            _life(world, size, pairs, bare_first=number % 2 == 0)
        print(f"\n{size} notebooks: `delivery`, bare `pulumi`, ratio; and the processors' time")
        for name, each in pairs.items():
            print(each.row(name), flush=True)
            yield f"{size} notebooks: {name}, of bare pulumi", each.ratio(_wall), LIMIT, ""
    yield from _reading_back(world, sizes[-1])


def _life(world: World, size: int, pairs: dict[str, Pairs], *, bare_first: bool) -> None:
    """From one notebook to so many and back, once by each way; and with one of them changed."""

    def both(name: str, ours: Callable[[], Cost], bare: Callable[[], Cost]) -> None:
        pair = pairs.setdefault(name, Pairs())
        for way, costs in [(bare, pair.bare), (ours, pair.ours)][:: 1 if bare_first else -1]:
            cost = way()
            costs.append(cost)
            who = "pulumi" if way is bare else "delivery"
            print(f"    {size}: {name}: {who} {cost.wall:.1f} s", file=sys.stderr, flush=True)

    def previews(name: str) -> None:
        report = str(world.product.path.parent / "report")
        both(
            name,
            lambda: world.delivery("preview", "--stack", "prod", "--report", report),
            lambda: world.pulumi("prod", "preview", "--stack", "prod"),
        )

    def deploy() -> Cost:
        artifact = world.package()
        return world.delivery("deploy", "--artifact", ".", "--stack", "prod", folder=artifact)

    def all_new(way: Callable[[], Cost]) -> Cost:
        world.release(1)
        world.pulumi("prod", *UP, "--skip-preview")
        world.release(size)
        return way()

    def changed(way: Callable[[], Cost]) -> Cost:
        world.change()
        return way()

    def bare() -> Cost:
        return world.pulumi("prod", *UP)

    all_new(lambda: Cost(wall=0, cpu=0, memory=0))
    previews("preview, all new")
    both("deploy, all new", lambda: all_new(deploy), lambda: all_new(bare))
    world.change()
    previews("preview, one changed")
    both("deploy, one changed", lambda: changed(deploy), lambda: changed(bare))


def _reading_back(world: World, size: int) -> Iterator[tuple[str, float, float, str]]:
    """The release that stands there, read back by itself."""
    artifact = world.package()
    world.delivery("deploy", "--artifact", ".", "--stack", "prod", folder=artifact)
    told = artifact.parent / "read-back"
    world.python(READ_BACK, str(size), str(told), folder=artifact)
    seconds = float(told.read_text())
    per_second = REQUESTS_PER_SECOND * EXPORTS_FOR_A_REQUEST
    print(
        f"\nReading {size} notebooks back: {seconds:.1f} s; {per_second} exports a second are {size / per_second:.1f} s"
    )
    yield f"reading {size} notebooks back, of the service's limit", seconds / (size / per_second), LIMIT, ""


def _wall(cost: Cost) -> float:
    return cost.wall


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _middle(costs: Sequence[Cost], what: Callable[[Cost], float]) -> float:
    return statistics.median(map(what, costs))
