"""The chain's speed: each stage against a budget, and in proportion to plain work done in the same minutes."""

import json
import statistics
import time
from collections.abc import Callable
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
WARM_UP_ROWS = 500
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


def measured(spark: SparkSession, dbutils: Any, told: Parameters, rows: int) -> dict[str, float]:
    """Seconds of each stage on fresh tables, of the chain, and of the plain work before and after it."""
    chain = Chain.of(spark, dbutils, told, "performance")
    write(spark, chain.landing, rows=rows, files=dbutils.fs)
    before = timed(lambda: plain_work(chain))
    found = {
        name: timed(lambda run=run: run(spark, chain.tables, chain.landing))  # type: ignore[misc] # bound at once
        for name, run in STAGES.items()
    }
    found["chain"] = sum(found.values())
    found["plain"] = (before + timed(lambda: plain_work(chain))) / 2
    chain.drop()
    return found


@pytest.fixture(scope="module")
def runs(spark: SparkSession, dbutils: Any, told: Parameters, figures: dict[str, Any]) -> list[dict[str, float]]:
    measured(spark, dbutils, told, WARM_UP_ROWS)
    found = [measured(spark, dbutils, told, ROWS) for _ in range(int(told.options["repeats"]))]
    for name in NAMES:
        figures[name] = {
            "rows_per_second": round(ROWS / statistics.median(run[name] for run in found)),
            "times_plain_work": round(statistics.median(run[name] / run["plain"] for run in found), 2),
        }
    figures["plain_work_seconds"] = round(statistics.median(run["plain"] for run in found), 2)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_as_many_rows_a_second_as_the_budget_asks(runs: list[dict[str, float]], name: str) -> None:
    speed = ROWS / statistics.median(run[name] for run in runs)
    least = ACCEPTED["stages"][name]["least_rows_per_second"]
    assert speed >= least, f"{name}: {speed:.0f} rows a second, the budget asks for {least}"


@pytest.mark.parametrize("name", NAMES)
def test_not_slower_than_what_was_accepted(runs: list[dict[str, float]], told: Parameters, name: str) -> None:
    times = statistics.median(run[name] / run["plain"] for run in runs)
    accepted = ACCEPTED["stages"][name]["times_plain_work"]
    allowed = accepted * (1 + float(told.options["tolerance"]))
    assert times <= allowed, (
        f"{name}: {times:.2f} times as long as the plain work; accepted {accepted:.2f} on {ACCEPTED['date']}, "
        f"allowed {allowed:.2f}"
    )
