"""How fast a workspace is asked.

Source: https://learn.microsoft.com/azure/databricks/resources/limits. Databricks' client for Python keeps to no limit
by itself: it waits when it is told to (429), and gives up when it is told so for too long.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

# What Databricks' other clients keep to, and what the setting services.databricksRequestsPerSecond has as its default.
REQUESTS_PER_SECOND = 15
# A workspace takes 60 exports a second besides, four times as many. A setting that slows the other requests down slows
# the exports as well.
EXPORTS_FOR_A_REQUEST = 4
Kind: TypeAlias = Literal["export", "other"]


class Pace:
    """Lets threads send their requests in turn, no more of a kind than this in any second.

    Few requests need not wait for each other, and none for the exports: a command that asks for ten things has them at
    once, while it reads a release back, too.

    Args:
        requests_per_second: how many there may be at the most, besides exports.
    """

    def __init__(self, requests_per_second: int = REQUESTS_PER_SECOND) -> None:
        self._turns: dict[Kind, _Turns] = {
            "export": _Turns(requests_per_second * EXPORTS_FOR_A_REQUEST),
            "other": _Turns(requests_per_second),
        }

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Pace":
        """As a stack's settings say."""
        services = settings.get("services")
        told = services.get("databricksRequestsPerSecond") if isinstance(services, Mapping) else None
        return cls(told if isinstance(told, int) and told > 0 else REQUESTS_PER_SECOND)

    def wait(self, kind: Kind = "other") -> None:
        """Waits until it is this request's turn."""
        self._turns[kind].wait()


class _Turns:
    def __init__(self, per_second: int) -> None:
        self._sent: deque[float] = deque(maxlen=per_second)
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            at = max(now, self._sent[0] + 1) if len(self._sent) == self._sent.maxlen else now
            self._sent.append(at)
        if at > now:
            time.sleep(at - now)
