"""What no program can get below in an `up`: the request limit of the Databricks client, and the engine's own work."""

from dataclasses import dataclass

from benchmarks.measure import Cost
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
    the floor is the longer of two: the requests of the client that has more of them at its limit, after what the
    engine and the program take before the first and after the last of them (that of an `up` that changes nothing); and
    the same `up` without the limit: the engine's work, and how long the other provider waits for Azure DevOps.

    Args:
        requests: of the client that has more.
        unlimited: the `up` without a limit.
        without_checkpoints: the `up` without a limit that also writes the state only once.
        around: an `up` that changes nothing.
    """

    requests: int
    unlimited: float
    without_checkpoints: float
    around: float

    @property
    def of_requests(self) -> float:
        """Seconds that the limit alone forces."""
        return self.requests / REQUESTS_PER_SECOND

    @property
    def seconds(self) -> float:
        """The floor."""
        return max(self.around + self.of_requests, self.unlimited)


def measure(world: World, around: Cost) -> Floor:
    """Measures it on the stack `prod`, which must not be deployed, and leaves it like that."""
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
        around=around.wall,
    )
