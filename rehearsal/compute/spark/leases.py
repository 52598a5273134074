"""Who uses a cluster: a lease is a file that a process holds locked as long as it lives.

The operating system releases the lock whichever way the process ends, and a lock, other than a process id, can't be
mistaken for that of a later process.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

_held: list[IO[str]] = []  # open for as long as this process lives


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What a cluster must know of a session to end it.

    Args:
        kind: `classic` or `serverless`.
        session: the session's id.
        user: the user's name that a serverless session goes by.
    """

    kind: str
    session: str
    user: str = ""


def take(directory: Path, lease: Lease) -> None:
    """Takes a lease that ends with this process.

    Args:
        directory: the cluster's.
        lease: the session.
    """
    leases = folder(directory)
    name = str(os.getpid())
    taken = sum(1 for each in leases.glob(f"{name}*") if each.is_file())
    fresh = leases / f".{name}"
    stream = fresh.open("w")
    fcntl.lockf(stream, fcntl.LOCK_EX)
    json.dump(asdict(lease), stream)
    stream.flush()
    # It appears when it is locked: the cluster takes an unlocked one for that of a dead process.
    fresh.rename(leases / (f"{name}-{taken}" if taken else name))
    _held.append(stream)


def folder(directory: Path) -> Path:
    """Where the leases of a cluster are; made if it isn't there."""
    made = directory / "leases"
    made.mkdir(exist_ok=True)
    return made


def ended(directory: Path) -> Iterator[Lease]:
    """Removes the leases of processes that have ended, and gives them."""
    for file in _files(directory):
        with file.open("r+") as stream:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            lease = Lease(**json.load(stream))
            file.unlink()
        yield lease


def any_held(directory: Path) -> bool:
    """Whether there is a lease; call `ended` first."""
    return bool(_files(directory))


def _files(directory: Path) -> list[Path]:
    return [each for each in folder(directory).iterdir() if not each.name.startswith(".")]
