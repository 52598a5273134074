"""Which release follows which: an older one goes over a newer one only where somebody wants to go back."""

import os

from delivery.console import Mistake, RefusedError
from delivery.manifest import Manifest
from delivery.record import Document, Record


def refuse_to_overtake(record: Record, manifest: Manifest, stack: str) -> None:
    """Refuses to put an older build over a newer one where nobody has asked for it.

    Builds of two merges may end in the other order, and releases start so. A newer one whose deployment was cut off or
    has failed counts as well: it is to be finished, and the folder may hold a part of it.

    Args:
        record: what is deployed, and what was begun.
        manifest: of the release that is to be deployed.
        stack: the stack's name.

    Raises:
        RefusedError: a run that started by itself, with an older build.
    """
    if os.environ.get("BUILD_REASON") != "ResourceTrigger":
        return
    for release, how in ((record.current, "is deployed to"), (record.attempt, "has begun to be deployed to")):
        if release and _is_older(manifest, release):
            found = f"build {manifest.build and manifest.build.number} is older than {release['build']['number']}, "
            remedy = "nothing is to be done: the newer release has this one's changes. To go back, start a rollback"
            raise RefusedError([Mistake(key="release", found=f"{found}which {how} {stack}", remedy=remedy)])


def goes_back(record: Record, manifest: Manifest) -> bool:
    """Whether the release is older than one that has been deployed, or has begun to be: a rollback, by hand.

    What starts by itself and is older than what is there is refused before; see `refuse_to_overtake`.
    """
    known = (record.current, record.attempt, *record.history)
    return os.environ.get("BUILD_REASON") != "ResourceTrigger" and any(
        _is_older(manifest, release) for release in known if release
    )


def _is_older(manifest: Manifest, release: Document) -> bool:
    build = release["build"]
    return bool(manifest.build and build and manifest.build.id < build["id"])
