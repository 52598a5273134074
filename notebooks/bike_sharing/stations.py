"""Stations: how full they will be, and which need a van."""

from collections.abc import Iterable, Mapping


def net_flow(trips: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Bikes that each station gains (or loses) by the trips, given as pairs of start and end."""
    flow: dict[str, int] = {}
    for start, end in trips:
        flow[start] = flow.get(start, 0) - 1
        flow[end] = flow.get(end, 0) + 1
    return flow


def needs_van(docks: Mapping[str, int], bikes: Mapping[str, int], flow: Mapping[str, int]) -> dict[str, int]:
    """Bikes to bring to (or, negative, to take from) each station so that it ends the day half full.

    Stations between a quarter and three quarters are left alone.
    """
    moves = {}
    for station, capacity in docks.items():
        expected = bikes.get(station, 0) + flow.get(station, 0)
        if not capacity / 4 <= expected <= capacity * 3 / 4:
            moves[station] = capacity // 2 - expected
    return moves
