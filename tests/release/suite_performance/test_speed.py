"""The chain's speed: each stage against a budget, and in proportion to plain work done in the same minutes."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bike_sharing_data import DAYS, write
from chain import STAGES, Chain
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from running import Parameters

ACCEPTED = json.loads((Path(__file__).parent.parent / "accepted.json").read_text(encoding="utf-8"))
ROWS = int(ACCEPTED["rows"])
NAMES = [*STAGES, "chain"]


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def plain_work(chain: Chain) -> None:
    """What the figures are measured against: read the trips, deduplicate, join, write; nothing is judged or merged."""
    spark = chain.spark
    old, new = ([f"{chain.landing}/trips/{day}" for day in days] for days in (DAYS[:3], DAYS[3:]))
    columns = ("trip_id", "started_at", "duration_s", "start_station")
    trips = spark.read.option("header", True).csv(old).select(*columns)
    later = spark.read.option("header", True).csv(new).withColumnRenamed("start_station_id", "start_station")
    stations = spark.read.json(f"{chain.landing}/stations/{DAYS[1]}").select("station_id", "name").dropDuplicates()
    joined = (
        trips.unionByName(later.select(*columns))
        .dropDuplicates(["trip_id"])
        .join(stations, f.col("start_station") == f.col("station_id"), "left")
    )
    joined.write.mode("overwrite").saveAsTable(f"{chain.tables.prefix}.plain_work")


@dataclass(frozen=True)
class Timing:
    """Seconds of a stage or of the chain, and how many times as long that was as plain work of the same minute."""

    seconds: float
    times_plain_work: float


def measured(chain: Chain) -> dict[str, Timing]:
    """Each stage on fresh, empty tables with plain work before and after it; and the chain as their sum."""
    chain.drop_tables()
    chain.tables.create(chain.spark)
    found = {}
    plain = [timed(lambda: plain_work(chain))]
    for name, run in STAGES.items():
        seconds = timed(lambda run=run: run(chain.spark, chain.tables, chain.landing))  # type: ignore[misc] # bound at once
        plain.append(timed(lambda: plain_work(chain)))
        found[name] = Timing(seconds, seconds / statistics.mean(plain[-2:]))
    whole = sum(timing.seconds for timing in found.values())
    return found | {"chain": Timing(whole, whole / statistics.mean(plain))}


@pytest.fixture(scope="module")
def speeds(spark: SparkSession, dbutils: Any, told: Parameters, figures: dict[str, Any]) -> dict[str, Timing]:
    """The median of each figure over the repeats, after one round that warms up."""
    chain = Chain.of(spark, dbutils, told, "performance")
    write(spark, chain.landing, rows=ROWS, files=dbutils.fs)
    measured(chain)
    rounds = [measured(chain) for _ in range(int(told.options["repeats"]))]
    chain.drop()
    found = {
        name: Timing(
            statistics.median(each[name].seconds for each in rounds),
            statistics.median(each[name].times_plain_work for each in rounds),
        )
        for name in NAMES
    }
    for name, timing in found.items():
        figures[name] = {
            "times_plain_work": round(timing.times_plain_work, 2),
            "rows_per_second": round(ROWS / timing.seconds),
            "rounds": [[round(each[name].seconds, 2), round(each[name].times_plain_work, 2)] for each in rounds],
        }
    return found


@pytest.mark.parametrize("name", NAMES)
def test_as_many_rows_a_second_as_the_budget_asks(speeds: dict[str, Timing], name: str) -> None:
    speed = ROWS / speeds[name].seconds
    least = ACCEPTED["stages"][name]["least_rows_per_second"]
    assert speed >= least, f"{name}: {speed:.0f} rows a second, the budget asks for {least}"


@pytest.mark.parametrize("name", NAMES)
def test_not_slower_than_what_was_accepted(speeds: dict[str, Timing], told: Parameters, name: str) -> None:
    times = speeds[name].times_plain_work
    accepted = ACCEPTED["stages"][name]["times_plain_work"]
    allowed = accepted * (1 + float(told.options["tolerance"]))
    assert times <= allowed, (
        f"{name}: {times:.2f} times as long as the plain work; accepted {accepted:.2f} on {ACCEPTED['date']}, "
        f"allowed {allowed:.2f}"
    )
