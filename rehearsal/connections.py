"""Signing in to Azure in the rehearsal: what an administrator sets up once, for pipelines that use service connections.

Three connections with workload identity federation in the project, each permitted to the pipelines that need it; an
application for each, which trusts it; and Microsoft's own `az` on the agent, which finds the stand-in of Azure.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from rehearsal.azure import directory, serving
from rehearsal.azure.directory import Application, Trust
from rehearsal.azuredevops.identities import TENANT_ID
from rehearsal.azuredevops.service_endpoints import FEDERATION
from rehearsal.databricks.users import SEEDS
from rehearsal.home import CHECKOUT, Home
from rehearsal.pipelines import administrator
from rehearsal.toolchain import ToolchainError, cache

LOCK = Path(__file__).parent / "azure" / "azure-cli.lock"
PIPELINES = {"preview": ("build",), "test": ("release", "drift"), "production": ("release", "drift")}
"""Purpose of a connection -> the pipelines that may use it, by name."""
NEXT = "\n".join(
    [
        "The variable groups say `azure-cli` from now on. In a pull request, let the pipelines sign in with the three",
        "service connections; pipelines/settings/variables.yml:",
        "",
        *(f"  {purpose}ServiceConnection: {directory.connection(purpose)}" for purpose in directory.CONNECTIONS),
    ]
)
"""What is left to do for somebody who has set it up."""


def install(home: Home) -> None:
    """Azure's command line, in an environment of its own with exactly the locked packages, and the certificate.

    From then on Azure is one of the rehearsal's services; not if it fails.

    Raises:
        ToolchainError: it can't be had; what pip says is told before.
    """
    home.azure.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-B", "-m", "delivery", "venv", "--lock", str(LOCK)]
    command += ["--cache", str(cache.folder().parent)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_BUILD"}
    environment["PYTHONPATH"] = str(CHECKOUT)
    # It puts the link to what it has made, `.venv`, into the folder in which it is called.
    done = subprocess.run(command, cwd=home.azure, env=environment, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise ToolchainError("the Azure CLI can't be installed; see above")
    link = home.commands / "az"
    link.unlink(missing_ok=True)
    link.symlink_to(home.azure / ".venv" / "bin" / "az")
    serving.certificate_of(home)


def set_up(home: Home, project: str) -> None:
    """Makes the connections that aren't there, and lets the applications trust them. The services must answer.

    Args:
        home: the rehearsal.
        project: the project's id.

    Raises:
        httpx.HTTPError: the service refuses.
    """
    ids = {seed.key: seed.name for seed in SEEDS}
    applications = []
    with administrator(home) as client:
        definitions = client.get(f"{project}/_apis/build/definitions").raise_for_status().json()["value"]
        known = {each["name"]: each["id"] for each in definitions}
        for purpose, user in directory.CONNECTIONS.items():
            endpoint = _connection(client, project, directory.connection(purpose), ids[user])
            body = {"pipelines": [{"id": known[name], "authorized": True} for name in PIPELINES[purpose]]}
            permissions = f"{project}/_apis/pipelines/pipelinePermissions/endpoint/{endpoint['id']}"
            client.patch(permissions, json=body).raise_for_status()
            told = endpoint["authorization"]["parameters"]
            trust = Trust(
                issuer=told["workloadIdentityFederationIssuer"], subject=told["workloadIdentityFederationSubject"]
            )
            roles = (directory.ROLES[purpose],)
            applications.append(Application(id=ids[user], name=user, trusts=(trust,), roles=roles))
    directory.save(home.azure, applications)


def _connection(client: httpx.Client, project: str, name: str, application: str) -> Mapping[str, Any]:
    """The connection with this name; made when it is missing."""
    query = {"endpointNames": name}
    found = client.get(f"{project}/_apis/serviceendpoint/endpoints", params=query).raise_for_status().json()["value"]
    if found:
        return dict(found[0])
    body = {
        "name": name,
        "type": "azurerm",
        "url": "https://management.azure.com/",
        "authorization": {
            "scheme": FEDERATION,
            "parameters": {"tenantid": TENANT_ID, "serviceprincipalid": application},
        },
        "data": {
            "environment": "AzureCloud",
            "scopeLevel": "Subscription",
            "subscriptionId": directory.SUBSCRIPTION_ID,
            "subscriptionName": directory.SUBSCRIPTION,
            "creationMode": "Manual",
        },
        "serviceEndpointProjectReferences": [{"name": name, "projectReference": {"id": project}}],
    }
    return dict(client.post("_apis/serviceendpoint/endpoints", json=body).raise_for_status().json())
