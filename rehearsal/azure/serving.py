"""The stand-in as a process: the service, behind the proxy that knows Azure's names."""

import asyncio
import contextlib
import os
import socket

from rehearsal import service
from rehearsal.azure import blobs, entra, proxy, resource_manager
from rehearsal.azure.app import create_app
from rehearsal.azure.certificates import Certificate, certificate
from rehearsal.databricks.notifications import ORG_ID
from rehearsal.home import Home

WORKSPACE = f"adb-{ORG_ID}.{ORG_ID % 20}.azuredatabricks.net"
"""What the workspace is called in Azure: https://learn.microsoft.com/azure/databricks/workspace/workspace-details."""
_HOSTS = (entra.HOST, resource_manager.HOST, blobs.HOST)


def certificate_of(home: Home) -> Certificate:
    """The certificate for all names; made when it is missing."""
    return certificate(home.azure, (*_HOSTS, WORKSPACE))


def variables(home: Home) -> dict[str, str]:
    """What a process must have in its environment to come to the stand-in by Azure's names."""
    address = home.address("azure")
    return {"HTTPS_PROXY": address, "https_proxy": address, **certificate_of(home).variables}


def routes(home: Home, own: int, upstream: str | None = None) -> proxy.Routes:
    """Where the names lead.

    Args:
        home: knows where the workspace is.
        own: the port of the service itself.
        upstream: see `proxy.Routes`.
    """
    names = {**dict.fromkeys(_HOSTS, lambda: own), WORKSPACE: lambda: home.port("databricks")}
    return proxy.Routes(names=names, own=own, trusted=certificate_of(home).context, upstream=upstream)


def run(home: Home, listener: socket.socket, control_token: str) -> None:
    """Serves until the process is ended.

    Args:
        home: the rehearsal.
        listener: a listening socket.
        control_token: what the control endpoints ask for.
    """
    given = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    # Whoever starts it may have it as proxy already.
    upstream = "" if given.endswith(f":{listener.getsockname()[1]}") else given
    with service.Background(create_app(home.azure, home.backend, control_token=control_token)) as url:
        own = int(url.rpartition(":")[2])
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(proxy.serve(listener, routes(home, own, upstream)))
