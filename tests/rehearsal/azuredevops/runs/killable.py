"""The service as a process of its own, so that it can be killed, and the agent likewise."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.rehearsal.azuredevops.organization import Organization, git
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until

SERVER = """
import sys
from pathlib import Path
from rehearsal.azuredevops import create_app
from rehearsal.service import listen, server
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS

patience = float(sys.argv[3])
app = create_app(
    Path(sys.argv[1]), control_token=CONTROL_TOKEN, credentials=CREDENTIALS, orchestrate=True, agent_timeout=patience
)
server(app).run(sockets=[listen(int(sys.argv[2]))])
"""


@contextmanager
def process(*command: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process, which is killed in the end."""
    started = subprocess.Popen([sys.executable, *command], cwd=Path.cwd(), env={**os.environ, **variables})
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextmanager
def service(state: Path, port: int, agent_timeout: float) -> Iterator[subprocess.Popen[bytes]]:
    """The service; goes on when it answers."""

    def healthy() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/_rehearsal/health").status_code == 200
        except httpx.HTTPError:
            return False

    with process("-c", SERVER, str(state), str(port), str(agent_timeout)) as started:
        until(healthy, "the service")
        yield started


def pipelines_of(port: int, folder: Path) -> Pipelines:
    """A new project in the service on this port, with a work tree."""
    organization = Organization(f"http://127.0.0.1:{port}")
    project = organization.new_project()
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", organization.remote(project.name, project.name.replace(" ", "%20")))
    return Pipelines(organization, project, folder)
