"""One Spark for all tests of the notebooks, and tables of one's own for each test."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[2]
# As in the workspace, where a notebook's folder is on the path; the generator is delivered beside the tests there.
for folder in ("notebooks", "tests/release", "tests/notebooks"):
    sys.path.insert(0, str(ROOT / folder))

from bike_sharing import Tables  # noqa: E402 # needs the path above

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def spark_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud storage that the Spark of the tests has."""
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="session")
def spark(spark_data: Path) -> SparkSession:
    """A Spark with Delta, started once."""
    from rehearsal.compute.spark import session  # noqa: PLC0415 # tests without Spark shouldn't need it

    return session.local(spark_data)


@pytest.fixture(scope="session")
def new_tables() -> Callable[[], Tables]:
    """Makes names of tables that no other test uses."""
    return lambda: Tables("test", f"bikes_{next(_NUMBERS)}")


@pytest.fixture
def tables(new_tables: Callable[[], Tables]) -> Tables:
    """Names of tables that no other test uses."""
    return new_tables()
