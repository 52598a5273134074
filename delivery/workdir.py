"""Where Pulumi runs for an artifact: in a copy, since an artifact must stay as it was packaged.

Pulumi writes into its stack files and into the project's folder, and wants `.venv` there (Pulumi.yaml says so).
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from delivery.console import Mistake, Progress, RefusedError
from delivery.manifest import Manifest
from delivery.verify import verify

VENV = ".venv"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A verified copy of an artifact: its folder, in which Pulumi can run, and what it is."""

    folder: Path
    manifest: Manifest


@contextmanager
def prepared(artifact: Path, digest: str | None, progress: Progress) -> Iterator[Prepared]:
    """Copies an artifact and verifies the copy: what is run is what was verified, whatever becomes of the artifact.

    Args:
        artifact: the folder with manifest.json.
        digest: what the artifact should have; None to compare it with its own manifest alone.
        progress: hears what is done.

    Raises:
        RefusedError: the artifact differs from its manifest, or isn't the one that was asked for; every difference.
        UnusableError: there is no artifact.
    """
    with tempfile.TemporaryDirectory(prefix="databricks-cicd-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch, "release")
        if artifact.is_dir():
            # Links as links: they are a difference, not what they lead to.
            shutil.copytree(artifact, folder, symlinks=True)
        verdict = verify(folder if artifact.is_dir() else artifact, digest, progress)
        if not verdict.equal or not verdict.manifest:
            remedy = "nothing was changed; deploy the artifact as its build has published it"
            raise RefusedError(
                [
                    Mistake(key=each.path, found=f"{each.kind}: {each.found} instead of {each.expected}", remedy=remedy)
                    for each in verdict.differences
                ]
            )
        progress.step(f"release {verdict.manifest.version}, digest {verdict.manifest.digest}")
        link_environment(folder)
        yield Prepared(folder=folder, manifest=verdict.manifest)


def link_environment(project: Path) -> None:
    """Makes `.venv` in a project's folder lead to the Python that runs this, where there is none."""
    link = project / VENV
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(sys.prefix, target_is_directory=True)
