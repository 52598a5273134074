"""Local time of the city and instants, independent of the session's time zone.

A *wall clock* here is a `timestamp` whose UTC reading shows what the clock in the city shows; an *instant* is an
ordinary `timestamp`. `to_utc_timestamp` and `from_utc_timestamp` shift between the two by the zone's rules alone, while
`hour`, `to_date` or a cast would go by the session's zone
(https://spark.apache.org/docs/latest/api/sql/index.html#from_utc_timestamp). All functions take and give SQL text.
"""

CITY_ZONE = "Europe/Vienna"

_HOUR = 3600
_DAY = 24 * _HOUR


def wall_clock(text: str) -> str:
    """SQL for the wall clock that a text `YYYY-MM-DD HH:MM:SS` shows; null when it isn't one.

    Args:
        text: SQL of type string.
    """
    return f"IF(length({text}) = 19, try_cast({text} || 'Z' AS TIMESTAMP), NULL)"


def instant(text: str) -> str:
    """SQL for the instant that a text `YYYY-MM-DDTHH:MM:SSZ` names; null when it doesn't, or has no zone.

    Args:
        text: SQL of type string.
    """
    return f"IF({text} LIKE '____-__-__T__:__:__Z', try_cast({text} AS TIMESTAMP), NULL)"


def earliest(wall: str) -> str:
    """SQL for the instant of a wall clock, the earlier one when it happens twice, null when it never happens.

    When clocks go forward an hour is left out: its wall clocks shift on the way to UTC and don't come back the same.

    Args:
        wall: SQL of a wall clock.
    """
    utc = f"to_utc_timestamp({wall}, '{CITY_ZONE}')"
    return f"IF(from_utc_timestamp({utc}, '{CITY_ZONE}') = {wall}, {utc}, NULL)"


def is_doubled(earlier: str) -> str:
    """SQL for whether the wall clock of an instant comes again an hour later, as when clocks go back.

    Args:
        earlier: SQL of an instant, the earlier one of its wall clock.
    """
    return (
        f"from_utc_timestamp(timestamp_seconds(unix_seconds({earlier}) + {_HOUR}), '{CITY_ZONE}')"
        f" = from_utc_timestamp({earlier}, '{CITY_ZONE}')"
    )


def hour_of(at: str) -> str:
    """SQL for the full hour (UTC) that an instant lies in. It is a full local hour, too."""
    return f"timestamp_seconds(unix_seconds({at}) DIV {_HOUR} * {_HOUR})"


def local_day(at: str) -> str:
    """SQL for the city's date at an instant."""
    return f"date_from_unix_date(CAST(unix_seconds(from_utc_timestamp({at}, '{CITY_ZONE}')) DIV {_DAY} AS INT))"


def local_hour(at: str) -> str:
    """SQL for the hour, 0 to 23, that the city's clock shows at an instant."""
    return f"CAST(unix_seconds(from_utc_timestamp({at}, '{CITY_ZONE}')) % {_DAY} DIV {_HOUR} AS INT)"


def midnight(day: str) -> str:
    """SQL for the instant at which a date begins in the city."""
    return f"to_utc_timestamp(timestamp_seconds(CAST(unix_date({day}) AS BIGINT) * {_DAY}), '{CITY_ZONE}')"


def hours_of_day(day: str) -> str:
    """SQL for the array of instants at which the hours of a date begin in the city: 23, 24 or 25 of them."""
    first, after = (f"unix_seconds({midnight(d)})" for d in (day, f"date_add({day}, 1)"))
    return f"transform(sequence({first}, {after} - {_HOUR}, {_HOUR}), s -> timestamp_seconds(s))"
