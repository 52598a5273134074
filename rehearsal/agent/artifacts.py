"""Pipeline artifacts: published from a folder, downloaded into one.

https://learn.microsoft.com/azure/devops/pipelines/artifacts/pipeline-artifacts. As there, the rights of files are lost
on the way, empty folders too, links are followed; `.git` is left out, and what `.artifactignore` names.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pathspec

from rehearsal.agent import patterns
from rehearsal.agent.client import ServiceRefusalError
from rehearsal.agent.step_context import StepContext, TaskFailedError

_IGNORE = ".artifactignore"
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def publish(step: StepContext, name: str, path: Path) -> None:
    """Publishes a file or a folder as an artifact of the run.

    Raises:
        TaskFailedError: there is no such path.
        ServiceRefusalError: the run has such an artifact already, or the name is no good.
    """
    if not path.exists():
        raise TaskFailedError(f"Path does not exist: {path}")
    step.output(f"Uploading pipeline artifact from {path} for build #{step.job.request.run_id}")
    files = sorted(_files(path)) if path.is_dir() else [(path.name, path)]
    with tempfile.TemporaryDirectory(dir=step.job.directories.temp) as folder:
        archive = Path(folder) / "artifact.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for number, (relative, file) in enumerate(files):
                if number % 100 == 0:
                    step.interruption()
                with file.open("rb") as source, packed.open(zipfile.ZipInfo(relative, _NO_TIME), "w") as copy:
                    shutil.copyfileobj(source, copy)
        step.job.client.artifact(step.job.request.id, name, archive)
    step.output(f"Associated artifact {name} ({len(files)} files) with build {step.job.request.run_id}")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    rules = folder / _IGNORE
    ignored = pathspec.GitIgnoreSpec.from_lines(rules.read_text().splitlines() if rules.is_file() else [".git/"])
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and relative != _IGNORE and not ignored.match_file(relative):
            yield relative, path


def download(
    step: StepContext, *, run_id: int, project: str | None, name: str | None, chosen: str, folder: Path, named: bool
) -> None:
    """Downloads artifacts of a run.

    Args:
        step: says what is done.
        run_id: the run.
        project: id of its project; None: that of this run.
        name: the artifact; None: all of them.
        chosen: patterns of files, relative to the artifact.
        folder: gets the files.
        named: each artifact gets a folder of its name.

    Raises:
        TaskFailedError: there is no such run or artifact, or it may not be read.
    """
    rest = step.job.rest
    try:
        found = rest.call("GET", f"build/builds/{run_id}/artifacts", project=project)["value"]
    except ServiceRefusalError as error:
        raise TaskFailedError(str(error)) from error
    wanted = [each for each in found if name is None or each["name"].lower() == name.lower()]
    if name is not None and not wanted:
        raise TaskFailedError(f"Artifact {name} was not found for build {run_id}.")
    if not wanted:
        step.output(f"Build {run_id} has no artifacts.")
    for artifact in wanted:
        step.interruption()
        target = folder / artifact["name"] if named else folder
        step.output(f"Downloading artifact {artifact['name']} of build {run_id} to {target}")
        with tempfile.TemporaryDirectory(dir=step.job.directories.temp) as temporary:
            archive = Path(temporary) / "artifact.zip"
            rest.download(artifact["resource"]["downloadUrl"], archive)
            count = _extract(archive, artifact["name"], chosen, target)
        step.output(f"Downloaded {count} files.")


def _extract(archive: Path, name: str, chosen: str, target: Path) -> int:
    prefix = f"{name}/"
    root = target.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as packed:
        # The service puts all files into a folder of the artifact's name.
        entries = {entry.removeprefix(prefix): entry for entry in packed.namelist() if not entry.endswith("/")}
        wanted = patterns.chosen(chosen, entries)
        for relative in wanted:
            file = (root / relative).resolve()
            if not file.is_relative_to(root):
                raise TaskFailedError(f"The artifact {name} has a file outside of it: {relative}")
            file.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entries[relative]) as source, file.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    return len(wanted)
