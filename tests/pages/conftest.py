"""The two stand-ins and a Chromium, for all tests of the pages."""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

# Microsoft's client keeps what a service told it in the home directory, from the moment of its import on.
os.environ.setdefault("AZURE_DEVOPS_CACHE_DIR", tempfile.mkdtemp(prefix="azure-devops-cache-"))

from rehearsal import azuredevops, databricks
from rehearsal.service import Background
from tests.pages.browsing import Person, chromium, signed_in
from tests.rehearsal.azuredevops import organization as organizations
from tests.rehearsal.azuredevops.organization import Organization
from tests.rehearsal.databricks import clients
from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.databricks.run_helpers import fake_compute


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; for each file anew."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    state = tmp_path_factory.mktemp("azuredevops")
    app = azuredevops.create_app(
        state,
        control_token=organizations.CONTROL_TOKEN,
        credentials=organizations.CREDENTIALS,
        orchestrate=True,
        agent_timeout=120,
    )
    with Background(app) as root:
        yield Organization(root)
    app.close()


@pytest.fixture(scope="session")
def running_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    state = tmp_path_factory.mktemp("databricks")
    app = databricks.create_app(
        state, control_token=clients.CONTROL_TOKEN, credentials=clients.CREDENTIALS, compute=fake_compute(state)
    )
    with Background(app) as url, Workspace(url, state) as found:
        yield found
    app.close()


@pytest.fixture
def workspace(running_workspace: Workspace) -> Workspace:
    """A workspace as on its first day."""
    running_workspace.control("POST", "reset")
    return running_workspace


@dataclass(frozen=True)
class Project:
    """A project; its repository has the same name."""

    id: str
    name: str


@pytest.fixture
def project(organization: Organization) -> Project:
    """A new project with its default repository. By plain HTTP: Microsoft's client never closes its connections."""
    name = f"Bikes {uuid.uuid4().hex[:8]}"
    with organization.http() as client:
        operation = client.post("/_apis/projects", json=organizations.project_body(name)).raise_for_status().json()
        while client.get(f"/_apis/operations/{operation['id']}").json()["status"] != "succeeded":
            time.sleep(0.05)
        return Project(client.get(f"/_apis/projects/{name}").json()["id"], name)


SignIn = Callable[..., Person]


@pytest.fixture
def at_azure_devops(browser: Browser, organization: Organization) -> Iterator[SignIn]:
    """Signs somebody in to Azure DevOps by their name, in a browser of their own."""
    with ExitStack() as stack:
        yield lambda name, **options: stack.enter_context(signed_in(browser, organization.root, name, **options))


@pytest.fixture
def at_databricks(browser: Browser, workspace: Workspace) -> Iterator[SignIn]:
    """Signs somebody in to Databricks."""
    with ExitStack() as stack:
        yield lambda name, **options: stack.enter_context(signed_in(browser, workspace.url, name, **options))
