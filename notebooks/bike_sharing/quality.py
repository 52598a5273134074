"""The rules that a row must keep, all in one place, and the verdict over rows.

A row that breaks several rules is counted under the first in the order given here.
"""

from dataclasses import dataclass

DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        source: name of the source whose rows it judges.
        name: what the quarantine calls it.
        broken: SQL that is true for a row that breaks it, over the source's typed columns. For `duplicate` the
            verdict adds `_place`, the row's place among those of the same key; rules before it don't see `_place`.
        sentence: what it means, for people.
    """

    source: str
    name: str
    broken: str
    sentence: str


_MALFORMED = ("malformed", "_malformed IS NOT NULL", "The line doesn't have the fields that its file announces.")

_RULES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "trips": (
        _MALFORMED,
        ("trip_id_missing", "trip_id IS NULL", "The trip has no id."),
        (DUPLICATE, "_place > 1", "The same trip was exported later, or arrived twice."),
        ("station_missing", "start_station IS NULL OR end_station IS NULL", "Start or end station is empty."),
        ("time_unreadable", "_start IS NULL OR _end IS NULL", "Start or end isn't a time that the city's clocks show."),
        (
            "duration_wrong",
            "duration_s IS NULL OR duration_s <= 0 OR _shift IS NULL",
            "The duration isn't positive, or isn't the time from start to end.",
        ),
        ("too_long", "duration_s > 24 * 3600", "The trip takes longer than a day."),
        (
            "distance_wrong",
            "distance_m IS NULL OR distance_m < 0 OR distance_m > 200000",
            "The distance is missing, negative or more than 200 km.",
        ),
        ("station_unknown", "NOT _stations_known", "No snapshot of the stations names the start or the end station."),
    ),
    "stations": (
        _MALFORMED,
        ("station_id_missing", "station_id IS NULL", "The station has no id."),
        (
            "position_wrong",
            "lat IS NULL OR lon IS NULL OR NOT lat BETWEEN 47 AND 49 OR NOT lon BETWEEN 15 AND 18",
            "The position is missing or far from the city.",
        ),
        ("capacity_wrong", "capacity IS NULL OR capacity < 1", "The station has no docks."),
        (DUPLICATE, "_place > 1", "The day's snapshot names the station twice."),
    ),
    "weather": (
        _MALFORMED,
        ("observed_at_unreadable", "observed_at IS NULL", "The time of the observation isn't a UTC time."),
        (
            "temperature_wrong",
            "temperature_c IS NULL OR NOT temperature_c BETWEEN -40 AND 50",
            "The temperature is missing, has no known unit, or is outside -40 to 50 degrees Celsius.",
        ),
        ("wind_wrong", "wind_ms IS NULL OR wind_ms < 0", "The wind is missing, has no known unit, or is negative."),
        (DUPLICATE, "_place > 1", "The hour was observed again by a later file, or twice."),
    ),
}

RULES = tuple(Rule(source, *rule) for source, rules in _RULES.items() for rule in rules)


def _split(source: str) -> tuple[list[Rule], list[Rule]]:
    rules = [rule for rule in RULES if rule.source == source]
    place = next(index for index, rule in enumerate(rules) if rule.name == DUPLICATE)
    return rules[:place], rules[place:]


def _first_broken(rules: list[Rule]) -> str:
    return " ".join(["CASE", *(f"WHEN {rule.broken} THEN '{rule.name}'" for rule in rules), "END"])


def verdict_before(source: str) -> str:
    """SQL for the first broken rule of those that a row is judged by alone, before duplicates; null when it keeps them.

    Args:
        source: name of the source.
    """
    return _first_broken(_split(source)[0])


def verdict_after(source: str) -> str:
    """SQL for the first broken rule from `duplicate` on, for rows that keep the ones before; null when accepted.

    Args:
        source: name of the source.
    """
    return _first_broken(_split(source)[1])


def after_duplicate(source: str) -> list[str]:
    """Names of the rules after `duplicate`: a row that breaks one of them still stands for its key.

    Args:
        source: name of the source.
    """
    return [rule.name for rule in _split(source)[1][1:]]
