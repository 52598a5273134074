"""The stand-in as a process: the service, behind the proxy that knows Azure's names."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from rehearsal import service
from rehearsal.azure import blobs, entra, proxy, resource_manager
from rehearsal.azure.app import create_app
from rehearsal.azure.certificates import Certificate, certificate
from rehearsal.databricks.notifications import ORG_ID
from rehearsal.home import Home

WORKSPACE = f"adb-{ORG_ID}.{ORG_ID % 20}.azuredatabricks.net"
"""What the workspace is called in Azure: https://learn.microsoft.com/azure/databricks/workspace/workspace-details."""
_HOSTS = (entra.HOST, resource_manager.HOST, blobs.HOST)


def certificate_in(folder: Path) -> Certificate:
    """The certificate for all names; made when it is missing."""
    return certificate(folder, (*_HOSTS, WORKSPACE))


def variables(folder: Path, port: int) -> dict[str, str]:
    """What a process must have in its environment to come to the stand-in by Azure's names.

    Args:
        folder: the one with the certificate.
        port: where the stand-in is.
    """
    address = f"http://127.0.0.1:{port}"
    return {"HTTPS_PROXY": address, "https_proxy": address, **certificate_in(folder).variables}


def routes(folder: Path, own: int, home: Home, upstream: str | None = None) -> proxy.Routes:
    """Where the names lead.

    Args:
        folder: the one with the certificate.
        own: the port of the service itself.
        home: knows where the workspace is.
        upstream: see `proxy.Routes`.
    """
    names = {**dict.fromkeys(_HOSTS, lambda: own), WORKSPACE: lambda: home.port("databricks")}
    return proxy.Routes(names=names, own=own, trusted=certificate_in(folder).context, upstream=upstream)


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
            asyncio.run(proxy.serve(listener, routes(home.azure, own, home, upstream)))
