"""The Databricks stand-in on a loopback port, and clients of it for every user."""

from collections.abc import Iterator

import pytest

from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace
from tests.rehearsal.databricks.run_helpers import fake_compute


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A stand-in in whatever state the tests before left it. Its runs are those of `fake_runner.py`."""
    state = tmp_path_factory.mktemp("databricks")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, compute=fake_compute(state))
    with Background(app) as url, Workspace(url, state) as clients:
        yield clients
    app.close()


@pytest.fixture
def workspace(running: Workspace) -> Workspace:
    """A workspace as on its first day."""
    running.control("POST", "reset")
    return running
