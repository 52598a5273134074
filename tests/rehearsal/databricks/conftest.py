"""The Databricks stand-in on a loopback port, and clients of it for every user."""

from collections.abc import Iterator

import pytest

from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.databricks.run_helpers import served


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A stand-in in whatever state the tests before left it. Its runs are those of `fake_runner.py`."""
    with served(tmp_path_factory.mktemp("databricks")) as clients:
        yield clients


@pytest.fixture
def workspace(running: Workspace) -> Workspace:
    """A workspace as on its first day."""
    running.control("POST", "reset")
    return running
