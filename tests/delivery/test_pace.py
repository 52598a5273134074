"""How fast a workspace is asked: no more in any second than is allowed, and no slower than that."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from delivery.pace import EXPORTS_FOR_A_REQUEST, Kind, Pace

LIMITS = st.integers(1, 20)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["export", "other"])
REQUESTS = st.lists(st.tuples(st.integers(0, 8), KINDS), max_size=120)
EIGHTH = 0.125  # of a second; all times are whole ones, so that sums are exact


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def times(pace: Pace, requests: list[tuple[int, Kind]]) -> list[tuple[float, float, Kind]]:
    """When each request was made, so many eighths of a second after the one before was sent; and when it was sent."""
    sent = []
    with patch("delivery.pace.time", Clock()) as clock:
        for eighths, kind in requests:
            clock.sleep(eighths * EIGHTH)
            made = clock.now
            pace.wait(kind)
            sent.append((made, clock.now, kind))
    return sent


def allowed(limit: int, kind: Kind) -> int:
    return limit * (EXPORTS_FOR_A_REQUEST if kind == "export" else 1)


@given(limit=LIMITS, requests=REQUESTS)
def test_in_no_second_is_more_sent_than_is_allowed(limit: int, requests: list[tuple[int, Kind]]) -> None:
    sent = times(Pace(limit), requests)
    for _, start, kind in sent:
        assert sum(start <= at < start + 1 for _, at, other in sent if other == kind) <= allowed(limit, kind)


@given(limit=LIMITS, requests=REQUESTS)
def test_nobody_waits_where_there_is_room_for_one_more_of_its_kind(
    limit: int, requests: list[tuple[int, Kind]]
) -> None:
    sent = times(Pace(limit), requests)
    for number, (made, at, kind) in enumerate(sent):
        if at > made:
            # A moment before, the second until then was full.
            assert sum(at - 1 <= before for _, before, other in sent[:number] if other == kind) == allowed(limit, kind)


def test_a_stacks_setting_slows_exports_down_as_well() -> None:
    def last_two(pace: Pace, number: int, kind: Kind) -> list[float]:
        return [at for _, at, _ in times(pace, [(0, kind)] * number)[-2:]]

    slow = {"services": {"databricksRequestsPerSecond": 10}}
    assert last_two(Pace.of(slow), 11, "other") == [100.0, 101.0]
    assert last_two(Pace.of(slow), 41, "export") == [100.0, 101.0]
    assert last_two(Pace.of({}), 16, "other") == [100.0, 101.0]
