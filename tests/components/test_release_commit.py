"""Which commit a release comes from."""

import json
import subprocess
from pathlib import Path

import pytest

from components.release_commit import MANIFEST, UNCOMMITTED, UNKNOWN, commit_of

IDENTITY = ("-c", "user.name=Dana", "-c", "user.email=dana@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without a commit."""
    path = tmp_path / "checkout"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    return path


def test_it_is_the_last_one_that_changed_the_folder(checkout: Path) -> None:
    commit(checkout, "notebooks/load.py")
    last = commit(checkout, "notebooks/plan.py")
    commit(checkout, "README.md")
    assert commit_of(checkout, "notebooks") == last


@pytest.mark.parametrize("name", ["notebooks/load.py", "notebooks/new.py"])
def test_what_no_commit_has_is_marked(checkout: Path, name: str) -> None:
    last = commit(checkout, "notebooks/load.py")
    (checkout / "README.md").write_text("elsewhere")
    assert commit_of(checkout, "notebooks") == last
    (checkout / name).write_text("changed")
    assert commit_of(checkout, "notebooks") == last + UNCOMMITTED


def test_outside_a_checkout_it_is_unknown_and_no_error(tmp_path: Path) -> None:
    assert commit_of(tmp_path, "notebooks") == UNKNOWN


def test_without_git_it_is_unknown_and_no_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(checkout, "notebooks/load.py")
    monkeypatch.setenv("PATH", str(checkout))
    assert commit_of(checkout, "notebooks") == UNKNOWN


def test_a_folder_that_was_never_committed_is_unknown(checkout: Path) -> None:
    commit(checkout, "README.md")
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks" / "load.py").write_text("new")
    assert commit_of(checkout, "notebooks") == UNKNOWN


def test_a_shallow_checkout_doesnt_blame_the_commit_at_its_end(checkout: Path, tmp_path: Path) -> None:
    commit(checkout, "notebooks/load.py")
    commit(checkout, "README.md")
    git(tmp_path, "clone", "--quiet", "--depth=1", checkout.as_uri(), "shallow")
    assert commit_of(tmp_path / "shallow", "notebooks") == UNKNOWN
    last = commit(tmp_path / "shallow", "notebooks/plan.py")
    assert commit_of(tmp_path / "shallow", "notebooks") == last


def test_an_artifact_has_the_word_of_its_manifest(tmp_path: Path) -> None:
    packaged = "0123456789abcdef0123456789abcdef01234567"
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 1, "commit": packaged}))
    assert commit_of(tmp_path, "notebooks") == packaged


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"commit": 5}', '{"commit": "$(git log)"}', '"commit"'])
def test_a_manifest_that_names_no_commit_has_no_word(tmp_path: Path, manifest: str) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    assert commit_of(tmp_path, "notebooks") == UNKNOWN
