"""The sample week with all its mistakes, through the whole chain: what comes out is known beforehand."""

from collections.abc import Iterator
from typing import Any

import pytest
from bike_sharing_data import DAYS, expected, write
from chain import STAGES, Chain
from comparing import differences
from pyspark.sql import SparkSession
from running import Parameters

NOTEBOOKS = ("ingest", "transform", "publish", "reports/weekly_report")


@pytest.fixture(scope="module")
def rows(told: Parameters) -> int:
    return int(told.options["rows"])


@pytest.fixture(scope="module")
def seed(told: Parameters) -> int:
    return int(told.options["seed"])


@pytest.fixture(scope="module")
def week(spark: SparkSession, dbutils: Any, told: Parameters, rows: int, seed: int) -> Iterator[Chain]:
    chain = Chain.of(spark, dbutils, told, "integration")
    write(spark, chain.landing, rows=rows, seed=seed, files=dbutils.fs)
    yield chain
    chain.drop()


def run_notebooks(chain: Chain) -> None:
    for name in NOTEBOOKS:
        chain.notebook(name, **({"landing": chain.landing} if name == "ingest" else {}))


def told_differences(chain: Chain, rows: int, seed: int) -> str:
    return "\n".join(differences(chain.spark, chain.tables.prefix, expected(rows=rows, seed=seed)))


def versions(chain: Chain) -> dict[str, int]:
    """The versions of the tables that people and later steps read: a write makes a new one."""
    names = ("bronze_trips", "bronze_stations", "bronze_weather", "silver_trips", "silver_stations", "quarantine")
    found = {}
    for name in names:
        history = chain.spark.sql(f"DESCRIBE HISTORY {chain.tables.name(name)}")
        found[name] = int(history.selectExpr("max(version)").collect()[0][0])
    return found


def test_the_week_at_once_gives_the_right_answers(week: Chain, rows: int, seed: int) -> None:
    run_notebooks(week)
    assert not told_differences(week, rows, seed), told_differences(week, rows, seed)


def test_a_second_run_changes_nothing(week: Chain, rows: int, seed: int) -> None:
    before = versions(week)
    run_notebooks(week)
    assert versions(week) == before
    assert not told_differences(week, rows, seed), told_differences(week, rows, seed)


def test_the_week_in_pieces_out_of_order_gives_the_same(
    spark: SparkSession, dbutils: Any, told: Parameters, rows: int, seed: int
) -> None:
    chain = Chain.of(spark, dbutils, told, "pieces")
    for piece in told.options["pieces"].split():
        days = [DAYS[int(number) - 1] for number in piece]
        write(spark, chain.landing, rows=rows, seed=seed, files=dbutils.fs, days=days)
        for run in STAGES.values():
            run(chain.spark, chain.tables, chain.landing)
    chain.notebook("reports/weekly_report")
    assert not told_differences(chain, rows, seed), told_differences(chain, rows, seed)
    chain.drop()
