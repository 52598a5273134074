"""The Azure DevOps stand-in for the commands' tests: a project in it, its faults, and a client that doesn't sleep."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from delivery.azure_devops import AzureDevOps
from rehearsal.azuredevops import create_app
from rehearsal.azuredevops.users import ADMINISTRATOR, KEYS
from rehearsal.service import Background

CREDENTIALS = {key: f"pat-of-{key}" for key in KEYS}
CONTROL_TOKEN = "control-token"
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"


@dataclass
class Organization:
    """The organisation; `waits` are the seconds that its clients would have slept."""

    root: str
    waits: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.root}/rehearsal"

    def client(self, project: str, user: str = ADMINISTRATOR, token: str | None = None, **options: Any) -> AzureDevOps:
        return AzureDevOps(self.url, project, token or CREDENTIALS[user], wait=self.waits.append, **options)

    def new_project(self) -> str:
        """A project that is well formed; gives its name."""
        name = f"Project {uuid.uuid4().hex[:8]}"
        client = self.client(name)
        capabilities = {"processTemplate": {"templateTypeId": AGILE}, "versioncontrol": {"sourceControlType": "Git"}}
        operation = client.post("/projects", {"name": name, "capabilities": capabilities})
        while client.get(f"/operations/{operation['id']}")["status"] != "succeeded":
            pass
        return name

    def fault(self, **order: Any) -> None:
        """Orders a fault, see `rehearsal.service.Fault`."""
        self._control("POST", "faults", order)

    def requests(self) -> list[Any]:
        """The requests since the last time."""
        seen: list[Any] = self._control("GET", "requests").json()
        self._control("DELETE", "requests")
        return seen

    def calm(self) -> None:
        """Takes back every fault that wasn't met."""
        self._control("DELETE", "faults")
        self.waits.clear()

    def _control(self, method: str, what: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
        answer = httpx.request(method, f"{self.root}/_rehearsal/{what}", headers=headers, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer


@contextmanager
def running(state: Path) -> Iterator[Organization]:
    """The service until the end of the block."""
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    try:
        with Background(app) as root:
            yield Organization(root)
    finally:
        if close := getattr(app, "close", None):
            close()
