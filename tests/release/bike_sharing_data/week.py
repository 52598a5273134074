"""The sample week: its days, the city's clock, and the hours of a day in UTC.

The clocks go back on Sunday 2024-10-27: 02:00 to 03:00 happens twice there, and the day has 25 hours.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")

CITY = ZoneInfo("Europe/Vienna")
MONDAY = date(2024, 10, 21)
DAYS = tuple(MONDAY + timedelta(days=number) for number in range(7))
"""The file days of the week. The file of a day arrives on the next one."""
RENAMED = date(2024, 10, 24)
"""The first file day on which the trips' columns have their new names and order."""


def midnight(day: date) -> datetime:
    """The start of a local day, as an instant in UTC."""
    return datetime.combine(day, time(), CITY).astimezone(UTC)


def hours(day: date) -> list[datetime]:
    """The hours of a local day, each as the instant in UTC at which it begins: 24, or 25 where the clocks go back."""
    start, end = midnight(day), midnight(day + timedelta(days=1))
    return [start + timedelta(hours=number) for number in range(int((end - start) / timedelta(hours=1)))]


def wall_clock(instant: datetime) -> str:
    """What a clock in the city shows, as the bikes send it: without a zone."""
    return instant.astimezone(CITY).strftime("%Y-%m-%d %H:%M:%S")


def dice(*parts: object) -> Random:
    """Random numbers that are the same whenever the parts are."""
    return Random("/".join(map(str, parts)))  # noqa: S311 - sample data needs numbers that come again, not secret ones


def two_of(seven: Sequence[T], day: date) -> tuple[T, T]:
    """Two of seven things for a day of the week: each has its turn on two days, so that no day has too many of them."""
    number = DAYS.index(day)
    return seven[number], seven[(number + 3) % 7]
