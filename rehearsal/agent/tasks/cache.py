"""`Cache@2`: folders kept between runs, in a folder of the agent.

https://learn.microsoft.com/azure/devops/pipelines/release/caching. As there: the parts of a key are names or files,
whose contents count; a key never changes what it holds; restore keys are beginnings, and the newest one wins; what was
restored under another key is kept under the new one at the end of a job that succeeded. Caches belong to a pipeline and
a branch; a run also sees those of its pipeline's default branch.
"""

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from rehearsal.agent import patterns
from rehearsal.agent.context import JobContext, PostStep
from rehearsal.agent.feed import Record
from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs

_FILE = re.compile(r"[*?\[]|^\.{0,2}/|/|\.[A-Za-z0-9]+$")


def restore(step: StepContext, inputs: Inputs) -> None:
    """Restores a folder if there is a cache for its key, and keeps it at the end of the job otherwise."""
    root = Path(step.job.variable("System.DefaultWorkingDirectory"))
    key, folder = _fingerprint(inputs["key"], root), (root / inputs["path"]).resolve()
    step.output(f"Resolved key: {' | '.join(key)}")
    own, default = _scopes(step.job)
    exact, found = [(own, key), (default, key)], None
    partial = [
        (scope, _fingerprint(line, root)) for line in patterns.lines(inputs["restoreKeys"]) for scope in (own, default)
    ]
    hit = "false"
    for number, (scope, wanted) in enumerate([*exact, *partial]):
        found = _newest(step.job.directories.cache / scope, wanted, whole=number < len(exact))
        if found is not None:
            hit = "true" if number < len(exact) else "inexact"
            break
    if found is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(found) as archive:
            archive.extractall(folder, filter="fully_trusted")  # noqa: S202 - made by `_save` on this machine
    step.output({"true": "Cache hit.", "false": "Cache miss.", "inexact": "Cache hit for a restore key."}[hit])
    if inputs["cacheHitVar"]:
        step.job.variables.assign(inputs["cacheHitVar"], hit)
    if hit != "true":
        target = step.job.directories.cache / own
        step.job.post.append(
            PostStep(
                name=f"Post-job: {step.record.name}",
                order=0,
                run=lambda job, record: _save(job, record, folder, target, key),
            )
        )


def _scopes(job: JobContext) -> tuple[str, str]:
    request, repository = job.request, job.request.repositories.get("self")
    branches = (repository.ref, repository.default_branch) if repository else ("", "")
    own, default = (
        hashlib.sha256(f"{request.project.id}/{request.definition.id}/{branch}".encode()).hexdigest()[:20]
        for branch in branches
    )
    return own, default


def _fingerprint(text: str, root: Path) -> list[str]:
    """A key with its files replaced by what they hold.

    Raises:
        TaskFailedError: a file isn't there.
    """
    result = []
    for part in (part.strip() for part in text.split("|")):
        quoted = part.startswith('"') and part.endswith('"')
        if quoted or not _FILE.search(part):
            result.append(part.strip('"'))
            continue
        files = patterns.find("\n".join(each.strip() for each in part.split(",")), root)
        if not files:
            raise TaskFailedError(f"No matching files found for pattern: {part}")
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.relative_to(root) if file.is_relative_to(root) else file}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        result.append(digest.hexdigest())
    return result


def _newest(scope: Path, key: list[str], *, whole: bool) -> Path | None:
    """The newest cache with this key, or with a key that begins so."""
    found = []
    for note in scope.glob("*.json"):
        kept = json.loads(note.read_text())
        if kept == key if whole else kept[: len(key)] == key:
            found.append(note.with_suffix(".tar"))
    return max(found, key=lambda archive: archive.stat().st_mtime_ns, default=None)


def _save(job: JobContext, record: Record, folder: Path, scope: Path, key: list[str]) -> None:
    if job.status not in ("Succeeded", "SucceededWithIssues"):
        job.feed.line(record.id, "The job has not succeeded: nothing is kept.")
        return
    if not folder.exists():
        job.feed.line(record.id, f"##[warning]The path {folder} does not exist: nothing is kept.")
        return
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    archive, note = scope / f"{name}.tar", scope / f"{name}.json"
    if note.exists():
        job.feed.line(record.id, "There is a cache with this key already.")
        return
    scope.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scope) as temporary:
        fresh = Path(temporary) / "archive.tar"
        with tarfile.open(fresh, "w") as packed:
            packed.add(folder, ".")
        shutil.move(fresh, archive)
    note.write_text(json.dumps(key))
    job.feed.line(record.id, f"Kept {folder}.")
