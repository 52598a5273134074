"""A service that carries runs out, and one project of it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.service import listen
from tests.rehearsal.azuredevops.organization import Organization
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, orchestrated_organization


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps everything."""
    return tmp_path_factory.mktemp("orchestrated")


@pytest.fixture(scope="module")
def orchestrated(state: Path, request: pytest.FixtureRequest) -> Iterator[Organization]:
    """The service. It gives agents up after a module's AGENT_TIMEOUT, in seconds, or not within a test."""
    patience = getattr(request.module, "AGENT_TIMEOUT", 600.0)
    with orchestrated_organization(state, patience) as organization:
        yield organization


@pytest.fixture
def pipelines(orchestrated: Organization, tmp_path: Path) -> Iterator[Pipelines]:
    """A new project with an empty repository, and a work tree of it."""
    with Pipelines.begun(orchestrated, tmp_path / "work") as made:
        yield made


@pytest.fixture
def port() -> int:
    """A port that is free by now."""
    with listen() as listener:
        return int(listener.getsockname()[1])
