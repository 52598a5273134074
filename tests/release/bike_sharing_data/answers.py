"""The right answers, in closed form: a sum over the patterns, whatever the number of trips."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from .stations import Station, Version, history, snapshot
from .trips import PERIOD, Line, Pattern, Ride, patterns
from .weather import Observation, file, observed
from .week import CITY, DAYS, hours


class Demand(NamedTuple):
    """A row of gold_demand_hourly."""

    station_id: str
    hour: datetime
    local_day: date
    local_hour: int
    departures: int
    arrivals: int
    member_departures: int
    temperature_c: float | None
    precipitation_mm: float | None


class Availability(NamedTuple):
    """A row of gold_availability_hourly."""

    station_id: str
    hour: datetime
    bikes: int
    free_docks: int
    is_empty: bool
    is_full: bool


class Report(NamedTuple):
    """A row of gold_weekly_report."""

    week_start: date
    station_id: str
    name: str
    departures: int
    arrivals: int
    member_share: float | None
    mean_duration_min: float | None
    mean_distance_km: float | None
    busiest_local_hour: int | None
    hours_empty: int


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the tables hold after the files of the asked days.

    `bronze` counts rows by source, `quarantine` by (source, rule), `silver` by table, `rides` how often silver_trips
    has each. The gold tables and the stations' history are here in full. Instants are in UTC.
    """

    bronze: dict[str, int]
    quarantine: dict[tuple[str, str], int]
    silver: dict[str, int]
    rides: dict[Ride, int]
    history: list[Version]
    demand: dict[tuple[str, datetime], Demand]
    availability: dict[tuple[str, datetime], Availability]
    report: dict[tuple[date, str], Report]


@dataclass
class _Flow:
    """What happened at a station in an hour."""

    departures: int = 0
    arrivals: int = 0
    members: int = 0


def expected(*, rows: int, seed: int = 1, days: Collection[date] = DAYS) -> Expected:
    """The answers for `rows` trips, of which the files of `days` have arrived, in whatever order.

    The cost doesn't depend on `rows`. ValueError for days outside the week and for less than no rows.
    """
    if rows < 0 or not set(days) <= set(DAYS):
        raise ValueError(f"rows={rows}, days={sorted(days)}: rows can't be negative, days are those of the sample week")
    days = sorted(days)
    versions = history(days, seed)
    known = {version.station_id for version in versions}
    bronze, quarantine = _small_sources(days, seed)
    rides: Counter[Ride] = Counter()
    whole, rest = divmod(rows, PERIOD)
    for number, pattern in enumerate(patterns(seed)):
        times = whole + (number < rest)
        if not times:
            continue
        ride, broken = _judge(pattern, days, known)
        bronze["trips"] += times * (len(broken) + (ride is not None))
        for rule in broken:
            quarantine["trips", rule] += times
        if ride is not None:
            rides[ride] += times
    flows: defaultdict[tuple[str, datetime], _Flow] = defaultdict(_Flow)
    for ride, times in rides.items():
        departed = flows[ride.start_station, _hour(ride.started_at)]
        departed.departures += times
        departed.members += times * ride.member
        flows[ride.end_station, _hour(ride.ended_at)].arrivals += times
    weather = observed(days, seed)
    availability = _availability(flows, days, seed)
    return Expected(
        bronze=dict(bronze),
        quarantine=dict(quarantine),
        silver={
            "silver_trips": rides.total(),
            "silver_stations": len(versions),
            "silver_station_stock": sum(len(snapshot(day, seed).stations) for day in days),
            "silver_weather": len(weather),
        },
        rides=dict(rides),
        history=versions,
        demand={key: _demand(*key, flow, weather.get(key[1])) for key, flow in flows.items()},
        availability=availability,
        report=_report(rides, versions, availability),
    )


