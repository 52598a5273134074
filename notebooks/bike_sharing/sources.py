"""The three sources: how their files look, what they are called in the tables, and how a row is read.

Files arrive as `<landing>/<source>/<file day>/<name>`. A column that was renamed by the sender is declared here with
all its names; a new column needs no declaration, bronze keeps it anyway.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bike_sharing import calendar

CORRUPT = "_malformed"


@dataclass(frozen=True)
class Source:
    """One kind of file.

    Args:
        name: folder in the landing place, and suffix of the bronze table.
        format: how the files are written; CSV files have a header, JSON files an object per line.
        columns: the columns that the chain reads, each with the names under which it arrives, newest first.
        silver: table that accepted rows go to.
        key: columns of the silver table that name a row.
        key_text: SQL for the same as one text.
        typed: SQL for each column of the silver table (and what the rules need), from the text columns. Several steps,
            so that one can use the results of the one before.
        newest: SQL that orders rows of one key; the greatest wins. Equal ones are told apart by their text, then by
            the earliest file, so that the order of arrival never matters.
    """

    name: str
    format: Literal["csv", "json"]
    columns: dict[str, tuple[str, ...]]
    silver: str
    key: tuple[str, ...]
    key_text: str
    typed: tuple[dict[str, str], ...]
    newest: str

    @property
    def bronze(self) -> str:
        """The bronze table."""
        return f"bronze_{self.name}"


def _as_named(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


_WITH_CLOCKS_BACK = f"""CASE
    WHEN unix_seconds(_end) - unix_seconds(_start) = duration_s THEN 0
    WHEN unix_seconds(_end) - unix_seconds(_start) + 3600 = duration_s AND {calendar.is_doubled("_end")} THEN 1
    WHEN unix_seconds(_end) - unix_seconds(_start) - 3600 = duration_s AND {calendar.is_doubled("_start")} THEN -1
END"""

TRIPS = Source(
    name="trips",
    format="csv",
    columns={
        **_as_named("trip_id", "bike_id"),
        "start_station": ("start_station_id", "start_station"),
        "end_station": ("end_station_id", "end_station"),
        **_as_named("started_at", "ended_at", "duration_s", "distance", "firmware", "member", "exported_at"),
    },
    silver="silver_trips",
    key=("trip_id",),
    key_text="trip_id",
    typed=(
        {
            "trip_id": "nullif(trim(trip_id), '')",
            "bike_id": "nullif(trim(bike_id), '')",
            "start_station": "nullif(trim(start_station), '')",
            "end_station": "nullif(trim(end_station), '')",
            "_start": calendar.wall_clock("started_at"),
            "_end": calendar.wall_clock("ended_at"),
            "duration_s": "try_cast(duration_s AS INT)",
            # firmware 1 sends kilometres
            "distance_m": "try_cast(distance AS DOUBLE) * IF(firmware LIKE '1.%', 1000, 1)",
            "member": "CASE member WHEN 'yes' THEN true WHEN 'no' THEN false END",
            "exported_at": calendar.instant("exported_at"),
            "file_day": "_file_day",
        },
        {"_start": calendar.earliest("_start"), "_end": calendar.earliest("_end")},
        # The hour that happens twice: hours to move the end (1) or the start (-1); null when nothing fits the duration.
        {"_shift": _WITH_CLOCKS_BACK},
        {
            "started_at": "IF(_shift = -1, timestamp_seconds(unix_seconds(_start) + 3600), _start)",
            "ended_at": "IF(_shift = 1, timestamp_seconds(unix_seconds(_end) + 3600), _end)",
        },
    ),
    newest="exported_at",
)

STATIONS = Source(
    name="stations",
    format="json",
    columns=_as_named("station_id", "name", "lat", "lon", "capacity", "bikes_available"),
    silver="silver_station_stock",
    key=("station_id", "day"),
    key_text="concat_ws(' ', station_id, day)",
    typed=(
        {
            "station_id": "nullif(trim(station_id), '')",
            "day": "_file_day",
            "name": "trim(name)",
            "lat": "try_cast(lat AS DOUBLE)",
            "lon": "try_cast(lon AS DOUBLE)",
            "capacity": "try_cast(capacity AS INT)",
            "bikes_available": "try_cast(bikes_available AS INT)",
        },
    ),
    newest="day",
)

WEATHER = Source(
    name="weather",
    format="csv",
    columns=_as_named("observed_at", "temperature", "temperature_unit", "wind", "wind_unit", "precipitation_mm"),
    silver="silver_weather",
    key=("observed_at",),
    key_text="CAST(unix_seconds(observed_at) AS STRING)",
    typed=(
        {
            "observed_at": calendar.hour_of(calendar.instant("observed_at")),
            "temperature_c": "round(CASE temperature_unit WHEN 'C' THEN try_cast(temperature AS DOUBLE)"
            " WHEN 'F' THEN (try_cast(temperature AS DOUBLE) - 32) * 5 / 9 END, 2)",
            "wind_ms": "round(CASE wind_unit WHEN 'm/s' THEN try_cast(wind AS DOUBLE)"
            " WHEN 'km/h' THEN try_cast(wind AS DOUBLE) / 3.6 END, 2)",
            "precipitation_mm": "try_cast(precipitation_mm AS DOUBLE)",
        },
    ),
    newest="_file_day",
)

SOURCES = (STATIONS, WEATHER, TRIPS)


def header_fields(header: str) -> list[str]:
    """The fields of a CSV header, as they stand there.

    Args:
        header: first line of the file.
    """
    return next(csv.reader([header.lstrip("\ufeff")]), [])


def join_header(fields: Iterable[str]) -> str:
    """The header of a CSV file with these fields.

    Args:
        fields: in order.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def header_columns(header: str) -> list[str]:
    """The names of a CSV header as columns of a table, one for each field, in the file's order.

    A table's columns can't be without a name, twice the same, or hold some characters
    (https://docs.delta.io/latest/delta-column-mapping.html); such names are made usable. A leading underscore is
    dropped, those names are the chain's own.

    Args:
        header: first line of the file.
    """
    names: list[str] = []
    for place, field in enumerate(header_fields(header)):
        name = re.sub(r"[\s,;{}()=.`]+", "_", field.strip()).lstrip("_") or f"column_{place}"
        if name.lower() in {known.lower() for known in names}:
            name = f"{name}_{place}"
        names.append(name)
    return names


def missing_columns(source: Source, columns: list[str]) -> list[str]:
    """The columns that the chain reads and that a file has under none of their names."""
    there = {column.lower() for column in columns}
    return [column for column, names in source.columns.items() if there.isdisjoint(names)]
