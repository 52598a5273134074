"""How fast a workspace is asked: no more in any second than is allowed, and no slower than that."""

import math
from collections.abc import Sequence
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from delivery.pace import EXPORT, Pace

REQUESTS = st.lists(st.tuples(st.integers(0, 24), st.sampled_from([1.0, EXPORT])), max_size=80)
EIGHTH = 0.125  # of a second; all times are whole ones, so that sums are exact


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def times(pace: Pace, requests: Sequence[tuple[int, float]]) -> list[float]:
    """When each request is sent, each made so many eighths of a second after the one before was sent."""
    sent = []
    with patch("delivery.pace.time", Clock()) as clock:
        for eighths, weight in requests:
            clock.sleep(eighths * EIGHTH)
            pace.wait(weight)
            sent.append(clock.now)
    return sent


def within_a_second_of(start: float, sent: Sequence[float], requests: Sequence[tuple[int, float]]) -> float:
    return sum(weight for at, (_, weight) in zip(sent, requests, strict=True) if start <= at < start + 1)


@given(limit=st.integers(1, 20), requests=REQUESTS)
def test_in_no_second_is_more_sent_than_is_allowed(limit: int, requests: list[tuple[int, float]]) -> None:
    sent = times(Pace(limit), requests)
    assert all(within_a_second_of(start, sent, requests) <= limit for start in sent)


@given(limit=st.integers(1, 20), requests=REQUESTS)
def test_nobody_waits_where_there_is_room(limit: int, requests: list[tuple[int, float]]) -> None:
    sent = times(Pace(limit), requests)
    for number, (at, before) in enumerate(zip(sent[1:], sent[:-1], strict=True), 1):
        if at > before + requests[number][0] * EIGHTH:
            # Had it been sent a moment sooner, that would have been too much within the second until then.
            until = math.nextafter(at, 0)
            busy = sum(
                weight for then, (_, weight) in zip(sent[:number], requests[:number], strict=True) if then > until - 1
            )
            assert busy + requests[number][1] > limit


def test_a_stacks_setting_slows_exports_down_as_well() -> None:
    pace = Pace.of({"services": {"databricksRequestsPerSecond": 10}})
    assert times(pace, [(0, 1.0)] * 11)[-2:] == [100.0, 101.0]
    pace = Pace.of({"services": {"databricksRequestsPerSecond": 10}})
    assert times(pace, [(0, EXPORT)] * 41)[-2:] == [100.0, 101.0]
    assert times(Pace.of({}), [(0, 1.0)] * 16)[-2:] == [100.0, 101.0]
