"""The Databricks stand-in on a loopback port, and clients of it for every user."""

from collections.abc import Iterator

import pytest

from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A stand-in in whatever state the tests before left it."""
    state = tmp_path_factory.mktemp("databricks")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as url, Workspace(url) as clients:
        yield clients


@pytest.fixture
def workspace(running: Workspace) -> Workspace:
    """A workspace as on its first day."""
    running.control("POST", "reset")
    return running
