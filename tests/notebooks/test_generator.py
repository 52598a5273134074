"""The sample week's files hold what its answers say: counted here once more, from the files, the long way round."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bike_sharing_data import DAYS, EVERY_MISTAKE_FROM, Expected, LocalFiles, expected, write
from bike_sharing_data.trips import PERIOD, Ride
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NO_SPARK: Any = None
"""Weeks of a few thousand trips are written without Spark."""
VIENNA = ZoneInfo("Europe/Vienna")
TRIP_RULES = [
    "malformed",
    "trip_id_missing",
    "duplicate",
    "station_missing",
    "time_unreadable",
    "duration_wrong",
    "too_long",
    "distance_wrong",
    "station_unknown",
]
ALL_RULES = (
    {("trips", rule) for rule in TRIP_RULES}
    | {("stations", rule) for rule in ("station_id_missing", "position_wrong", "capacity_wrong", "duplicate")}
    | {("weather", rule) for rule in ("observed_at_unreadable", "temperature_wrong", "wind_wrong", "duplicate")}
)


@dataclass
class Counted:
    """What a plain reading of the files by the written rules finds."""

    bronze: Counter[str] = field(default_factory=Counter)
    quarantine: Counter[tuple[str, str]] = field(default_factory=Counter)
    trips: list[dict[str, Any]] = field(default_factory=list)
    weather: dict[datetime, tuple[float, float]] = field(default_factory=dict)
    snapshots: dict[date, dict[str, dict[str, Any]]] = field(default_factory=dict)


def instants(text: str) -> list[datetime]:
    """The instants at which the city's clocks show this: none, one, or two."""
    try:
        wall = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return []
    found = {wall.replace(tzinfo=VIENNA, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(instant for instant in found if instant.astimezone(VIENNA).replace(tzinfo=None) == wall)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def first_broken(row: dict[str, str], known: set[str]) -> tuple[str | None, dict[str, Any]]:
    """The first rule that a row breaks which is no duplicate, and what it means."""
    starts, ends = instants(row["started_at"]), instants(row["ended_at"])
    seconds = number(row["duration_s"])
    fits = [
        (start, end) for start, end in product(starts, ends) if seconds and (end - start) == timedelta(seconds=seconds)
    ]
    metres = number(row["distance"])
    if metres is not None and row["firmware"].startswith("1."):
        metres *= 1000
    stations = (row["start_station"], row["end_station"])
    checks = {
        "station_missing": "" in stations,
        "time_unreadable": not starts or not ends,
        "duration_wrong": not fits or seconds is None or seconds <= 0,
        "too_long": bool(seconds and seconds > 24 * 3600),
        "distance_wrong": metres is None or not 0 <= metres <= 200_000,
        "station_unknown": not known.issuperset(stations),
    }
    meaning = {
        **row,
        "seconds": seconds,
        "metres": metres,
        "start": fits[0][0] if fits else None,
        "end": fits[0][1] if fits else None,
    }
    return next((rule for rule, broken in checks.items() if broken), None), meaning


def count(landing: Path, days: Sequence[date]) -> Counted:
    found = Counted()
    for day in days:
        read_stations(found, landing, day)
        read_weather(found, landing, day)
    known = {station for snapshot in found.snapshots.values() for station in snapshot}
    by_id: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for day in days:
        for path in sorted((landing / "trips" / str(day)).glob("*.csv")):
            lines = path.read_text(encoding="utf-8").splitlines()
            names = [name.removesuffix("_id") if "station" in name else name for name in lines[0].split(",")]
            for line in lines[1:]:
                found.bronze["trips"] += 1
                values = line.split(",")
                row = dict(zip(names, values, strict=False))
                if len(values) != len(names):
                    found.quarantine["trips", "malformed"] += 1
                elif not row["trip_id"]:
                    found.quarantine["trips", "trip_id_missing"] += 1
                else:
                    by_id[row["trip_id"]].append(row)
    for rows in by_id.values():
        found.quarantine["trips", "duplicate"] += len(rows) - 1
        rule, meaning = first_broken(max(rows, key=lambda row: row["exported_at"]), known)
        if rule is None:
            found.trips.append(meaning)
        else:
            found.quarantine["trips", rule] += 1
    return found


def read_stations(found: Counted, landing: Path, day: date) -> None:
    found.snapshots[day] = {}
    for path in (landing / "stations" / str(day)).glob("*.json"):
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            found.bronze["stations"] += 1
            rule = None
            if not row["station_id"]:
                rule = "station_id_missing"
            elif row["lat"] is None or not (47 <= row["lat"] <= 49 and 15 <= row["lon"] <= 18):
                rule = "position_wrong"
            elif row["capacity"] is None or row["capacity"] < 1:
                rule = "capacity_wrong"
            elif row["station_id"] in found.snapshots[day]:
                rule = "duplicate"
            if rule:
                found.quarantine["stations", rule] += 1
            else:
                found.snapshots[day][row["station_id"]] = row | {"name": row["name"].strip()}


def read_weather(found: Counted, landing: Path, day: date) -> None:
    for path in (landing / "weather" / str(day)).glob("*.csv"):
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            found.bronze["weather"] += 1
            try:
                hour = datetime.strptime(row["observed_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            except ValueError:
                found.quarantine["weather", "observed_at_unreadable"] += 1
                continue
            temperature, wind = number(row["temperature"]), number(row["wind"])
            if temperature is not None and row["temperature_unit"] == "F":
                temperature = (temperature - 32) * 5 / 9
            if temperature is None or not -40 <= temperature <= 50:
                found.quarantine["weather", "temperature_wrong"] += 1
            elif wind is None or wind < 0:
                found.quarantine["weather", "wind_wrong"] += 1
            else:
                found.quarantine["weather", "duplicate"] += hour in found.weather
                found.weather[hour] = (round(temperature, 2), float(row["precipitation_mm"]))


def hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0)


def rides(counted: Counted) -> dict[Ride, int]:
    return Counter(
        Ride(
            start_station=trip["start_station"],
            end_station=trip["end_station"],
            started_at=trip["start"],
            duration_s=round(trip["seconds"]),
            distance_m=round(trip["metres"]),
            member=trip["member"] == "yes",
        )
        for trip in counted.trips
    )


def assert_equal(counted: Counted, answers: Expected, days: Sequence[date]) -> None:
    assert answers.bronze == {source: counted.bronze[source] for source in ("trips", "stations", "weather")}
    assert +Counter(answers.quarantine) == +counted.quarantine
    assert answers.silver["silver_trips"] == len(counted.trips)
    assert answers.silver["silver_weather"] == len(counted.weather)
    assert answers.silver["silver_station_stock"] == sum(map(len, counted.snapshots.values()))
    assert answers.rides == rides(counted)
    assert_history(counted, answers, days)
    assert_demand(counted, answers)
    assert_availability(counted, answers)
    assert_report(counted, answers)


def assert_history(counted: Counted, answers: Expected, days: Sequence[date]) -> None:
    """A version holds on exactly the days whose snapshot says the same."""
    said = {
        (day, station): (row["name"], row["lat"], row["lon"], row["capacity"])
        for day, snapshot in counted.snapshots.items()
        for station, row in snapshot.items()
    }
    told = {
        (day, version.station_id): version[1:5]
        for version in answers.history
        for day in days
        if version.valid_from <= day and (version.valid_to is None or day < version.valid_to)
    }
    assert told == said
    for version in answers.history:
        assert version.is_current == (version.valid_to is None)
        if version.valid_to is not None:
            assert said.get((version.valid_to, version.station_id)) != version[1:5]


def assert_demand(counted: Counted, answers: Expected) -> None:
    departures = Counter((trip["start_station"], hour_of(trip["start"])) for trip in counted.trips)
    members = Counter(
        (trip["start_station"], hour_of(trip["start"])) for trip in counted.trips if trip["member"] == "yes"
    )
    arrivals = Counter((trip["end_station"], hour_of(trip["end"])) for trip in counted.trips)
    assert answers.demand.keys() == departures.keys() | arrivals.keys()
    for key, row in answers.demand.items():
        assert key == (row.station_id, row.hour)
        assert (row.departures, row.arrivals, row.member_departures) == (departures[key], arrivals[key], members[key])
        local = row.hour.astimezone(VIENNA)
        assert (row.local_day, row.local_hour) == (local.date(), local.hour)
        assert (row.temperature_c, row.precipitation_mm) == counted.weather.get(row.hour, (None, None))


def assert_availability(counted: Counted, answers: Expected) -> None:
    moves: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for trip in counted.trips:
        moves[trip["start_station"]].append((trip["start"], -1))
        moves[trip["end_station"]].append((trip["end"], 1))
    keys = set()
    for day, snapshot in counted.snapshots.items():
        start = datetime.combine(day, datetime.min.time(), VIENNA).astimezone(UTC)
        for number_of_hour in range(25):
            hour = start + timedelta(hours=number_of_hour)
            if hour.astimezone(VIENNA).date() != day:
                continue
            for station, row in snapshot.items():
                change = sum(step for when, step in moves[station] if start <= when < hour + timedelta(hours=1))
                bikes = sorted((0, row["bikes_available"] + change, row["capacity"]))[1]
                keys.add((station, hour))
                assert answers.availability[station, hour] == (
                    station,
                    hour,
                    bikes,
                    row["capacity"] - bikes,
                    bikes == 0,
                    bikes == row["capacity"],
                )
    assert answers.availability.keys() == keys


def assert_report(counted: Counted, answers: Expected) -> None:
    stations = {station for station, _ in answers.demand} | {station for station, _ in answers.availability}
    # Every trip of the sample ends in its week.
    assert answers.report.keys() == {(DAYS[0], station) for station in stations}
    for (_, station), row in answers.report.items():
        those = [trip for trip in counted.trips if trip["start_station"] == station]
        count_of = len(those)
        assert row.departures == count_of
        assert row.arrivals == sum(trip["end_station"] == station for trip in counted.trips)
        names = [snapshot[station]["name"] for _, snapshot in sorted(counted.snapshots.items()) if station in snapshot]
        assert row.name == names[-1]
        assert row.hours_empty == sum(
            key[0] == station and found.is_empty for key, found in answers.availability.items()
        )
        if not those:
            assert row[5:9] == (None, None, None, None)
            continue
        by_hour = Counter(trip["start"].astimezone(VIENNA).hour for trip in those)
        assert row.busiest_local_hour == min(hour for hour, times in by_hour.items() if times == max(by_hour.values()))
        assert row.member_share == pytest.approx(sum(trip["member"] == "yes" for trip in those) / count_of)
        assert row.mean_duration_min == pytest.approx(sum(trip["seconds"] for trip in those) / count_of / 60)
        assert row.mean_distance_km == pytest.approx(sum(trip["metres"] for trip in those) / count_of / 1000)


def written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(0, 700),
    seed=st.integers(0, 1000),
    days=st.sets(st.sampled_from(DAYS)),
)
def test_the_answers_are_what_the_files_hold(
    tmp_path_factory: pytest.TempPathFactory, rows: int, seed: int, days: set[date]
) -> None:
    landing = tmp_path_factory.mktemp("landing")
    write(NO_SPARK, str(landing), rows=rows, seed=seed, files=LocalFiles(), days=sorted(days))
    assert_equal(count(landing, sorted(days)), expected(rows=rows, seed=seed, days=days), sorted(days))


@pytest.mark.parametrize(("rows", "seed"), [(2 * PERIOD + 431, 1), (PERIOD, 5)])
def test_the_answers_hold_beyond_the_period_of_the_patterns(tmp_path: Path, rows: int, seed: int) -> None:
    write(NO_SPARK, str(tmp_path), rows=rows, seed=seed, files=LocalFiles())
    counted, answers = count(tmp_path, DAYS), expected(rows=rows, seed=seed)
    assert answers.bronze["trips"] == counted.bronze["trips"] > rows
    assert +Counter(answers.quarantine) == +counted.quarantine
    assert answers.silver["silver_trips"] == len(counted.trips)
    assert answers.rides == rides(counted)
    assert_demand(counted, answers)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_mistake_occurs_from_a_stated_number_of_trips_on(seed: int) -> None:
    for rows in (EVERY_MISTAKE_FROM, EVERY_MISTAKE_FROM + 1, PERIOD + 17, 50_000_000):
        answers = expected(rows=rows, seed=seed)
        assert {rule for rule, times in answers.quarantine.items() if times} == ALL_RULES
        assert sum(answers.bronze.values()) == (
            answers.silver["silver_trips"]
            + answers.silver["silver_weather"]
            + answers.silver["silver_station_stock"]
            + sum(answers.quarantine.values())
        )


def test_a_moved_a_changed_a_closed_an_opened_and_a_pausing_station_are_in_the_history() -> None:
    versions = Counter(version.station_id for version in expected(rows=1).history)
    changed = {station for station, times in versions.items() if times == 2}
    assert changed == {"S007", "S011", "S019", "S023"}
    (closed,) = [version for version in expected(rows=1).history if version.station_id == "S013"]
    assert closed.valid_to == DAYS[4]
    (opened,) = [version for version in expected(rows=1).history if version.station_id == "S017"]
    assert opened.valid_from == DAYS[1]


def test_trips_in_the_doubled_hour_are_placed_by_their_duration_and_else_early(tmp_path: Path) -> None:
    write(NO_SPARK, str(tmp_path), rows=EVERY_MISTAKE_FROM, files=LocalFiles())
    counted = count(tmp_path, DAYS)
    doubled = [trip for trip in counted.trips if len(instants(trip["started_at"])) == 2]
    second = [trip for trip in doubled if trip["start"] == instants(trip["started_at"])[1]]
    assert len(doubled) >= 5
    assert second
    hours = {key[1] for key in expected(rows=EVERY_MISTAKE_FROM).demand}
    sunday_at_two = datetime(2024, 10, 27, 0, tzinfo=UTC)
    assert {sunday_at_two, sunday_at_two + timedelta(hours=1)} <= hours


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        write(NO_SPARK, str(tmp_path / name), rows=300, seed=seed, files=LocalFiles())
    assert written(tmp_path / "first") == written(tmp_path / "again")
    assert written(tmp_path / "first") != written(tmp_path / "other")


def test_a_week_written_day_by_day_is_the_week_written_at_once(tmp_path: Path) -> None:
    write(NO_SPARK, str(tmp_path / "at once"), rows=300, files=LocalFiles())
    for day in reversed(DAYS):
        assert write(NO_SPARK, str(tmp_path / "by day"), rows=300, files=LocalFiles(), days=[day]) == [day]
    assert written(tmp_path / "at once") == written(tmp_path / "by day")


def test_writing_again_touches_nothing(tmp_path: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    assert write(NO_SPARK, str(tmp_path), rows=300, files=LocalFiles()) == list(DAYS)
    before = times()
    assert write(NO_SPARK, str(tmp_path), rows=300, files=LocalFiles()) == []
    assert times() == before


def test_a_folder_with_another_week_is_refused(tmp_path: Path) -> None:
    write(NO_SPARK, str(tmp_path), rows=300, files=LocalFiles(), days=DAYS[:1])
    with pytest.raises(ValueError, match=r"rows=300,seed=1.*rows=301,seed=1"):
        write(NO_SPARK, str(tmp_path), rows=301, files=LocalFiles(), days=DAYS[:1])


@pytest.mark.parametrize(("rows", "days"), [(-1, DAYS), (1, [date(2024, 10, 28)])])
def test_what_is_outside_the_week_is_refused(tmp_path: Path, rows: int, days: Sequence[date]) -> None:
    with pytest.raises(ValueError, match="sample week"):
        write(NO_SPARK, str(tmp_path), rows=rows, files=LocalFiles(), days=days)
    with pytest.raises(ValueError, match="sample week"):
        expected(rows=rows, days=days)
