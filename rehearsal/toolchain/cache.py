"""The cache of built programs: one folder for each part under a key of all it is made from, complete or absent.

A part is built beside its place and moved there when it is whole, by one process at a time. A manifest of sizes and
digests tells a whole part from a damaged one; its time is that of the last use. Whoever builds a part removes those of
the same kind that nobody has used for a month.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import filelock
import platformdirs

Report: TypeAlias = Callable[[str], None]

_MANIFEST = "manifest.json"
UNUSED_SECONDS = 30 * 24 * 3600


def folder() -> Path:
    """Where the parts are kept: outside the checkout, `$XDG_CACHE_HOME` or `~/.cache` on Linux."""
    return platformdirs.user_cache_path("databricks-cicd") / "toolchain"


def digest(*materials: str | Path) -> str:
    """A key of texts and files, in this order."""
    total = hashlib.sha256()
    for material in materials:
        body = material.read_bytes() if isinstance(material, Path) else material.encode()
        total.update(hashlib.sha256(body).digest())
    return total.hexdigest()[:16]


def whole(part: Path, *, thorough: bool) -> bool:
    """Whether the part is complete.

    Args:
        part: its folder.
        thorough: compare digests, too, which takes about a second for all parts, instead of sizes alone.
    """
    try:
        manifest = json.loads((part / _MANIFEST).read_text())
        for name, entry in manifest.items():
            file = part / name
            if file.stat().st_size != entry["size"] or (thorough and _sha256(file) != entry["sha256"]):
                return False
        os.utime(part / _MANIFEST)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(manifest)


def provide(part: Path, build: Callable[[Path], None], report: Report) -> Path:
    """The part, built if it is missing or damaged.

    Args:
        part: its folder in the cache.
        build: fills the folder that it is given.
        report: gets a line about what happens.

    Returns:
        The part's folder.
    """
    if whole(part, thorough=True):
        return part
    part.parent.mkdir(parents=True, exist_ok=True)
    with _alone(part.parent / "building.lock", report):
        if whole(part, thorough=True):  # another process built it meanwhile
            return part
        if part.exists():
            report(f"{part.name} in the cache is damaged; building it anew")
            shutil.rmtree(part)
        unfinished = part.with_name(f"{part.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed: the lock is ours
        unfinished.mkdir()
        build(unfinished)
        _write_manifest(unfinished)
        unfinished.rename(part)
        _remove_unused(part, report)
    return part


def _remove_unused(part: Path, report: Report) -> None:
    """Of the parts that stand beside this one and are called like it, up to the first hyphen."""
    for manifest in part.parent.glob(f"{part.name.partition('-')[0]}-*/{_MANIFEST}"):
        if time.time() - manifest.stat().st_mtime > UNUSED_SECONDS:
            report(f"removing {manifest.parent.name} from the cache: nobody has used it for a month")
            shutil.rmtree(manifest.parent, ignore_errors=True)


@contextmanager
def _alone(lock: Path, report: Report) -> Iterator[None]:
    """Holds the lock; says so while another process has it."""
    # A singleton: building a part may ask for another one (Go itself), and this process holds the lock already.
    waiting, started, patience = filelock.FileLock(lock, is_singleton=True), time.monotonic(), 0.2
    while True:
        try:
            waiting.acquire(timeout=patience)
            break
        except filelock.Timeout:
            report(f"another process is building the toolchain; waiting for it ({time.monotonic() - started:.0f} s)")
            patience = 10
    try:
        yield
    finally:
        waiting.release()


def _write_manifest(part: Path) -> None:
    files = sorted(each for each in part.rglob("*") if each.is_file())
    manifest = {str(file.relative_to(part)): {"size": file.stat().st_size, "sha256": _sha256(file)} for file in files}
    (part / _MANIFEST).write_text(json.dumps(manifest, indent=1))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
