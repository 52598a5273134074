"""The service as one application."""

from pathlib import Path

from starlette.applications import Starlette

from rehearsal.azure import directory, resource_manager
from rehearsal.azure.blobs import Blobs
from rehearsal.azure.entra import Entra
from rehearsal.azure.storage_keys import storage_key
from rehearsal.service import Controlled


class Azure(Controlled):
    """The stand-in. It keeps nothing, so nothing has to be ended."""

    def close(self) -> None:
        """Ends nothing."""


def create_app(folder: Path, state: Path, *, control_token: str) -> Azure:
    """The Azure stand-in: one tenant, and one storage account.

    Args:
        folder: holds who can sign in (see `directory.save`), and the account's key.
        state: the account's container.
        control_token: what the control endpoints below `/_rehearsal/` ask for.
    """
    entra = Entra(lambda: directory.load(folder))
    scratch = folder / "incoming"
    scratch.mkdir(parents=True, exist_ok=True)
    blobs = Blobs(state, scratch, storage_key(folder), entra)
    return Azure(
        Starlette(routes=[*resource_manager.routes(entra), *blobs.routes, *entra.routes]),
        control_token=control_token,
        reset=lambda: None,
        error_page=lambda _: (b"", "text/plain"),
    )
