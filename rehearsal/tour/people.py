"""Who works in the tour: what people do by hand, and somebody who does it signed in with a token of their own."""

import base64
import ssl
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from rehearsal.home import Home

API_VERSION = "7.1"

# The services here speak HTTP. A client that reads the machine's certificates at first takes a tenth of a second of
# processor time, and whoever waits for something asks again and again.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(**options: Any) -> httpx.Client:
    """A client for the services of a rehearsal; the options are those of `httpx.Client`."""
    return httpx.Client(trust_env=False, timeout=60, verify=_NO_CERTIFICATES, **options)


class RefusedError(Exception):
    """The service refuses; the message is what it says, and `status` the code of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Hands(Protocol):
    """What people do by hand in the tour, each as who they are (`key`, as in `rehearsal.home.USERS`).

    `rehearsal.tour.team.Team` does it by the REST interface, the end-to-end test on the services' pages.
    """

    def queue(self, key: str, name: str) -> int:
        """Starts a pipeline on `main`; gives the run's id."""

    def finished(self, number: int) -> object:
        """Watches a run to its end, which is a good one."""

    def open_pull_request(self, key: str, branch: str, title: str) -> int:
        """Opens a pull request into `main`; gives its number."""

    def resolve(self, key: str, number: int, thread: int) -> None:
        """Marks a thread of a pull request as resolved."""

    def vote(self, key: str, number: int) -> None:
        """Approves a pull request."""

    def complete(self, key: str, number: int) -> object:
        """Merges a pull request."""

    def decide(self, key: str, approval: Any, status: str, comment: str) -> object:
        """Approves (`approved`) or rejects (`rejected`) what a run waits for."""

    def add_to_notebook(self, path: str, text: str) -> None:
        """Writes something at the end of a notebook, in the workspace and as its administrator."""


@dataclass(frozen=True)
class Person:
    """Somebody of the rehearsal's users.

    Args:
        home: the rehearsal, which runs.
        key: as in `rehearsal.home.USERS`.
        project: the name of the project that requests are about.
    """

    home: Home
    key: str
    project: str

    @property
    def token(self) -> str:
        """The personal access token."""
        return self.home.credentials.users["azuredevops"][self.key]

    @property
    def id(self) -> str:
        """The id of the identity."""
        found = self.ask("GET", "_apis/connectionData", in_project=False)
        return str(found["authenticatedUser"]["id"])

    def ask(self, method: str, path: str, body: object = None, *, in_project: bool = True, **query: str | int) -> Any:
        """Sends one request; gives the answer's document, or its text where it is none.

        Args:
            method, path, query: of the request; the path is below the project, or below the organisation.
            body: is sent as JSON.
            in_project: whether the path is below the project.

        Raises:
            RefusedError: the service says no.
        """
        below = f"{quote(self.project)}/" if in_project else ""
        with client(auth=("", self.token)) as service:
            answer = service.request(
                method,
                f"{self.home.organization_url}/{below}{path}",
                params={"api-version": API_VERSION, **query},
                json=body,
            )
        is_document = "json" in answer.headers.get("content-type", "")
        content: Any = answer.json() if is_document and answer.content else answer.text
        if answer.is_error:
            raise RefusedError(answer.status_code, str(content["message"] if is_document else content))
        return content

    def git(self) -> dict[str, str]:
        """The environment in which git signs in as this person, and nobody else does."""
        basic = base64.b64encode(f":{self.token}".encode()).decode()
        return {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"http.{self.home.address('azuredevops')}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            "GIT_CONFIG_KEY_1": "credential.helper",
            "GIT_CONFIG_VALUE_1": "",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
