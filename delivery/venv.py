"""`venv`: a virtual environment with exactly the locked packages, made once and found again.

The first step of a pipeline, so nothing but Python's standard library is used. The environment stands in the agent's
folder for tools, which a self-hosted agent keeps from run to run, under the name `venv-<Python>-<hash>`. The hash is
one of the lock file and of the Python that runs it: another lock is another environment, so nobody's packages change
while they run.
A virtual environment can't be moved (https://docs.python.org/3/library/venv.html), so it is made where it stays, and
counts only with the mark that is put there last, a copy of the lock file. A lock of the operating system keeps two from
making it at once; it ends with the process that has it, however that ends. The mark's time is that of the last use:
whoever makes an environment removes those that nobody has used for a month.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from delivery import manifest
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, agent_command, tell

MARK = ".complete"
LINK = ".venv"
HASH_LENGTH = 12
UNUSED_SECONDS = 30 * 24 * 3600
LINES_TOLD = 20  # of what pip says when it fails
# What pip says when a package isn't the one that was locked.
NOT_AS_LOCKED = ("DO NOT MATCH THE HASHES", "Hashes are required", "must have their versions pinned")

TEXT = """\
Make a virtual environment with exactly the packages of a lock file (pip --require-hashes), or find the one that was
made before, and link .venv in the current folder to it. An artifact (a folder with manifest.json) gets no link: it
stays as it was packaged. In a pipeline the environment's programs come first on the PATH of the steps that follow.

It stands in --cache, else in $AGENT_TOOLSDIRECTORY/databricks-cicd, else in ~/.cache/databricks-cicd. It needs nothing
but Python; pip's own settings (PIP_INDEX_URL and the like) hold.
"""
CODES = """\
exit codes:
  0  it is there
  1  refused: a package isn't the one that was locked, or the lock has no hash for it
  2  wrong usage, or it can't be made: no lock file, no index to be reached, a full disk
"""


@dataclass(frozen=True, kw_only=True)
class Made:
    """`folder` is the environment's. `reused` says that it was there; `link` that .venv leads to it."""

    folder: Path
    reused: bool
    link: Path | None

    @property
    def programs(self) -> Path:
        """The folder with `python` in it."""
        return self.folder / "bin"


def add_parser(add: Add) -> None:
    """The command line of `venv`."""
    made = add("venv", _command, "a virtual environment with the locked packages", TEXT, CODES)
    made.add_argument("--lock", type=Path, required=True, help="the lock file, such as requirements.lock")
    made.add_argument("--cache", type=Path, help="where environments are kept")


def _command(options: argparse.Namespace) -> int:
    made = make(options.lock, options.cache or cache_folder(), Path.cwd(), Progress())
    path = agent_command("task.prependpath", str(made.programs))
    document = {
        "folder": str(made.folder),
        "programs": str(made.programs),
        "reused": made.reused,
        "link": str(made.link) if made.link else None,
    }
    tell([str(made.folder)], document, as_json=options.json, agent_commands=[path])
    return 0


def make(lock: Path, cache: Path, project: Path, progress: Progress) -> Made:
    """Makes or finds it.

    Args:
        lock: the file with packages, versions and hashes.
        cache: the folder for environments; made when it is missing.
        project: the folder to put the link in.
        progress: hears what is done.

    Raises:
        RefusedError: a package isn't the locked one.
        UnusableError: there is no lock file, or it can't be made.
    """
    try:
        locked = lock.read_bytes()
    except OSError as error:
        raise UnusableError(str(lock), error.strerror or str(error), "give the lock file") from None
    of_what = b"\0".join([locked, os.fsencode(sys.base_prefix), sysconfig.get_platform().encode()])
    name = f"venv-{platform.python_version()}-{hashlib.sha256(of_what).hexdigest()[:HASH_LENGTH]}"
    folder = cache.absolute() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    reused = (folder / MARK).exists()
    if not reused:
        with _locked(folder.with_name(f"{name}.lock"), progress):
            reused = (folder / MARK).exists()  # somebody else has made it while this one waited
            if not reused:
                _remove_unused(folder, progress)
                _build(folder, lock.absolute(), locked, progress)
    if reused:
        (folder / MARK).touch()
        progress.step(f"the environment was made before: {folder}")
    return Made(folder=folder, reused=reused, link=_link(project, folder, progress))


def cache_folder() -> Path:
    """Where environments are kept unless the command says so: with the agent's tools, or with the user's caches."""
    tools = os.environ.get("AGENT_TOOLSDIRECTORY")
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(tools or caches) / "databricks-cicd"


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("another process makes this environment: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, lock: Path, locked: bytes, progress: Progress) -> None:
    if folder.exists():
        progress.step("removing an environment that was left half made")
        shutil.rmtree(folder)
    progress.step(f"making {folder} of Python {platform.python_version()}")
    # What pip is told by the surroundings is about packages' index; what Python is told is about another environment.
    surroundings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        remedy = "install what this Python lacks (on Debian and Ubuntu the package python3-venv), or use another"
        raise UnusableError("venv", f"pip can't be put into it ({error})", remedy) from None
    progress.step(f"installing the packages of {lock.name}: about a minute")
    command = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    done = subprocess.run(  # noqa: S603 - the interpreter that was just made
        [*command, "--quiet", "--require-hashes", "--requirement", str(lock)],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(folder)
        raise _failed(lock, done.stdout)
    mark = folder / f"{MARK}.new"
    mark.write_bytes(locked)
    mark.replace(folder / MARK)


def _remove_unused(folder: Path, progress: Progress) -> None:
    """Removes the environments beside this one that nobody has used for long: each has hundreds of megabytes."""
    for mark in folder.parent.glob(f"venv-*/{MARK}"):
        with contextlib.suppress(OSError):  # another process is about to do the same
            if mark.stat().st_mtime < time.time() - UNUSED_SECONDS:
                progress.step(f"removing {mark.parent.name}, which nobody has used for a month")
                mark.unlink()
                shutil.rmtree(mark.parent)


def _failed(lock: Path, said: str) -> RefusedError | UnusableError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = "pip failed: " + " | ".join(lines[-LINES_TOLD:])
    if any(words in said for words in NOT_AS_LOCKED):
        remedy = "look who changed the package or the lock file; `make lock` renews it"
        return RefusedError([Mistake(key=lock.name, found=found, remedy=remedy)])
    return UnusableError(lock.name, found, "see whether the package index can be reached (PIP_INDEX_URL), then repeat")


def _link(project: Path, folder: Path, progress: Progress) -> Path | None:
    """Puts the link in its place at once, whatever link was there."""
    link = project / LINK
    if (project / manifest.NAME).exists():
        return None
    if link.exists() and not link.is_symlink():
        progress.step(f"{LINK} is a folder of its own here, and stays")
        return None
    fresh = project / f"{LINK}.{os.getpid()}"
    fresh.symlink_to(folder, target_is_directory=True)
    fresh.replace(link)
    return link
