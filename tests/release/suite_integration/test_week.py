"""The sample week with all its mistakes, through the whole chain: what comes out is known beforehand."""

from collections.abc import Iterator
from typing import Any

import pytest
from bike_sharing_data import DAYS, expected, write
from chain import STAGES, Chain
from comparing import differences, written
from pyspark.sql import SparkSession
from running import Parameters


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


def run_stages(chain: Chain) -> None:
    """The chain as calls of the package: that the notebooks make these calls is the functional suite's business."""
    for run in STAGES.values():
        run(chain.spark, chain.tables, chain.landing)


def run_chain(chain: Chain) -> None:
    run_stages(chain)
    chain.notebook("reports/weekly_report")  # has no package: it is all SQL


def told_differences(chain: Chain, rows: int, seed: int) -> str:
    return "\n".join(differences(chain.spark, chain.tables.prefix, expected(rows=rows, seed=seed)))


def test_the_week_at_once_gives_the_right_answers(week: Chain, rows: int, seed: int) -> None:
    run_chain(week)
    found = told_differences(week, rows, seed)
    assert not found, found


def test_a_second_run_changes_nothing(week: Chain, rows: int, seed: int) -> None:
    before = written(week.spark, week.tables.prefix)
    run_chain(week)
    after = written(week.spark, week.tables.prefix)
    assert {name for name in after if after[name] != before[name]} == set()


def test_the_week_in_pieces_out_of_order_gives_the_same(
    spark: SparkSession, dbutils: Any, told: Parameters, rows: int, seed: int
) -> None:
    chain = Chain.of(spark, dbutils, told, "pieces")
    for piece in told.options["pieces"].split():
        days = [DAYS[int(number) - 1] for number in piece]
        write(spark, chain.landing, rows=rows, seed=seed, files=dbutils.fs, days=days)
        run_stages(chain)
    chain.notebook("reports/weekly_report")
    found = told_differences(chain, rows, seed)
    assert not found, found
    chain.drop()
