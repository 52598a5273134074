"""The rehearsal's organisation as its users see it: with Microsoft's clients, plain HTTP, and git."""

import functools
import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.devops._models import WrappedException
from azure.devops.connection import Connection
from azure.devops.exceptions import AzureDevOpsServiceError
from msrest.authentication import BasicAuthentication

from rehearsal.azuredevops.users import ADMINISTRATOR, KEYS

CREDENTIALS = {key: f"pat-of-{key}" for key in KEYS}
CONTROL_TOKEN = "control-token"
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"
GIT_NAMESPACE = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87"


# Microsoft's client never closes its connections.
SOCKETS_LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@functools.cache
def _connection(url: str, token: str) -> Any:
    return Connection(url, BasicAuthentication("", token))


@dataclass(frozen=True)
class Organization:
    """Where the service is, and everything that a test does with it."""

    root: str

    @property
    def url(self) -> str:
        return f"{self.root}/rehearsal"

    def clients(self, user: str = ADMINISTRATOR) -> Any:
        """Microsoft's clients (7.1), signed in."""
        return _connection(self.url, CREDENTIALS[user]).clients_v7_1

    def http(self, user: str | None = ADMINISTRATOR) -> httpx.Client:
        """Plain HTTP below the organisation, for what Microsoft's clients can't say."""
        headers = {"Accept": "application/json;api-version=7.1-preview"}
        auth = ("", CREDENTIALS[user]) if user else None
        return httpx.Client(base_url=self.url, auth=auth, headers=headers, timeout=30)

    def control(self) -> httpx.Client:
        """The control endpoints."""
        headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
        return httpx.Client(base_url=f"{self.root}/_rehearsal", headers=headers, timeout=30)

    def wait(self, reference: Any, user: str = ADMINISTRATOR) -> str:
        """Waits for an operation to end.

        Returns:
            Its last status.
        """
        operations = self.clients(user).get_operations_client()
        while True:
            status = str(operations.get_operation(reference.id).status)
            if status not in ("queued", "inProgress"):
                return status
            time.sleep(0.05)

    def new_project(self, name: str | None = None, user: str = ADMINISTRATOR) -> Any:
        """A project that is well formed, and that no other test has."""
        name = name or f"Project {uuid.uuid4().hex[:8]}"
        core = self.clients(user).get_core_client()
        reference = core.queue_create_project(project_body(name))
        assert self.wait(reference, user) == "succeeded"
        return core.get_project(name, include_capabilities=True)

    def new_group(self, project: Any, name: str, user: str = ADMINISTRATOR) -> Any:
        """A group of the project. Microsoft's client drops the name from what it sends, so this is plain HTTP."""
        graph = self.clients(user).get_graph_client()
        scope = graph.get_descriptor(project.id).value
        answer = httpx.post(
            f"{self.root}/vssps/rehearsal/_apis/Graph/Groups",
            params={"scopeDescriptor": scope, "api-version": "7.1-preview.1"},
            json={"displayName": name, "description": "for a test"},
            auth=("", CREDENTIALS[user]),
        )
        if answer.status_code != 201:
            raise AzureDevOpsServiceError(WrappedException(message=answer.json()["message"]))
        return graph.get_group(answer.json()["descriptor"])

    def remote(self, project: str, repository: str, user: str = ADMINISTRATOR) -> str:
        """The URL of a repository for git, with a user's token in it."""
        address = self.url.removeprefix("http://")
        return f"http://x:{CREDENTIALS[user]}@{address}/{project.replace(' ', '%20')}/_git/{repository}"


def project_body(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": "for a test",
        "visibility": "private",
        "capabilities": {
            "versioncontrol": {"sourceControlType": "Git"},
            "processTemplate": {"templateTypeId": AGILE},
        },
    }


def scope(repository_id: str | None, ref: str | None = "refs/heads/main", kind: str = "Exact") -> list[dict[str, Any]]:
    """The scope of a policy."""
    return [{"repositoryId": repository_id, "refName": ref, "matchKind": kind}]


def policy_body(type_id: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": {"id": type_id}, "isEnabled": True, "isBlocking": True, "settings": settings, **more}


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the ordinary git client, without any of the developer's configuration."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Dana",
        "GIT_AUTHOR_EMAIL": "dana@rehearsal.example",
        "GIT_COMMITTER_NAME": "Dana",
        "GIT_COMMITTER_EMAIL": "dana@rehearsal.example",
    }
    return subprocess.run(["git", *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=check)


def commit(folder: Path, path: str, content: str, message: str = "change") -> str:
    """Writes a file and commits it.

    Returns:
        The commit's id.
    """
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD").stdout.strip()


def work_tree(folder: Path) -> Path:
    """A new repository of the developer's with one commit on main."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "notebooks/a.py", "print(1)\n", "first")
    return folder
