"""The rehearsal's folder: ports, credentials, the services' state and the stacks' state, all in one place.

It is `.rehearsal/` in the checkout, which git ignores, or what REHEARSAL_HOME says. The credentials are made for
each rehearsal and mean nothing elsewhere; even so they are kept as credentials are: readable by their owner alone,
never on a command line.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Service: TypeAlias = Literal["azuredevops", "databricks", "azure"]
SERVICES: tuple[Service, ...] = ("azuredevops", "databricks")
"""What every rehearsal has; Azure is there for who asks for it (`make rehearsal-azure`)."""
Process: TypeAlias = Literal["azuredevops", "databricks", "azure", "agent"]
"""What runs in the background: the services, and the agent that executes pipelines."""

USERS: dict[Service, tuple[str, ...]] = {
    "azuredevops": ("administrator", "dana", "devin", "avery", "ari", "build-service", "agent", "nobody", "expired"),
    "databricks": (
        "administrator",
        "dana",
        "devin",
        "previewer",
        "deployer-test",
        "deployer-production",
        "nobody",
        "expired",
    ),
}
"""Who has a token of the service; who they are stands in the service's `users.py`."""

BELIEVED = "believed.pem"
"""The file in `Home.azure` with the certificates that clients believe."""
HOME_VARIABLE = "REHEARSAL_HOME"
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The tokens of one rehearsal.

    Args:
        control: for the control endpoints of the services.
        users: service -> user key -> token.
    """

    control: str
    users: dict[Service, dict[str, str]]


class Home:
    """The folder and what is found in it. Makes nothing until it is asked for something that must be there.

    Args:
        path: the folder; by default REHEARSAL_HOME, or `.rehearsal/` in the checkout.
    """

    def __init__(self, path: Path | None = None) -> None:
        named = os.environ.get(HOME_VARIABLE)
        self.path = (path or (Path(named) if named else CHECKOUT / ".rehearsal")).absolute()

    @property
    def exists(self) -> bool:
        """Whether there is a rehearsal."""
        return (self.path / "credentials.json").exists()

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME: plugins, the selected stack, the engine's logs."""
        return self.path / "pulumi"

    @property
    def backend(self) -> Path:
        """The stacks' state."""
        return self._folder("stacks")

    @property
    def scratch(self) -> Path:
        """A Pulumi project of the same name, in which stacks are made without touching the checkout's files."""
        return self.path / "scratch"

    @property
    def commands(self) -> Path:
        """Programs that go to the front of PATH."""
        return self._folder("bin")

    @property
    def agent(self) -> Path:
        """What the agent works in."""
        return self.path / "agent"

    @property
    def passphrase(self) -> Path:
        """The file with the passphrase of the stacks' secrets."""
        file = self._folder() / "passphrase"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file

    @property
    def credentials(self) -> Credentials:
        """The tokens; made at the first call."""
        file = self._folder() / "credentials.json"
        kept: dict[str, Any] = {"control": secrets.token_urlsafe(32), "users": {}}
        if file.exists():
            kept = json.loads(file.read_text())
        # A rehearsal that was made before somebody came to be gets a token for them, and keeps the others.
        known: dict[str, dict[str, str]] = kept["users"]
        users = {
            service: {user: known.get(service, {}).get(user) or _token(service) for user in USERS[service]}
            for service in SERVICES
        }
        if users != known:
            write_private(file, json.dumps({"control": kept["control"], "users": users}, indent=1))
        return Credentials(control=kept["control"], users=users)

    def state(self, service: Service) -> Path:
        """Where the service keeps its state."""
        return self._folder("services") / service

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that this rehearsal has: with Azure when all of it is there, of which the file is the last."""
        return (*SERVICES, "azure") if (self.azure / BELIEVED).exists() else SERVICES

    @property
    def azure(self) -> Path:
        """What belongs to the stand-in of Azure: certificate, applications, and the command line with its settings."""
        return self.path / "azure"

    @property
    def runs(self) -> Path:
        """What the runs of jobs leave, one folder each."""
        return self.path / "runs"

    @property
    def data(self) -> Path:
        """The Databricks workspace's "cloud storage": catalogs, volumes, dbfs."""
        return self.path / "databricks-data"

    @property
    def clusters(self) -> Path:
        """One folder for each cluster that runs."""
        return self.path / "clusters"

    @property
    def mail(self) -> Path:
        """Every mail that a job's notification sent, one file each."""
        return self.path / "mail"

    def log(self, process: Process) -> Path:
        """Where the process writes."""
        return self._folder("logs") / f"{process}.log"

    def process_file(self, process: Process) -> Path:
        """Which process it is."""
        return self.path / f"{process}.process.json"

    def port(self, service: Service) -> int | None:
        """The service's port; None before its first start."""
        port: int | None = self._ports().get(service)
        return port

    def set_port(self, service: Service, port: int) -> None:
        """Keeps the port: the stacks' state holds URLs with it, so it stays over restarts."""
        write_private(self._folder() / "ports.json", json.dumps({**self._ports(), service: port}))

    def address(self, service: Service) -> str:
        """`http://127.0.0.1:PORT`.

        Raises:
            LookupError: it was never started.
        """
        port = self.port(service)
        if port is None:
            raise LookupError(f"{service} was never started; `make rehearsal` does")
        return f"http://127.0.0.1:{port}"

    @property
    def organization_url(self) -> str:
        """The Azure DevOps organisation's URL."""
        return f"{self.address('azuredevops')}/rehearsal"

    @property
    def workspace_host(self) -> str:
        """The Databricks workspace's URL."""
        return self.address("databricks")

    def _ports(self) -> dict[str, int]:
        try:
            ports: dict[str, int] = json.loads((self.path / "ports.json").read_text())
        except FileNotFoundError:
            return {}
        return ports

    def _folder(self, *names: str) -> Path:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.path.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _token(service: Service) -> str:
    """A random token in the length and alphabet of the service's own."""
    return f"dapi{secrets.token_hex(16)}" if service == "databricks" else secrets.token_hex(42)


def write_private(file: Path, text: str) -> None:
    """Writes atomically a file that only its owner can read, from the first byte on."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    fresh.replace(file)
