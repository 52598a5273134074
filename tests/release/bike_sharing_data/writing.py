"""Writes the landing files of the sample week: `<landing>/<source>/<file day>/<name>`.

A file's name and text depend on the number of trips and the seed alone. A note in `<landing>/_delivered` says what a
day's files were made from. So writing again changes nothing: a Volume's files keep their times, and nobody takes them
for new.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from . import stations, trips, weather
from .files import Files
from .week import DAYS

if TYPE_CHECKING:  # the answers, and small weeks, need no Spark
    from pyspark.sql import SparkSession

VERSION = 1
"""Belongs to the note: to be raised when the same rows and seed give other files than before."""
WITHOUT_SPARK = 20_000
"""Up to so many trips the text is made here: quicker than a job for each file."""
ROWS_IN_FILE = 1_000_000
"""About so many lines a file of trips has at most."""


@dataclass(frozen=True)
class _Part:
    """The lines of one group of files of a day: the pattern's number and the text of each, in order."""

    day: date
    name: str
    lines: list[tuple[int, str]]


def write(
    spark: "SparkSession", landing: str, *, rows: int, files: Files, seed: int = 1, days: Collection[date] = DAYS
) -> list[date]:
    """Write the files of `days` for a week of `rows` trips below `landing`; returns the days that weren't there yet.

    `files` is dbutils.fs on Databricks, `LocalFiles()` on a local disk; `landing` a path that both it and Spark
    understand. `days` lets the week arrive day by day, or in another order: a day's files are the same whatever comes
    before.
    ValueError when the landing folder has files of the same day that were made from other rows or another seed.
    """
    if rows < 0 or not set(days) <= set(DAYS):
        raise ValueError(f"rows={rows}, days={sorted(days)}: rows can't be negative, days are those of the sample week")
    files.mkdirs(f"{landing}/_delivered")
    delivered = {entry.name.split(",")[0]: entry.name for entry in files.ls(f"{landing}/_delivered")}
    new = []
    for day in days:
        note = f"{day},rows={rows},seed={seed},version={VERSION}"
        found = delivered.get(str(day), note)
        if found != note:
            raise ValueError(f"{landing} already has the files of {found}, not of {note}: choose an empty folder")
        if str(day) in delivered:
            continue
        for part in _parts(day, seed):
            _write_trips(spark, landing, part, rows, files)
        files.put(f"{landing}/stations/{day}/snapshot.json", stations.snapshot(day, seed).text, True)
        files.put(f"{landing}/weather/{day}/weather.csv", weather.file(day, seed).text, True)
        files.put(f"{landing}/_delivered/{note}", "", True)
        new.append(day)
    return new


def trip_lines(day: date, name: str, *, rows: int, seed: int) -> Iterator[str]:
    """The lines of a day's files of trips with that name (`part`, `again`), without the header, in order."""
    for part in _parts(day, seed):
        if part.name == name:
            yield from _texts(part, rows)


def _parts(day: date, seed: int) -> list[_Part]:
    found: dict[str, _Part] = {}
    for number, pattern in enumerate(trips.patterns(seed)):
        for line in pattern.lines:
            if line.file_day == day:
                found.setdefault(line.file, _Part(day, line.file, [])).lines.append((number, line.text))
    return list(found.values())


def _texts(part: _Part, rows: int) -> Iterator[str]:
    for first in range(0, rows, trips.PERIOD):
        for number, text in part.lines:
            trip = first + number
            if trip < rows:
                yield text.replace(trips.TRIP, trips.trip_id(trip)).replace(trips.BIKE, trips.bike_id(trip))


def _write_trips(spark: "SparkSession", landing: str, part: _Part, rows: int, files: Files) -> None:
    folder = f"{landing}/trips/{part.day}"
    if rows <= WITHOUT_SPARK:
        lines = list(_texts(part, rows))
        if lines:
            text = "".join(f"{line}\n" for line in [trips.header(part.day), *lines])
            files.put(f"{folder}/{part.name}-00000.csv", text, True)
        return
    # Spark puts a random part into the names of its files: written aside and moved, they have names that stay.
    aside = f"{landing}/_aside"
    files.rm(aside, True)
    _write_by_spark(spark, aside, part, rows)
    written = sorted(entry.path for entry in files.ls(aside) if entry.name.endswith(".csv"))
    files.mkdirs(folder)
    for number, path in enumerate(written):
        files.mv(path, f"{folder}/{part.name}-{number:05d}.csv")
    files.rm(aside, True)


def _write_by_spark(spark: "SparkSession", folder: str, part: _Part, rows: int) -> None:
    # Needed here alone, so that the answers can be asked for without Spark.
    from pyspark.sql import functions as F  # noqa: PLC0415, N812 - PySpark's documentation calls it F

    each = len(part.lines)
    total = -(-rows // trips.PERIOD) * each
    place = spark.createDataFrame(
        [(place, number, text) for place, (number, text) in enumerate(part.lines)],
        "place int, pattern int, text string",
    )
    lines = spark.range(0, total, 1, max(1, round(total / ROWS_IN_FILE)))
    trip = F.floor(F.col("id") / each).cast("long") * trips.PERIOD + F.col("pattern")
    numbered = lines.join(F.broadcast(place), (F.col("id") % each).cast("int") == F.col("place")).select(
        trip.alias("trip"), "text"
    )
    with_trip = F.replace(
        F.col("text"), F.lit(trips.TRIP), F.concat(F.lit("T"), F.lpad(F.col("trip").cast("string"), 9, "0"))
    )
    with_bike = F.replace(
        with_trip,
        F.lit(trips.BIKE),
        F.concat(F.lit("B"), F.lpad((F.col("trip") % trips.BIKES).cast("string"), 4, "0")),
    )
    # A CSV with one column, whose name is the whole header and whose values are the whole lines: so every file gets its
    # header, and lines with too many or too few fields can be written.
    (
        numbered.where(F.col("trip") < rows)
        .select(with_bike.alias(trips.header(part.day)))
        .write.mode("overwrite")
        .option("header", True)
        .option("sep", "\u0001")
        .option("quote", "")
        .option("compression", "none")
        .csv(folder)
    )
