"""The whole system for a test: both stand-ins on loopback, a copy of the project, and the real engine."""

import base64
import functools
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx
import yaml
from azure.devops.connection import Connection
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from msrest.authentication import BasicAuthentication
from starlette.types import ASGIApp

from rehearsal.azuredevops import create_app as create_azuredevops
from rehearsal.azuredevops.users import KEYS
from rehearsal.databricks import create_app as create_databricks
from rehearsal.databricks.users import USER_KEYS
from rehearsal.service import Background
from rehearsal.toolchain import Toolchain
from tests.running import killed, run

ROOT = Path(__file__).parents[2]
PASSPHRASE = "a passphrase of a test"
STACKS = ("test", "prod")
Name: TypeAlias = Literal["azure", "workspace"]

# Of the machine's environment nothing that could lead to a real service, or to another stack, reaches the program.
LEAKS = ("AZDO_", "AZURE_", "ARM_", "DATABRICKS_", "PULUMI_", "SYSTEM_", "GIT_", "REHEARSAL_")


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code and everything that it printed."""

    code: int
    text: str

    def __bool__(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Address:
    """Where a service is, 0 for any free port, and with which token each of its users signs in."""

    port: int
    tokens: dict[str, str]

    @classmethod
    def fresh(cls, users: tuple[str, ...]) -> "Address":
        return cls(0, {user: f"canary-{user}-{secrets.token_hex(16)}" for user in users})


class StandIn:
    """One of the two services in a thread of this process, with its control endpoints. It can be restarted."""

    def __init__(self, create_app: Callable[..., ASGIApp], state: Path, address: Address) -> None:
        self.tokens = address.tokens
        self._control_token = secrets.token_hex(16)
        self._create: Callable[[], ASGIApp] = functools.partial(
            create_app, state, control_token=self._control_token, credentials=self.tokens
        )
        self.port = address.port
        self.start()

    def start(self) -> None:
        """Serves, on the same port as before."""
        self._background = Background(self._create(), self.port)
        self.url = self._background.__enter__()
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self) -> None:
        self._background.__exit__()

    def control(self, verb: str, what: str, **body: Any) -> Any:
        """One call of the control endpoints."""
        headers = {"Authorization": f"Bearer {self._control_token}"}
        response = httpx.request(verb, f"{self.url}/_rehearsal/{what}", headers=headers, json=body or None)
        response.raise_for_status()
        return response.json()

    def requests(self) -> list[dict[str, Any]]:
        """The requests since the last `forget`."""
        return list(self.control("GET", "requests"))

    def forget(self) -> None:
        """Forgets the requests and the faults."""
        self.control("DELETE", "requests")
        self.control("DELETE", "faults")

    def fault(self, action: str, **order: Any) -> None:
        """Orders a fault, see `rehearsal.service.Fault`."""
        self.control("POST", "faults", action=action, **order)


class Project:
    """A copy of the project in its own git checkout, and `pulumi` in it. A checkout that is there is used as it is."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.environment = dict(environment)
        if not path.exists():
            self._begin()

    def _begin(self) -> None:
        path = self.path
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            left_out = name.startswith(("tests/", "rehearsal/")) and not name.startswith("tests/release/")
            if (ROOT / name).is_file() and not left_out:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name)
        (path / ".venv").symlink_to(ROOT / ".venv")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("the project")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Dana", "-c", "user.email=dana@rehearsal.example", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def settings(self, stack: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes the configuration in a stack file; keys without the namespace."""
        path = self.path / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        own = {key.removeprefix("databricks-cicd:"): value for key, value in document["config"].items()}
        change(own)
        document["config"] = {f"databricks-cicd:{key}" if ":" not in key else key: own[key] for key in own}
        path.write_text(yaml.safe_dump(document))

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", *arguments, "--non-interactive", "--color", "never"]

    def pulumi(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Outcome:
        """Runs `pulumi`; the variables are added to the environment, those of value "" are left out of it."""
        variables = {**self.environment, **(environment or {})}
        given = {key: value for key, value in variables.items() if value}
        done = run(self.command(*arguments), self.path, given)
        return Outcome(done.returncode, done.stdout)

    def up(self, stack: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Outcome:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", stack, *arguments, environment=environment)

    def killed_up(self, stack: str, when: Callable[[], object]) -> None:
        """Begins an `up` and kills it, with the engine and all plugins, as soon as the condition holds.

        Raises:
            AssertionError: it was over before, or the moment hasn't come.
        """
        command = self.command("up", "--yes", "--skip-preview", "--stack", stack)
        assert killed(command, self.path, self.environment, when), "it was over before"

    def preview(self, stack: str, *arguments: str) -> Outcome:
        return self.pulumi("preview", "--stack", stack, *arguments)

    def destroy(self, stack: str) -> Outcome:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)

    def steps(self, stack: str) -> list[tuple[str, str]]:
        """What an `up` would change: (operation, logical name)."""
        shown = self.pulumi("preview", "--json", "--stack", stack)
        assert shown, shown.text
        document = json.loads(shown.text[shown.text.index("{") :])
        changes = [step for step in document["steps"] if step["op"] not in ("same", "read")]
        return sorted((step["op"], step["urn"].rsplit("::", 1)[1]) for step in changes)

    def outputs(self, stack: str) -> dict[str, Any]:
        shown = self.pulumi("stack", "output", "--json", "--stack", stack)
        assert shown, shown.text
        return dict(json.loads(shown.text))


@dataclass
class System:
    """Both services and a project that is set up to deploy to them.

    Args:
        home: an existing folder for all of it. What another system has left there is gone on with.
        toolchain: the engine.
        addresses: of the services, `azure` and `workspace`; without them any ports and new tokens.
    """

    home: Path
    toolchain: Toolchain
    addresses: InitVar[Mapping[Name, Address] | None] = None
    azure: StandIn = field(init=False)
    workspace: StandIn = field(init=False)
    project: Project = field(init=False)

    def __post_init__(self, addresses: Mapping[Name, Address] | None) -> None:
        state = self.home / "state"
        given = addresses or {"azure": Address.fresh(KEYS), "workspace": Address.fresh(USER_KEYS)}
        self.azure = StandIn(create_azuredevops, state / "azuredevops", given["azure"])
        self.workspace = StandIn(create_databricks, state / "databricks", given["workspace"])
        backend = self.home / "backend"
        is_new = not backend.exists()
        backend.mkdir(exist_ok=True)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(LEAKS)}
        environment = (
            clean
            | self.toolchain.environment(home=self.home / "pulumi")
            | {
                "PULUMI_BACKEND_URL": f"file://{backend}?metadata=skip",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
                "AZDO_ORG_SERVICE_URL": self.organization_url,
                "AZDO_PERSONAL_ACCESS_TOKEN": self.azure.tokens["administrator"],
                "DATABRICKS_HOST": self.workspace.url,
                "DATABRICKS_TOKEN": self.workspace.tokens["administrator"],
                "DATABRICKS_AUTH_TYPE": "pat",
            }
        )
        self.project = Project(self.home / "project", environment)
        if is_new:
            for stack in STACKS:
                made = self.project.pulumi("stack", "init", stack)
                assert made, made.text
            self.project.commit("what `stack init` writes into the stack files")

    def bring_up(self, *stacks: str) -> None:
        """Deploys stacks, one after the other; without a name both.

        Raises:
            AssertionError: one of them fails.
        """
        for stack in stacks or STACKS:
            outcome = self.project.up(stack)
            assert outcome, outcome.text

    @property
    def organization_url(self) -> str:
        return f"{self.azure.url}/rehearsal"

    def start(self) -> None:
        """Starts both services on what they have kept."""
        self.azure.start()
        self.workspace.start()

    def close(self) -> None:
        self.azure.stop()
        self.workspace.stop()

    def restart(self) -> None:
        self.close()
        self.start()

    def azure_clients(self, user: str = "administrator") -> Any:
        """Microsoft's clients, signed in as this user."""
        connection = Connection(self.organization_url, BasicAuthentication("", self.azure.tokens[user]))
        return connection.clients_v7_1

    def checks(self, project: str, environment: int) -> list[dict[str, Any]]:
        """The checks on an environment with their settings; Microsoft's client has nothing for them."""
        answer = httpx.get(
            f"{self.organization_url}/{project}/_apis/pipelines/checks/configurations",
            params={"resourceType": "environment", "resourceId": environment, "$expand": "settings"},
            headers={"Accept": "application/json;api-version=7.1-preview.1"},
            auth=("", self.azure.tokens["administrator"]),
        )
        return list(answer.json()["value"])

    def workspace_client(self, user: str = "administrator") -> WorkspaceClient:
        """Databricks' client, signed in as this user."""
        token = self.workspace.tokens[user]
        return WorkspaceClient(config=Config(host=self.workspace.url, token=token, auth_type="pat"))

    def git_environment(self, user: str) -> dict[str, str]:
        """What lets `git` sign in to the repositories as this user."""
        basic = base64.b64encode(f":{self.azure.tokens[user]}".encode()).decode()
        return {
            **self.project.environment,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            "GIT_TERMINAL_PROMPT": "0",
        }
