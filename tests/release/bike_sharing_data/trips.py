"""The trips: a fixed number of patterns, each the lines that one trip has in the files, with what every line means.

Trip number `i` follows pattern `i % PERIOD`; only its trip_id and bike_id depend on `i` itself. So whatever is counted
or summed over any number of trips is a sum over the patterns, each times how often it occurs.

Each BLOCK of patterns holds every kind of mistake, in an order that the seed decides. So from BLOCK trips on every kind
occurs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random

from .stations import CLOSES, OPENS, STATIONS, UNKNOWN
from .week import CITY, DAYS, RENAMED, dice, midnight, wall_clock

BLOCK = 200
PERIOD = 30 * BLOCK
BIKES = 997
NOTHING: Mapping[str, str] = {}
TRIP, BIKE = "#trip#", "#bike#"
"""What stands in the text of a line for the trip's and the bike's id."""

OLD_HEADER = (
    "trip_id,bike_id,start_station,end_station,started_at,ended_at,duration_s,distance,firmware,member,exported_at"
)
NEW_HEADER = (
    "exported_at,trip_id,bike_id,start_station_id,end_station_id,started_at,ended_at,duration_s,distance,"
    "member,firmware"
)
_NEW_NAMES = {"start_station_id": "start_station", "end_station_id": "end_station"}
_SUNDAY, _TUESDAY = 6, 1
_LAST_SUMMER_HOUR = midnight(DAYS[_SUNDAY]) + timedelta(hours=2)
"""The instant at which the doubled hour begins for the first time; an hour later it begins again."""


@dataclass(frozen=True, slots=True)
class Ride:
    """What a good line means, in the terms of silver_trips."""

    start_station: str
    end_station: str
    started_at: datetime
    duration_s: int
    distance_m: int
    member: bool

    @property
    def ended_at(self) -> datetime:
        """The instant of the end."""
        return self.started_at + timedelta(seconds=self.duration_s)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file. `rule` is the quality rule that it breaks by itself, `ride` what it means when it breaks none;
    a line without a readable trip_id (`has_id` false) has no duplicates."""

    file_day: date
    file: str
    exported_at: datetime
    text: str
    rule: str | None
    ride: Ride
    has_id: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """The lines of one trip in the order in which they stand in the files of a day."""

    kind: str
    lines: tuple[Line, ...]


def header(day: date) -> str:
    """The names of the columns in the files of a day."""
    return OLD_HEADER if day < RENAMED else NEW_HEADER


def trip_id(number: int) -> str:
    """The id of trip `number`."""
    return f"T{number:09d}"


def bike_id(number: int) -> str:
    """The id of the bike of trip `number`."""
    return f"B{number % BIKES:04d}"


