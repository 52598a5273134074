"""What no program can get below in an `up`: the request limit of the Databricks client, and the engine's own work."""

from dataclasses import dataclass

from benchmarks.world import World

REQUESTS_PER_SECOND = 15
UNLIMITED = 100
"""More than the engine gets to."""
UP = ("up", "--yes", "--skip-preview", "--stack", "prod")
DESTROY = ("destroy", "--yes", "--skip-preview", "--stack", "prod")


@dataclass(frozen=True, kw_only=True)
class Floor:
    """How long an `up` of one size takes at the least, in seconds.

    The provider has two clients with a limit of their own: one imports, the other makes folders and asks for the
    status. They work side by side, and so does the engine, which meanwhile writes the whole state after each step. So
    the floor is the longer of two. One is the requests of the client that has more of them, at its limit, and before
    them the start of engine, plugins and program (a preview of one notebook). The other is the same `up` without the
    limit: the engine's work, and how long the other provider waits for Azure DevOps.

    Args:
        requests: of the client that has more.
        unlimited: the `up` without a limit.
        without_checkpoints: the `up` without a limit that also writes the state only once.
        start: a preview of one notebook.
    """

    requests: int
    unlimited: float
    without_checkpoints: float
    start: float

    @property
    def of_requests(self) -> float:
        """Seconds that the limit alone forces."""
        return self.requests / REQUESTS_PER_SECOND

    @property
    def seconds(self) -> float:
        """The floor."""
        return max(self.start + self.of_requests, self.unlimited)


def measure(world: World, size: int) -> Floor:
    """Measures it with so many notebooks on the stack `prod`, which must not be deployed, and leaves it like that."""
    world.release(1)
    start = world.pulumi("prod", "preview", "--stack", "prod")
    world.release(size)
    world.limit(UNLIMITED)
    unlimited = world.pulumi("prod", *UP)
    requests = world.requests_of_busiest_client()
    world.pulumi("prod", *DESTROY)
    without_checkpoints = world.pulumi("prod", *UP, environment={"PULUMI_SKIP_CHECKPOINTS": "true"})
    world.pulumi("prod", *DESTROY)
    world.limit(REQUESTS_PER_SECOND)
    return Floor(
        requests=requests,
        unlimited=unlimited.wall,
        without_checkpoints=without_checkpoints.wall,
        start=start.wall,
    )
