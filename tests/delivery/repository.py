"""A small project in a real git repository, with what an artifact needs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from delivery.console import Mistake, Progress, RefusedError
from delivery.manifest import Build, Manifest
from delivery.package import Wanted, package

NOTEBOOK = b"# Databricks notebook source\nprint('trips')\n"
FILES: dict[str, bytes] = {
    "Pulumi.yaml": b"name: databricks-cicd\nconfig:\n  notebooks:\n    type: object\n    default: {}\n",
    "Pulumi.test.yaml": b"config:\n  databricks-cicd:environment: test\n"
    b"  databricks-cicd:tests:\n    folder: tests/release\n",
    "Pulumi.prod.yaml": b"config:\n  databricks-cicd:environment: production\n",
    "__main__.py": b"from components import naming\n\nimport release_files\n",
    "release_files.py": b"import os\n",
    "requirements.lock": b"pathspec==1.0 --hash=sha256:%s\n" % (b"3f" * 32),
    "components/naming.py": b"NAME = 'trips'\n",
    "delivery/__main__.py": b"print('deliver')\n",
    "notebooks/load.py": NOTEBOOK,
    "notebooks/data/stations.csv": b"id,name\r\n1,K\xc3\xb6ln\r\n",
    "notebooks/picture.png": b"\x89PNG\r\n\x1a\n\x00\xff\xfe",
    "notebooks/empty.txt": b"",
    "notebooks/report.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode(),
    "tests/release/test_trips.py": b"def test_trips() -> None: ...\n",
}
# In the commit and not in the artifact.
OTHERS: dict[str, bytes] = {
    "README.md": b"# Read me\n",
    "rehearsal/store.py": b"password = 'hunter2-hunter2'\n",
    "tests/components/test_naming.py": b"import components.naming\n",
    "requirements-dev.lock": b"pytest==9.0\n",
}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Dana",
    "GIT_AUTHOR_EMAIL": "dana@example.com",
    "GIT_AUTHOR_DATE": "2026-11-23T21:04:05Z",
    "GIT_COMMITTER_NAME": "Dana",
    "GIT_COMMITTER_EMAIL": "dana@example.com",
    "GIT_COMMITTER_DATE": "2026-11-23T22:05:06+01:00",
}
BUILD = Build(id=17, number="20261123.4")


class Repository:
    """A git repository in a folder; `folder` is the project's."""

    def __init__(self, folder: Path, project: str = "") -> None:
        self.top = folder
        self.folder = folder / project
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main", str(folder))

    @classmethod
    def full(cls, folder: Path, project: str = "") -> "Repository":
        """With everything that an artifact needs, committed."""
        made = cls(folder, project)
        for path, content in (FILES | OTHERS).items():
            made.put(path, content)
        made.commit()
        return made

    def git(self, *arguments: str, content: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=ENVIRONMENT, input=content, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def put(self, path: str, content: bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def commit(self) -> str:
        """Everything in the folder, as a commit; gives its id."""
        self.git("add", "--all", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Change")
        return self.git("rev-parse", "HEAD")

    def commit_object(self, path: str, mode: str, identity: str) -> None:
        """A commit with a name that the file system can't hold, or a mode that a working tree hasn't."""
        self.git("update-index", "--index-info", content=f"{mode} {identity}\t{path}\n".encode())
        self.git("commit", "--quiet", "--message", "Change")


def packaged(
    repository: Repository, output: Path, commit: str | None = None, *, branch: str | None = None, build: bool = False
) -> Manifest:
    """Packages what is checked out, or a commit."""
    wanted = Wanted(
        project=repository.folder,
        output=output,
        commit=commit,
        branch=branch,
        build=BUILD if build else None,
        built_commit=None,
    )
    return package(wanted, Progress())


def refusals(repository: Repository, output: Path, commit: str | None = None) -> list[Mistake]:
    """Why it isn't packaged. Nothing may be left of it."""
    before = set(output.parent.iterdir())
    with pytest.raises(RefusedError) as raised:
        packaged(repository, output, commit)
    assert set(output.parent.iterdir()) == before
    assert all(mistake.key and mistake.found and mistake.remedy for mistake in raised.value.mistakes)
    return list(raised.value.mistakes)


def refusal(repository: Repository, output: Path, commit: str | None = None) -> Mistake:
    """The one reason."""
    (only,) = refusals(repository, output, commit)
    return only


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if not path.is_dir()}
