"""What is in an artifact: what the commit says, and nothing of the machine."""

import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.console import UnusableError
from delivery.manifest import Manifest
from tests.delivery.repository import BUILD, ENVIRONMENT, FILES, Repository, contents, packaged

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.full(tmp_path / "repository")


def test_an_artifact_holds_what_a_release_needs_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    packaged(repository, tmp_path / "release")
    found = contents(tmp_path / "release")
    del found["manifest.json"]
    assert found == FILES


def test_the_manifest_tells_what_the_artifact_is(repository: Repository, tmp_path: Path) -> None:
    packaged(repository, tmp_path / "release", branch="refs/heads/main", build=True)
    document = json.loads((tmp_path / "release/manifest.json").read_bytes())
    commit = repository.git("rev-parse", "HEAD")
    assert {key: document[key] for key in ("format", "version", "commit", "branch", "build")} == {
        "format": 1,
        "version": f"2026.11.23.2105+{commit[:12]}",
        "commit": commit,
        "branch": "refs/heads/main",
        "build": {"id": BUILD.id, "number": BUILD.number},
    }
    assert {file["path"]: (file["size"], file["sha256"]) for file in document["files"]} == {
        path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in FILES.items()
    }
    parts = {file["path"]: file["part"] for file in document["files"]}
    assert parts["notebooks/load.py"] == "notebooks"
    assert parts["tests/release/test_trips.py"] == "tests"
    assert parts["Pulumi.prod.yaml"] == parts["components/naming.py"] == "program"


def test_both_digests_can_be_made_with_sed_and_sha256sum(repository: Repository, tmp_path: Path) -> None:
    whole = packaged(repository, tmp_path / "release", branch="refs/heads/main", build=True)
    listed = sorted(FILES, key=str.encode)
    script = (
        'set -eu; cd "$0"; '
        'sed \'s/"digest": "[0-9a-f]*"/"digest": "\'$(printf \'0%.0s\' $(seq 64))\'"/\' manifest.json | sha256sum; '
        'sha256sum "$@" | sha256sum'
    )
    done = subprocess.run(
        ["bash", "-c", script, str(tmp_path / "release"), *listed], capture_output=True, text=True, check=True
    )
    digest, content = (line.split()[0] for line in done.stdout.splitlines())
    assert (digest, content) == (whole.digest, whole.content)


def test_the_same_commit_gives_the_same_bytes_on_another_machine(repository: Repository, tmp_path: Path) -> None:
    packaged(repository, tmp_path / "one")
    clone = tmp_path / "elsewhere/clone"
    # Another machine: shallow, other line ends, a filter, replaced objects, another mask, language and time zone.
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.folder}", str(clone))
    (clone / ".git/info/attributes").write_text("*.py text eol=crlf\n*.csv export-ignore ident\n")
    other = {**ENVIRONMENT, "LC_ALL": "C", "TZ": "Pacific/Auckland"}
    for arguments in (["config", "core.autocrlf", "true"], ["rm", "-rq", "--cached", "."], ["reset", "-q", "--hard"]):
        subprocess.run(["git", *arguments], cwd=clone, env=ENVIRONMENT, check=True)
    assert b"\r\n" in (clone / "components/naming.py").read_bytes()
    subprocess.run(
        ["git", "replace", "HEAD:components/naming.py", "HEAD:release_files.py"], cwd=clone, env=ENVIRONMENT, check=True
    )
    program = "import os, sys; os.umask(0o077); from delivery.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "package", "--project", str(clone), "--output", str(tmp_path / "two")]
    subprocess.run(command, cwd=ROOT, env=other, check=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for folder in ("one", "two"):
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / folder).rglob("*") if path.is_file()}
        folders = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / folder).rglob("*") if path.is_dir()}
        assert (modes, folders) == ({0o644}, {0o755})
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o755


def test_an_artifact_can_be_made_again_from_what_its_manifest_says(repository: Repository, tmp_path: Path) -> None:
    first = packaged(repository, tmp_path / "one", branch="refs/heads/main", build=True)
    repository.put("components/naming.py", b"NAME = 'other'\n")
    second = packaged(repository, tmp_path / "two", repository.commit(), branch="refs/heads/main", build=True)
    assert first.content != second.content
    read = Manifest.read((tmp_path / "one/manifest.json").read_bytes())
    again = packaged(repository, tmp_path / "three", read.commit, branch=read.branch, build=read.build == BUILD)
    assert again.digest == first.digest
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_another_build_of_a_commit_changes_the_digest_and_not_the_content(
    repository: Repository, tmp_path: Path
) -> None:
    by_hand = packaged(repository, tmp_path / "one")
    built = packaged(repository, tmp_path / "two", branch="refs/heads/main", build=True)
    assert by_hand.content == built.content
    assert by_hand.digest != built.digest
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {path for path in one if one[path] != two[path]} == {"manifest.json"}


