"""How fast a workspace is asked.

Source: https://learn.microsoft.com/azure/databricks/resources/limits. Databricks' client for Python keeps to no limit
by itself: it waits when it is told to (429), and gives up when it is told so for too long.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

# What Databricks' other clients keep to, and what the setting services.databricksRequestsPerSecond has as its default.
REQUESTS_PER_SECOND = 15
# A workspace takes 60 exports a second, four times as many. So a setting that slows the other requests down slows the
# exports as well.
EXPORTS_FOR_A_REQUEST = 4
EXPORT = 1 / EXPORTS_FOR_A_REQUEST


class Pace:
    """Lets threads send their requests in turn, no more than this in any second.

    Few requests need not wait for each other: a command that asks for ten things has them at once.

    Args:
        requests_per_second: how many there may be at the most.
    """

    def __init__(self, requests_per_second: float = REQUESTS_PER_SECOND) -> None:
        self._limit = float(requests_per_second)
        self._sent: deque[tuple[float, float]] = deque()  # when, and what part of the limit
        self._weight = 0.0  # of these together
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Pace":
        """As a stack's settings say."""
        services = settings.get("services")
        told = services.get("databricksRequestsPerSecond") if isinstance(services, Mapping) else None
        return cls(told if isinstance(told, int) and told > 0 else REQUESTS_PER_SECOND)

    def wait(self, weight: float = 1.0) -> None:
        """Waits until it is this request's turn; `weight` says what part of the limit it takes."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._sent[-1][0]) if self._sent else now
            while self._sent and self._weight + weight > self._limit:
                then, part = self._sent.popleft()
                self._weight -= part
                at = max(at, then + 1)
            self._sent.append((at, weight))
            self._weight += weight
        if at > now:
            time.sleep(at - now)
