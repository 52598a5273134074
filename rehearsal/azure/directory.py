"""Who is known to the rehearsal's tenant: applications, and whom each of them trusts.

An administrator says so (`rehearsal/connections.py`), in a file: the tenant has no interface of its own for it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rehearsal.azuredevops.context import fixed_id
from rehearsal.azuredevops.oidc import AUDIENCE
from rehearsal.home import write_private
from rehearsal.store import Document

SUBSCRIPTION_ID = fixed_id("subscription")
SUBSCRIPTION = "Rehearsal"

READER, CONTRIBUTOR = "Storage Blob Data Reader", "Storage Blob Data Contributor"
"""Roles on the storage account: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage."""

CONNECTIONS = {"preview": "previewer", "test": "deployer-test", "production": "deployer-production"}
"""Purpose of a service connection -> the service principal of the workspace that it signs in as."""
ROLES = {"preview": READER, "test": CONTRIBUTOR, "production": CONTRIBUTOR}
"""Purpose -> what its application may do with the stacks' state."""

_FILE = "applications.json"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """A federated credential: whose tokens stand for the application.

    https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust
    """

    issuer: str
    subject: str
    audience: str = AUDIENCE


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application with its service principal.

    Args:
        id: the application id, which Databricks knows it by, too.
        name: for people.
        trusts: its federated credentials.
        subscriptions: the subscriptions in which it has a role.
        roles: those on the storage account.
    """

    id: str
    name: str
    trusts: tuple[Trust, ...] = ()
    subscriptions: tuple[str, ...] = (SUBSCRIPTION_ID,)
    roles: tuple[str, ...] = ()


def connection(purpose: str) -> str:
    """The name of the service connection of a purpose, as it stands in `pipelines/settings/variables.yml`."""
    return f"azure-{purpose}"


def save(folder: Path, applications: list[Application]) -> None:
    """Keeps who is known."""
    write_private(folder / _FILE, json.dumps([asdict(each) for each in applications], indent=1))


def load(folder: Path) -> list[Application]:
    """Who is known; nobody, as long as nothing was kept."""
    file = folder / _FILE
    return [_application(each) for each in json.loads(file.read_text())] if file.exists() else []


def _application(document: Document) -> Application:
    trusts = tuple(Trust(**each) for each in document["trusts"])
    lists = {name: tuple(document[name]) for name in ("subscriptions", "roles")}
    return Application(**document | {"trusts": trusts} | lists)
