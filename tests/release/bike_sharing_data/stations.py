"""The stations' snapshots: what each day's file says, and which of its lines are good."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import NamedTuple

from .week import DAYS, dice, two_of

PLACES = (
    "Westbahnhof", "Währinger Straße", "Schottentor", "Karlsplatz", "Praterstern", "Volksoper", "Nußdorf",
    "Alser Straße", "Hütteldorf", "Schwedenplatz", "Südtiroler Platz", "Meidling", "Rossauer Lände", "Spittelau",
    "Kagran", "Donauinsel", "Seestadt", "Hernals", "Längenfeldgasse", "Gürtelbögen", "Zieglergasse", "Höchstädtplatz",
    "Stadtpark", "Ottakring", "Heiligenstadt", "Museumsquartier", "Börse", "Aspernbrücke", "Messe", "Rathaus",
)  # fmt: skip
STATIONS = tuple(f"S{number:03d}" for number in range(1, len(PLACES) + 1))
UNKNOWN = "S999"
"""A station that is in no snapshot."""

MOVES, GROWS, CLOSES, OPENS, PAUSES, RENAMES = "S007", "S011", "S013", "S017", "S019", "S023"
"""Moves on Thursday; gets more docks on Wednesday; is gone from Friday on; has its first trips on Monday and is in the
snapshots from Tuesday on; is missing on Wednesday alone; has another name from Saturday on."""
TWICE = "S005"
"""Stands twice in every snapshot."""


@dataclass(frozen=True, slots=True)
class Station:
    """A good line of a snapshot."""

    station_id: str
    name: str
    lat: float
    lon: float
    capacity: int
    bikes_available: int


class Version(NamedTuple):
    """A row of the stations' history (silver_stations)."""

    station_id: str
    name: str
    lat: float
    lon: float
    capacity: int
    valid_from: date
    valid_to: date | None
    is_current: bool


@dataclass(frozen=True)
class Snapshot:
    """A day's file: its text, the good stations by id, and how many lines break which rule."""

    text: str
    stations: dict[str, Station]
    broken: Mapping[str, int]

    @property
    def lines(self) -> int:
        """How many lines the file has."""
        return self.text.count("\n")


@cache
def snapshot(day: date, seed: int) -> Snapshot:
    """The snapshot of a day of the week."""
    stations = {station.station_id: station for station in _stations(day, seed)}
    lines = []
    for place, station in enumerate(stations.values()):
        # Spaces around a name come and go: they are no new version of the station.
        around = (" " * ((place + day.day) % 3), " " * (place % 2))
        lines.append(_line(station, name=f"{around[0]}{station.name}{around[1]}"))
        if station.station_id == TWICE:
            lines.append(lines[-1])
    some = stations["S001"]
    mistakes: tuple[tuple[str, dict[str, object]], ...] = (
        ("station_id_missing", {"station_id": None}),
        ("position_wrong", {"station_id": "S901", "lat": None}),
        ("capacity_wrong", {"station_id": "S902", "capacity": None}),
        ("station_id_missing", {"station_id": ""}),
        ("position_wrong", {"station_id": "S903", "lat": 0.0, "lon": 0.0}),
        ("capacity_wrong", {"station_id": "S904", "capacity": 0}),
        ("position_wrong", {"station_id": "S905", "lat": some.lon, "lon": some.lat}),
    )
    broken = Counter(duplicate=1)
    for rule, changes in two_of(mistakes, day):
        lines.append(_line(some, **changes))
        broken[rule] += 1
    dice(seed, day).shuffle(lines)
    return Snapshot("".join(f"{line}\n" for line in lines), stations, broken)


def history(days: Iterable[date], seed: int) -> list[Version]:
    """The stations' history after the snapshots of these days, whatever order they arrived in; by station and date."""
    versions: list[Version] = []
    present = sorted(days)
    for station_id in STATIONS:
        current: Version | None = None
        for day in present:
            station = snapshot(day, seed).stations.get(station_id)
            found = None if station is None else (station.name, station.lat, station.lon, station.capacity)
            if current is not None and found != current[1:5]:
                versions.append(current._replace(valid_to=day, is_current=False))
                current = None
            if current is None and found is not None:
                current = Version(station_id, *found, valid_from=day, valid_to=None, is_current=True)
        if current is not None:
            versions.append(current)
    return versions


def _stations(day: date, seed: int) -> list[Station]:
    rng = dice(seed, "stations")
    found = []
    number = DAYS.index(day)
    for station_id, place in zip(STATIONS, PLACES, strict=True):
        lat, lon = round(rng.uniform(48.15, 48.25), 6), round(rng.uniform(16.3, 16.45), 6)
        capacity = rng.randint(12, 40)
        bikes = [rng.randint(0, capacity) for _ in DAYS][number]
        name = place
        if station_id == MOVES and number >= 3:
            lat, lon = round(lat + 0.01, 6), round(lon - 0.01, 6)
        if station_id == GROWS and number >= 2:
            capacity += 8
        if station_id == RENAMES and number >= 5:
            name = f"{place} Süd"
        gone = (station_id == CLOSES and number >= 4) or (station_id == OPENS and number < 1)
        if not gone and not (station_id == PAUSES and number == 2):
            found.append(Station(station_id, name, lat, lon, capacity, bikes))
    return found


def _line(station: Station, **changes: object) -> str:
    fields = {
        "station_id": station.station_id,
        "name": station.name,
        "lat": station.lat,
        "lon": station.lon,
        "capacity": station.capacity,
        "bikes_available": station.bikes_available,
    }
    return json.dumps(fields | changes, ensure_ascii=False)