def _small_sources(days: Collection[date], seed: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    bronze: Counter[str] = Counter(trips=0, stations=0, weather=0)
    quarantine: Counter[tuple[str, str]] = Counter()
    observations = 0
    for day in days:
        stations, weather = snapshot(day, seed), file(day, seed)
        bronze["stations"] += stations.lines
        bronze["weather"] += weather.lines
        observations += len(weather.observations)
        for source, broken in (("stations", stations.broken), ("weather", weather.broken)):
            for rule, times in broken.items():
                quarantine[source, rule] += times
    if days:
        quarantine["weather", "duplicate"] += observations - len(observed(days, seed))
    return bronze, quarantine


def _judge(pattern: Pattern, days: Collection[date], known: Collection[str]) -> tuple[Ride | None, list[str]]:
    """What becomes of the lines of one trip: the ride in silver, if any, and the rules of the others."""
    lines = [line for line in pattern.lines if line.file_day in days]
    with_id = [line for line in lines if line.has_id]
    latest = max(with_id, key=lambda line: line.exported_at, default=None)
    ride: Ride | None = None
    broken = ["duplicate"] * (len(with_id) - 1)
    for line in [line for line in lines if not line.has_id] + ([latest] if latest else []):
        rule = _rule(line, known)
        if rule is None:
            ride = line.ride
        else:
            broken.append(rule)
    return ride, broken


def _rule(line: Line, known: Collection[str]) -> str | None:
    if line.rule is not None:
        return line.rule
    ride = line.ride
    return None if ride.start_station in known and ride.end_station in known else "station_unknown"


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0)


def _demand(station_id: str, hour: datetime, flow: _Flow, weather: Observation | None) -> Demand:
    local = hour.astimezone(CITY)
    return Demand(
        station_id=station_id,
        hour=hour,
        local_day=local.date(),
        local_hour=local.hour,
        departures=flow.departures,
        arrivals=flow.arrivals,
        member_departures=flow.members,
        temperature_c=None if weather is None else weather.temperature_c,
        precipitation_mm=None if weather is None else weather.precipitation_mm,
    )


def _availability(
    flows: dict[tuple[str, datetime], _Flow], days: Collection[date], seed: int
) -> dict[tuple[str, datetime], Availability]:
    found: dict[tuple[str, datetime], Availability] = {}
    nothing = _Flow()
    for day in days:
        for station in snapshot(day, seed).stations.values():
            change = 0
            for hour in hours(day):
                flow = flows.get((station.station_id, hour), nothing)
                change += flow.arrivals - flow.departures
                found[station.station_id, hour] = _available(station, hour, change)
    return found


def _available(station: Station, hour: datetime, change: int) -> Availability:
    bikes = min(max(station.bikes_available + change, 0), station.capacity)
    return Availability(
        station.station_id, hour, bikes, station.capacity - bikes, bikes == 0, bikes == station.capacity
    )


def _report(
    rides: Mapping[Ride, int],
    versions: list[Version],
    availability: dict[tuple[str, datetime], Availability],
) -> dict[tuple[date, str], Report]:
    """One row for each week and station with a departure, an arrival or an hour of availability in that week."""
    departures: defaultdict[tuple[date, str], list[tuple[Ride, int]]] = defaultdict(list)
    arrivals: Counter[tuple[date, str]] = Counter()
    empty: Counter[tuple[date, str]] = Counter()
    for ride, times in rides.items():
        departures[_week(ride.started_at), ride.start_station].append((ride, times))
        arrivals[_week(ride.ended_at), ride.end_station] += times
    for (station_id, hour), row in availability.items():
        empty[_week(hour), station_id] += row.is_empty
    found: dict[tuple[date, str], Report] = {}
    for week, station_id in departures.keys() | arrivals.keys() | empty.keys():
        those = departures.get((week, station_id), [])
        count = sum(times for _, times in those)
        by_hour: Counter[int] = Counter()
        for ride, times in those:
            by_hour[ride.started_at.astimezone(CITY).hour] += times
        names = [version.name for version in versions if version.station_id == station_id]
        found[week, station_id] = Report(
            week_start=week,
            station_id=station_id,
            name=names[-1],
            departures=count,
            arrivals=arrivals[week, station_id],
            member_share=sum(times for ride, times in those if ride.member) / count if count else None,
            mean_duration_min=sum(ride.duration_s * times for ride, times in those) / 60 / count if count else None,
            mean_distance_km=sum(ride.distance_m * times for ride, times in those) / 1000 / count if count else None,
            busiest_local_hour=min(by_hour, key=lambda hour: (-by_hour[hour], hour)) if count else None,
            hours_empty=empty[week, station_id],
        )
    return found


def _week(instant: datetime) -> date:
    day = instant.astimezone(CITY).date()
    return day - timedelta(days=day.weekday())
