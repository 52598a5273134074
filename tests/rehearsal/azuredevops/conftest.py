"""One service for all tests of the folder; every test has its own project in it."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Microsoft's client keeps what a service told it in the home directory, from the moment of its import on.
os.environ["AZURE_DEVOPS_CACHE_DIR"] = tempfile.mkdtemp(prefix="azure-devops-cache-")

from rehearsal.azuredevops import create_app
from rehearsal.service import Background
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS, Organization


@pytest.fixture(scope="session")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    state = tmp_path_factory.mktemp("azuredevops")
    with Background(create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        yield Organization(root)


@pytest.fixture(scope="module", autouse=True)
def _no_socket_is_left_for_others() -> Iterator[None]:
    """What Microsoft's client left open is collected here, where there is a filter for it."""
    yield
    gc.collect()


@pytest.fixture
def project(organization: Organization) -> Any:
    """A new project, with its default repository."""
    return organization.new_project()


@pytest.fixture
def repository(organization: Organization, project: Any) -> Any:
    """The default repository of the project; nothing was pushed to it yet."""
    return organization.clients().get_git_client().get_repository(project.name, project=project.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a developer's work trees can be made."""
    return tmp_path
