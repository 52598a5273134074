"""A service that carries runs out, and one project of it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.azuredevops import create_app
from rehearsal.service import Background, listen
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS, Organization, git
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps everything."""
    return tmp_path_factory.mktemp("orchestrated")


@pytest.fixture(scope="module")
def orchestrated(state: Path, request: pytest.FixtureRequest) -> Iterator[Organization]:
    """The service. It gives agents up after a module's AGENT_TIMEOUT, in seconds, or not within a test."""
    patience = getattr(request.module, "AGENT_TIMEOUT", 600.0)
    app = create_app(
        state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, orchestrate=True, agent_timeout=patience
    )
    with Background(app) as root:
        yield Organization(root)
    app.close()


@pytest.fixture
def pipelines(orchestrated: Organization, tmp_path: Path) -> Iterator[Pipelines]:
    """A new project with an empty repository, and a work tree of it."""
    project = orchestrated.new_project()
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", orchestrated.remote(project.name, project.name.replace(" ", "%20")))
    made = Pipelines(orchestrated, project, folder)
    yield made
    made.delete()  # a job that still waits would go to another test's agent


@pytest.fixture
def port() -> int:
    """A port that is free by now."""
    with listen() as listener:
        return int(listener.getsockname()[1])