@cache
def patterns(seed: int) -> tuple[Pattern, ...]:
    """All patterns, by number."""
    found = []
    for block in range(PERIOD // BLOCK):
        rng = dice(seed, "trips", block)
        kinds = [kind for kind, (often, _) in KINDS.items() for _ in range(often)]
        kinds += ["plain"] * (BLOCK - len(kinds))
        rng.shuffle(kinds)
        found += [Pattern(kind, tuple(KINDS[kind][1](_Maker(rng)))) for kind in kinds]
    return tuple(found)


@dataclass(frozen=True)
class _Maker:
    """Makes the rides and lines of one pattern."""

    rng: Random

    def day(self, last: int = 6) -> int:
        return self.rng.randint(0, last)

    def ride(self, day: int, *, started_at: datetime | None = None, duration_s: int | None = None) -> Ride:
        """A ride between 05:00 and 24:00 of a day of the week, with peaks when people go to work and home."""
        rng = self.rng
        if started_at is None:
            hour = rng.choice((5, 6, 7, 7, 8, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 17, 17, 18, 18, 19, 20, 21))
            wall = datetime.combine(DAYS[day], time(hour, rng.randrange(60), rng.randrange(60)), CITY)
            started_at = wall.astimezone(UTC)
        return Ride(
            start_station=rng.choice(STATIONS),
            end_station=rng.choice(STATIONS),
            started_at=started_at,
            duration_s=rng.randint(61, 4800) if duration_s is None else duration_s,
            distance_m=10 * rng.randint(5, 1200),
            member=rng.random() < 0.6,
        )

    def line(
        self,
        ride: Ride,
        day: int,
        *,
        rule: str | None = None,
        file: str = "part",
        firmware: str | None = None,
        export_minutes: int = 0,
        changes: Mapping[str, str] = NOTHING,
    ) -> Line:
        """The line of a ride in the files of a day, exported in the night after it and `export_minutes` later."""
        firmware = self.rng.choice(("2.0.1", "2.1.0", "3.0.0")) if firmware is None else firmware
        kilometres = firmware.startswith("1.")
        exported_at = datetime.combine(DAYS[day], time(2), UTC) + timedelta(days=1, minutes=export_minutes)
        fields = {
            "trip_id": TRIP,
            "bike_id": BIKE,
            "start_station": ride.start_station,
            "end_station": ride.end_station,
            "started_at": wall_clock(ride.started_at),
            "ended_at": wall_clock(ride.ended_at),
            "duration_s": str(ride.duration_s),
            "distance": f"{ride.distance_m / 1000:.2f}" if kilometres else str(ride.distance_m),
            "firmware": firmware,
            "member": "yes" if ride.member else "no",
            "exported_at": exported_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        } | dict(changes)
        text = ",".join(fields[_NEW_NAMES.get(name, name)] for name in header(DAYS[day]).split(","))
        return Line(DAYS[day], file, exported_at, text, rule, ride, has_id=fields["trip_id"] != "")


def _plain(make: _Maker) -> list[Line]:
    day = make.day()
    return [make.line(make.ride(day), day)]


def _kilometres(make: _Maker) -> list[Line]:
    day = make.day()
    return [make.line(make.ride(day), day, firmware=make.rng.choice(("1.0.9", "1.4.2")))]


def _tenth_firmware(make: _Maker) -> list[Line]:
    """Its name begins with a 1 all the same: these are metres."""
    day = make.day()
    return [make.line(make.ride(day), day, firmware="10.2.0")]


def _limits(make: _Maker) -> list[Line]:
    """Exactly as long and as far as a trip may be."""
    day = make.day(last=3)
    longest = replace(make.ride(day, duration_s=86_400), distance_m=200_000)
    return [make.line(longest, day, firmware=make.rng.choice(("1.0.9", "2.0.1")))]


def _over_midnight(make: _Maker) -> list[Line]:
    day = make.day(last=5)
    before, after = make.rng.randint(60, 1500), make.rng.randint(0, 1500)
    started_at = midnight(DAYS[day + 1]) - timedelta(seconds=before)
    return [make.line(make.ride(day, started_at=started_at, duration_s=before + after), day)]


def _opening(make: _Maker) -> list[Line]:
    """On the day before the first snapshot that knows the station."""
    return [make.line(replace(make.ride(0), start_station=OPENS), 0)]


def _closing(make: _Maker) -> list[Line]:
    """Comes late, in a file of a day whose snapshot doesn't know the station any more."""
    return [make.line(replace(make.ride(3), end_station=CLOSES), 4)]


def _late(make: _Maker, days: int) -> list[Line]:
    day = make.day(last=6 - days)
    return [make.line(make.ride(day), day + days)]


def _twice_in_file(make: _Maker) -> list[Line]:
    return _plain(make) * 2


def _twice_in_day(make: _Maker) -> list[Line]:
    """The export ran twice on Tuesday: the second file repeats some of the first one's lines."""
    line = make.line(make.ride(_TUESDAY), _TUESDAY, firmware="2.0.1")
    return [line, replace(line, file="again")]


def _twice_in_days(make: _Maker) -> list[Line]:
    """The next day's file says the same again, with the same time of export."""
    day = make.day(last=5)
    ride = make.ride(day)
    return [
        make.line(ride, day, firmware="2.0.1"),
        make.line(ride, day + 1, firmware="2.0.1", export_minutes=-24 * 60),
    ]


def _changed(make: _Maker, ride: Ride) -> Ride:
    return replace(
        ride, end_station=make.rng.choice(STATIONS), duration_s=ride.duration_s + 120, distance_m=ride.distance_m + 50
    )


def _corrected(make: _Maker) -> list[Line]:
    day = make.day(last=4)
    ride = make.ride(day)
    return [make.line(ride, day), make.line(_changed(make, ride), day + make.rng.randint(1, 2))]


def _corrected_in_file(make: _Maker) -> list[Line]:
    """The correction stands before what it corrects."""
    day = make.day()
    ride = make.ride(day)
    return [make.line(_changed(make, ride), day, export_minutes=45), make.line(ride, day)]


def _corrected_twice(make: _Maker) -> list[Line]:
    day = make.day(last=4)
    first = make.ride(day)
    second = _changed(make, first)
    return [make.line(first, day), make.line(second, day + 1), make.line(_changed(make, second), day + 2)]


def _repaired(make: _Maker) -> list[Line]:
    day = make.day(last=5)
    ride = make.ride(day)
    return [make.line(ride, day, rule="distance_wrong", changes={"distance": ""}), make.line(ride, day + 1)]


def _spoiled(make: _Maker) -> list[Line]:
    day = make.day(last=5)
    ride = make.ride(day)
    return [make.line(ride, day), make.line(ride, day + 1, rule="duration_wrong", changes={"duration_s": "0"})]


def _broken(rule: str, *choices: dict[str, str]) -> Callable[[_Maker], list[Line]]:
    """One line with one of these texts in its fields."""

    def lines(make: _Maker) -> list[Line]:
        # Not on Sunday: in the doubled hour a wrong duration can be a right one.
        day = make.day(last=5)
        changes = dict(make.rng.choice(choices))
        firmware = changes.pop("firmware", "2.0.1")
        return [make.line(make.ride(day), day, rule=rule, firmware=firmware, changes=changes)]

    return lines


def _mismatch(make: _Maker) -> list[Line]:
    """An hour more than between the two clock readings, on a day without a doubled hour; or backwards."""
    day = make.day(last=4)
    ride = make.ride(day)
    wrong = make.rng.choice((ride.duration_s + 3600, ride.duration_s - 1, -ride.duration_s))
    return [make.line(ride, day, rule="duration_wrong", changes={"duration_s": str(wrong)})]


def _backwards(make: _Maker) -> list[Line]:
    day = make.day(last=4)
    return [make.line(make.ride(day, duration_s=-make.rng.randint(60, 3000)), day, rule="duration_wrong")]


def _too_long(make: _Maker) -> list[Line]:
    day = make.day(last=2)
    return [make.line(make.ride(day, duration_s=make.rng.randint(86_401, 200_000)), day, rule="too_long")]


def _malformed(make: _Maker) -> list[Line]:
    """A line that was cut off, or one with a comma too many."""
    day = make.day()
    line = make.line(make.ride(day), day, rule="malformed")
    text = make.rng.choice((",".join(line.text.split(",")[:5]), line.text + ",", line.text.replace(TRIP, f"{TRIP},x")))
    return [replace(line, text=text, has_id=False)]


def _doubled_hour(
    start: tuple[int, int], end: tuple[int, int], fits_shifted: bool = False
) -> Callable[[_Maker], list[Line]]:
    """A ride on Sunday night; start and end lie between these minutes after the doubled hour's first beginning.

    With `fits_shifted` it may also have taken place the second time; then the contract takes the earlier instant, and
    so does `ride`.
    """

    def lines(make: _Maker) -> list[Line]:
        begun, ended = make.rng.randint(*start), make.rng.randint(*end)
        seconds = make.rng.randrange(60)
        started_at = _LAST_SUMMER_HOUR + timedelta(minutes=begun, seconds=seconds)
        ride = make.ride(_SUNDAY, started_at=started_at, duration_s=(ended - begun) * 60)
        told = ride
        if fits_shifted and make.rng.random() < 0.5:
            told = replace(ride, started_at=started_at + timedelta(hours=1))
        return [replace(make.line(told, _SUNDAY), ride=ride)]

    return lines


KINDS: dict[str, tuple[int, Callable[[_Maker], list[Line]]]] = {
    "plain": (0, _plain),
    "kilometres": (12, _kilometres),
    "tenth_firmware": (2, _tenth_firmware),
    "limits": (1, _limits),
    "over_midnight": (3, _over_midnight),
    "opening": (1, _opening),
    "closing": (1, _closing),
    "late_one_day": (3, lambda make: _late(make, 1)),
    "late_two_days": (2, lambda make: _late(make, 2)),
    "twice_in_file": (2, _twice_in_file),
    "twice_in_day": (1, _twice_in_day),
    "twice_in_days": (1, _twice_in_days),
    "corrected": (3, _corrected),
    "corrected_in_file": (1, _corrected_in_file),
    "corrected_twice": (1, _corrected_twice),
    "repaired": (1, _repaired),
    "spoiled": (1, _spoiled),
    "trip_id_missing": (1, _broken("trip_id_missing", {"trip_id": ""})),
    "start_missing": (1, _broken("station_missing", {"start_station": ""})),
    "end_missing": (1, _broken("station_missing", {"end_station": ""})),
    "start_unknown": (1, _broken("station_unknown", {"start_station": UNKNOWN})),
    "end_unknown": (1, _broken("station_unknown", {"end_station": UNKNOWN})),
    "time_unreadable": (
        1,
        _broken(
            "time_unreadable",
            {"started_at": "21.10.2024 08:15"},
            {"ended_at": ""},
            {"started_at": "2024-10-22 25:10:00"},
            {"started_at": "null", "ended_at": "null"},
        ),
    ),
    # The clocks went forward on that night: there was no 02:30.
    "time_skipped": (
        1,
        _broken(
            "time_unreadable",
            {"started_at": "2024-03-31 02:30:00", "ended_at": "2024-03-31 03:10:00", "duration_s": "2400"},
        ),
    ),
    "duration_zero": (1, _broken("duration_wrong", {"duration_s": "0"}, {"duration_s": ""})),
    "duration_mismatch": (1, _mismatch),
    "backwards": (1, _backwards),
    "too_long": (1, _too_long),
    "distance_missing": (1, _broken("distance_wrong", {"distance": ""}, {"distance": "-10"})),
    "too_far": (
        1,
        _broken("distance_wrong", {"distance": "200010"}, {"distance": "200.01", "firmware": "1.4.2"}),
    ),
    "malformed": (2, _malformed),
    "several_mistakes": (
        1,
        _broken("station_missing", {"start_station": "", "ended_at": "?", "distance": "-5", "end_station": UNKNOWN}),
    ),
    "far_and_unknown": (1, _broken("distance_wrong", {"distance": "-5", "end_station": UNKNOWN})),
    "into_first": (1, _doubled_hour((-20, -1), (5, 55))),
    "into_second": (1, _doubled_hour((-20, -1), (65, 115))),
    "from_first": (1, _doubled_hour((5, 55), (121, 160))),
    "from_second": (1, _doubled_hour((65, 115), (121, 160))),
    "first_to_second": (1, _doubled_hour((30, 58), (62, 85))),
    "either": (2, _doubled_hour((1, 25), (30, 58), fits_shifted=True)),
}
"""Every kind of trip: how many there are in a block (the rest is plain), and what makes its lines."""