def test_an_executable_file_is_packaged_as_a_plain_one(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "notebooks/load.py").chmod(0o755)
    repository.commit()
    packaged(repository, tmp_path / "release")
    assert stat.S_IMODE((tmp_path / "release/notebooks/load.py").stat().st_mode) == 0o644


def test_a_commit_that_is_named_is_packaged_whatever_the_folder_holds(repository: Repository, tmp_path: Path) -> None:
    repository.put("notebooks/load.py", b"# Databricks notebook source\nraise SystemExit\n")
    repository.put("notebooks/new.py", b"new\n")
    packaged(repository, tmp_path / "release", "HEAD")
    found = contents(tmp_path / "release")
    del found["manifest.json"]
    assert found == FILES


def test_what_git_ignores_and_what_is_not_packaged_may_be_uncommitted(repository: Repository, tmp_path: Path) -> None:
    repository.put(".gitignore", b"__pycache__/\n")
    repository.commit()
    repository.put("components/__pycache__/naming.cpython-311.pyc", b"\0")
    repository.put("README.md", b"# Changed\n")
    repository.put("results/junit.xml", b"<testsuites/>\n")
    packaged(repository, tmp_path / "release")
    assert not (tmp_path / "release/components/__pycache__").exists()


def test_the_project_may_be_a_folder_of_the_repository(tmp_path: Path) -> None:
    repository = Repository.full(tmp_path / "repository", "data/platform")
    (repository.top / "README.md").write_text("# Everything\n")
    packaged(repository, tmp_path / "release")
    found = contents(tmp_path / "release")
    del found["manifest.json"]
    assert found == FILES


def test_the_folders_are_those_of_the_stacks_settings(repository: Repository, tmp_path: Path) -> None:
    repository.git("mv", "notebooks", "bikes")
    repository.git("mv", "tests/release", "checks")
    settings = b"""config:
  databricks-cicd:notebooks: {folder: bikes, ignore: [scratch/]}
"""
    repository.put("Pulumi.prod.yaml", settings)
    repository.put("Pulumi.test.yaml", settings + b"  tests: {folder: checks}\n")
    repository.put("bikes/scratch/test_idea.py", b"x = 1\n")
    repository.commit()
    whole = packaged(repository, tmp_path / "release")
    parts = {entry.path: entry.part for entry in whole.files}
    assert (parts["bikes/load.py"], parts["checks/test_trips.py"]) == ("notebooks", "tests")
    assert "bikes/scratch/test_idea.py" in parts


def test_a_default_of_the_project_counts_where_a_stack_says_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.git("mv", "notebooks", "bikes")
    project = b"name: databricks-cicd\nconfig:\n  notebooks:\n    type: object\n    default: {folder: bikes}\n"
    repository.put("Pulumi.yaml", project)
    repository.commit()
    whole = packaged(repository, tmp_path / "release")
    assert "bikes/load.py" in {entry.path for entry in whole.files}


@pytest.mark.parametrize("there", ["file", "full folder", "link"])
def test_an_output_that_is_taken_is_left_alone(repository: Repository, tmp_path: Path, there: str) -> None:
    output = tmp_path / "release"
    if there == "file":
        output.write_text("mine")
    elif there == "link":
        output.symlink_to(tmp_path / "nowhere")
    else:
        output.mkdir()
        (output / "mine").write_text("mine")
    with pytest.raises(UnusableError, match="--output"):
        packaged(repository, output)
    assert there == "link" or (output if there == "file" else output / "mine").read_text() == "mine"


def test_an_empty_output_folder_is_filled_and_missing_ones_above_are_made(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    packaged(repository, tmp_path / "empty")
    packaged(repository, tmp_path / "a/b/c")
    assert contents(tmp_path / "empty") == contents(tmp_path / "a/b/c")


def test_a_folder_without_git_and_an_unknown_commit_are_named(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="there is no commit 'nobody'"):
        packaged(repository, tmp_path / "release", "nobody")
    with pytest.raises(UnusableError, match="there is no commit '--help'"):
        packaged(repository, tmp_path / "release", "--help")
    repository.folder = tmp_path
    with pytest.raises(UnusableError, match="not a git repository"):
        packaged(repository, tmp_path / "release")
