"""Properties of the chain's first two steps: nothing is lost, whatever arrives, in whatever order, and however often.

Few examples, which are others each time: each runs both steps four times.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bike_sharing import Tables, ingest, transform
from bike_sharing.sources import SOURCES, Source
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from tests.notebooks.small_files import HEADER, OBSERVATION, STATION, TRIP, put

DAYS = ("2024-10-21", "2024-10-22", "2024-10-23")
NAMES = ("a.csv", "x[1].csv", "ü {b,c}%20.csv", "why?*.csv")
STATIONS = ("S1", "S2")
RENAMED = HEADER.replace("_station", "_station_id") + ",colour of bike"
BLANK = ("\n", " \t \n")


@dataclass(frozen=True)
class File:
    path: str
    text: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.split("\n") if line.strip()]


@st.composite
def files(draw: st.DrawFn) -> list[File]:
    """Up to eight files, each of a day and source of its own or beside another of these."""
    kinds = draw(st.lists(st.sampled_from(["trips", "trips", "stations", "weather"]), min_size=5, max_size=8))
    text = {"trips": trips, "stations": stations, "weather": weather}
    return [
        File(f"{kind}/{draw(st.sampled_from(DAYS))}/{place}-{draw(st.sampled_from(NAMES))}", draw(text[kind]()))
        for place, kind in enumerate(kinds)
    ]


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[str], *, least: int) -> list[str]:
    """Lines, of which some are cut off, blank or there twice."""
    lines = draw(st.lists(good, min_size=least, max_size=4))
    for place, line in enumerate(lines):
        what = draw(st.sampled_from(["kept", "kept", "kept", "cut off", "blank", "twice"]))
        if what == "cut off":
            lines[place] = line[: draw(st.integers(1, len(line) - 2))] + "\n"
        elif what != "kept":
            lines[place] = draw(st.sampled_from(BLANK)) + line if what == "blank" else line * 2
    return lines


@st.composite
def trips(draw: st.DrawFn) -> str:
    station = st.sampled_from([*STATIONS, "S9", ""])
    trip = st.builds(
        TRIP.format, st.sampled_from(["t1", "t2", "t3", ""]), station, station, st.sampled_from([600, 600, -1]),
        st.integers(1, 3),
    )  # fmt: skip
    lines = draw(damaged(trip, least=0))
    if draw(st.booleans()):
        return "".join([draw(st.sampled_from(["", *BLANK])), f"{HEADER}\n", *lines])
    return "".join([f"{RENAMED}\n", *(line.replace("Z\n", "Z,red\n") for line in lines)])


@st.composite
def stations(draw: st.DrawFn) -> str:
    good = st.sampled_from(STATIONS).map(STATION.format)
    odd = st.sampled_from(["[]\n", f"[{STATION.format('S1').strip()}]\n", '{"_a b":1}\n', "{}\n"])
    return "".join(draw(damaged(st.one_of(good, good, odd), least=1)))


@st.composite
def weather(draw: st.DrawFn) -> str:
    header, line = OBSERVATION.format(draw(st.sampled_from(DAYS))).splitlines(keepends=True)
    return "".join([header, *draw(damaged(st.just(line), least=0))])


def arrived(found: list[File], source: str) -> Counter[tuple[Any, ...]]:
    """The rows that the files hold: what a line says, or the line itself when it isn't what its file announces."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for file in found:
        if not file.path.startswith(source) or not file.lines:
            continue
        if source == "stations":
            rows.update(_values(_object(line), line) for line in file.lines)
            continue
        names = [name.replace(" ", "_") for name in file.lines[0].split(",")]
        for line in file.lines[1:]:
            fields = line.split(",")
            rows[_values(dict(zip(names, fields, strict=False)) if len(fields) == len(names) else None, line)] += 1
    return rows


def _object(line: str) -> dict[str, str] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return {key.lstrip("_").replace(" ", "_"): str(found[key]) for key in found} if isinstance(found, dict) else None


def _values(values: dict[str, str] | None, line: str) -> tuple[Any, ...]:
    return (line,) if values is None else tuple(sorted((name, value) for name, value in values.items() if value))


class Held:
    """What the tables hold: all rows of bronze, silver and the quarantine, each table read once."""

    def __init__(self, spark: SparkSession, tables: Tables) -> None:
        names = [
            "quarantine",
            "silver_stations",
            *(name for source in SOURCES for name in (source.bronze, source.silver)),
        ]
        self.rows = {name: [row.asDict() for row in spark.table(tables.name(name)).collect()] for name in names}

    def bronze(self, source: Source) -> Counter[tuple[Any, ...]]:
        """As `arrived`."""
        return Counter(
            _values(
                None if row["_malformed"] else {name: row[name] for name in row if not name.startswith("_")},
                row["_malformed"],
            )
            for row in self.rows[source.bronze]
        )

    def judged(self) -> dict[str, Counter[tuple[Any, ...]]]:
        """What silver and the quarantine hold, but for which run it came by."""
        own = ("_batch", "_row", "_settled")
        return {
            name: Counter(tuple(row[column] for column in row if column not in own) for row in rows)
            for name, rows in self.rows.items()
            if not name.startswith("bronze")
        }

    def numbers(self, table: str, source: Source) -> Counter[tuple[int, int]]:
        """The numbers of the source's rows in a table."""
        rows = self.rows[table]
        return Counter((row["_batch"], row["_row"]) for row in rows if row.get("source", source.name) == source.name)


def run(spark: SparkSession, tables: Tables, landing: Path) -> tuple[ingest.IngestReport, transform.TransformReport]:
    return ingest.run(spark, tables, str(landing)), transform.run(spark, tables)


@pytest.mark.timeout(900)
@settings(
    max_examples=3, deadline=None, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)
@given(found=files(), data=st.data())
def test_every_line_is_in_silver_or_quarantine_once_whatever_arrives_in_whatever_order(
    spark: SparkSession,
    new_tables: Callable[[], Tables],
    tmp_path_factory: pytest.TempPathFactory,
    found: list[File],
    data: st.DataObject,
) -> None:
    landing, pieces, at_once = tmp_path_factory.mktemp("landing"), new_tables(), new_tables()
    order = data.draw(st.permutations(found))
    cut = data.draw(st.integers(1, len(order) - 1))
    for piece in (order[:cut], order[cut:]):
        for file in piece:
            put(landing, file.path, file.text)
        run(spark, pieces, landing)
    run(spark, at_once, landing)
    held = Held(spark, pieces)
    for source in SOURCES:
        assert held.bronze(source) == arrived(found, source.name)
        numbers = held.numbers(source.bronze, source)
        assert set(numbers.values()) <= {1}
        assert held.numbers(source.silver, source) + held.numbers("quarantine", source) == numbers
    assert held.judged() == Held(spark, at_once).judged()
    read, transformed = run(spark, pieces, landing)
    assert (read.batch, transformed.sources) == (None, {})
