"""What a commit holds, read from git's objects: the working tree, its filters and its line ends play no part."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from delivery.console import UnusableError

SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Commit:
    """`prefix` is the project's folder inside the repository: "" or with a slash at the end."""

    id: str
    time: datetime
    prefix: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """A name in a commit: `path` below the project's folder, `mode` as git has it (`100644`), `id` of the object."""

    path: str
    mode: str
    id: str


def find_commit(project: Path, revision: str) -> Commit:
    """The commit of that name.

    Args:
        project: the folder with Pulumi.yaml, inside a git checkout.
        revision: a commit as git names it: an id, a branch, `HEAD~3`.

    Raises:
        UnusableError: there is no git, no checkout or no such commit.
    """
    if not project.is_dir():
        raise UnusableError("--project", f"there is no folder {project}", "give the folder with Pulumi.yaml")
    prefix = _git(project, "rev-parse", "--show-prefix").decode().rstrip("\n")
    try:
        found = _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UnusableError:
        remedy = "give a commit that is in the checkout; a shallow one doesn't reach far back"
        raise UnusableError("--commit", f"there is no commit {revision!r}", remedy) from None
    commit = found.decode().strip()
    seconds = _git(project, "show", "--no-patch", "--format=%ct", commit)
    return Commit(id=commit, time=datetime.fromtimestamp(int(seconds), UTC), prefix=prefix)


def items(project: Path, commit: Commit) -> list[Item]:
    """Everything that the commit holds below the project's folder. A name that isn't UTF-8 comes with surrogates."""
    tree = f"{commit.id}:{commit.prefix}" if commit.prefix else commit.id
    listed = _git(project, "ls-tree", "-r", "-z", "--full-tree", tree)
    found = []
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, identity = facts.decode().split(" ")
        found.append(Item(path=os.fsdecode(path), mode=mode, id=identity))
    return found


def contents(project: Path, ids: Sequence[str]) -> Iterator[bytes]:
    """The contents of these objects, in their order.

    Source: https://git-scm.com/docs/git-cat-file#_batch_output
    """
    with tempfile.TemporaryFile() as wanted:
        # From a file: with two pipes and one thread, git and this could wait for each other.
        wanted.write("".join(f"{identity}\n" for identity in ids).encode())
        wanted.seek(0)
        process = subprocess.Popen(  # noqa: S603 - git, with fixed arguments; the ids go in by a file
            _command(project, "cat-file", "--batch", "--buffer"), stdin=wanted, stdout=subprocess.PIPE
        )
        with process:
            output = cast(IO[bytes], process.stdout)
            try:
                for identity in ids:
                    # "ID blob SIZE", and "ID missing" for what a broken or partial clone lacks.
                    _, *kind_and_size = output.readline().decode().split()
                    if len(kind_and_size) != 2:
                        raise UnusableError(identity, "git can't read this object", "clone the repository again")
                    yield output.read(int(kind_and_size[1]) + 1)[:-1]
            finally:
                process.kill()


def uncommitted(project: Path, commit: Commit) -> list[str]:
    """What differs between the commit and the project's folder, by path below it; ignored files are left out.

    Args:
        project: the project's folder.
        commit: the commit that is checked out.
    """
    status = _git(project, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    paths = [os.fsdecode(line[3:]) for line in status.split(b"\0")[:-1]]
    return [path.removeprefix(commit.prefix) for path in paths]


def _command(project: Path, *arguments: str) -> list[str]:
    # Objects as they are, whatever `git replace` says here; and no lock: somebody may work in the same checkout.
    plain = ["--no-replace-objects", "--no-optional-locks", "-c", "log.showSignature=false"]
    return ["git", *plain, "-C", str(project), *arguments]


def _git(project: Path, *arguments: str) -> bytes:
    """What git prints.

    Raises:
        UnusableError: with git's own words.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - git; what a user names comes after --end-of-options
            _command(project, *arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise UnusableError("git", "there is no such program on the PATH", "install git") from None
    except subprocess.TimeoutExpired:
        raise UnusableError("git", f"`git {arguments[0]}` took over {SECONDS} seconds", "try again") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        remedy = "run this in a git checkout of the project, or name one with --project"
        raise UnusableError("git", f"`git {arguments[0]}` says: {words}", remedy)
    return done.stdout
