"""The weather's files: one observation an hour, in units that change with the sensor, and which lines are good."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import NamedTuple

from .week import DAYS, dice, hours, two_of

HEADER = "observed_at,temperature,temperature_unit,wind,wind_unit,precipitation_mm"
FAHRENHEIT = DAYS[2:4]
KILOMETRES_AN_HOUR = DAYS[3:5]


class Observation(NamedTuple):
    """A good line in the units of silver_weather."""

    hour: datetime
    temperature_c: float
    wind_ms: float
    precipitation_mm: float


@dataclass(frozen=True)
class File:
    """A day's file: its text, its good observations (some come twice), and how many lines break which rule."""

    text: str
    observations: list[Observation]
    broken: Mapping[str, int]

    @property
    def lines(self) -> int:
        """How many lines the file has, without its header."""
        return self.text.count("\n") - 1


@dataclass(frozen=True)
class _Reading:
    hour: datetime
    temperature: float
    temperature_unit: str
    wind: float
    wind_unit: str
    rain: float

    def text(self, **changes: str) -> str:
        fields = {
            "observed_at": self.hour.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "temperature": str(self.temperature),
            "temperature_unit": self.temperature_unit,
            "wind": str(self.wind),
            "wind_unit": self.wind_unit,
            "precipitation_mm": str(self.rain),
        }
        return ",".join((fields | changes).values())

    def observation(self) -> Observation:
        celsius = (self.temperature - 32) * 5 / 9 if self.temperature_unit == "F" else self.temperature
        metres = self.wind / 3.6 if self.wind_unit == "km/h" else self.wind
        return Observation(self.hour, round(celsius, 2), round(metres, 2), self.rain)


@cache
def file(day: date, seed: int) -> File:
    """The file of a day of the week. It says the last hour of the day before once more, with another temperature."""
    readings = _readings(day, seed)
    mistakes = (
        ("observed_at_unreadable", {"observed_at": "n/a"}),
        ("temperature_wrong", {"temperature": ""}),
        ("wind_wrong", {"wind": ""}),
        ("observed_at_unreadable", {"observed_at": f"{day:%d.%m.%Y} 02:00"}),
        ("temperature_wrong", {"temperature": "999"}),
        ("wind_wrong", {"wind": "-1.0"}),
        ("temperature_wrong", {"temperature": "-60.0"}),
    )
    chosen = list(two_of(mistakes, day))
    spoiled = {5 + 3 * place: changes for place, (_, changes) in enumerate(chosen)}
    good = [reading for hour, reading in enumerate(readings) if hour not in spoiled]
    lines = [reading.text(**spoiled.get(hour, {})) for hour, reading in enumerate(readings)]
    again = [readings[12]]
    if day > DAYS[0]:
        last = _readings(day - timedelta(days=1), seed)[-1]
        again.append(replace(last, temperature=round(last.temperature + 1.5, 1)))
    lines += [reading.text() for reading in again]
    dice(seed, day).shuffle(lines)
    text = "".join(f"{line}\n" for line in [HEADER, *lines])
    return File(text, [reading.observation() for reading in good + again], Counter(rule for rule, _ in chosen))


def observed(days: Iterable[date], seed: int) -> dict[datetime, Observation]:
    """The weather by hour after the files of these days: of an hour that comes again the last by file day."""
    return {found.hour: found for day in sorted(days) for found in file(day, seed).observations}


@cache
def _readings(day: date, seed: int) -> list[_Reading]:
    rng = dice(seed, "weather", day)
    readings = []
    for hour in hours(day):
        celsius, metres = round(rng.uniform(-3.0, 19.0), 1), round(rng.uniform(0.0, 14.0), 1)
        rain = rng.choice((0.0, 0.0, 0.0, round(rng.uniform(0.1, 6.0), 1)))
        temperature = (round(celsius * 9 / 5 + 32, 1), "F") if day in FAHRENHEIT else (celsius, "C")
        wind = (round(metres * 3.6, 1), "km/h") if day in KILOMETRES_AN_HOUR else (metres, "m/s")
        readings.append(_Reading(hour, *temperature, *wind, rain))
    return readings
