"""The chain on the known days, stage by stage: each fixture runs one notebook after those before it."""

from typing import Any

import pytest
from chain import Chain
from known_days import FILES
from pyspark.sql import SparkSession
from running import Parameters


@pytest.fixture(scope="session")
def arrived(spark: SparkSession, dbutils: Any, told: Parameters) -> Chain:
    chain = Chain.of(spark, dbutils, told, "functional")
    for path, text in FILES.items():
        chain.put(path, text)
    return chain


@pytest.fixture(scope="session")
def ingested(arrived: Chain) -> Chain:
    arrived.notebook("ingest", landing=arrived.landing)
    return arrived


@pytest.fixture(scope="session")
def transformed(ingested: Chain) -> Chain:
    ingested.notebook("transform")
    return ingested


@pytest.fixture(scope="session")
def published(transformed: Chain) -> Chain:
    transformed.notebook("publish")
    return transformed
