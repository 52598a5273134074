"""What a folder of notebooks becomes in a workspace, and what can't be released."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import release_files
from release_files import MAXIMUM_SIZE, Mistake, ReleaseError, ReleaseFile, name_problem, scan

HEADERS = {
    "a.py": b"# Databricks notebook source",
    "b.sql": b"-- Databricks notebook source",
    "c.scala": b"// Databricks notebook source",
    "d.r": b"# Databricks notebook source",
}
JUPYTER = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def put(folder: Path, name: str, content: bytes = b"x\n") -> Path:
    """A file in the folder, with the folders above it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(folder: Path, *ignore: str) -> dict[str, ReleaseFile]:
    return {file.source: file for file in scan(folder, ignore).files}


def mistake(folder: Path) -> Mistake:
    """The one reason why the folder can't be released."""
    with pytest.raises(ReleaseError) as raised:
        scan(folder)
    (only,) = raised.value.mistakes
    assert all((only.found, only.allowed, only.remedy))
    assert only.found in str(raised.value)
    return only


@pytest.mark.parametrize(
    ("name", "language"), [("a.py", "PYTHON"), ("b.sql", "SQL"), ("c.scala", "SCALA"), ("d.r", "R"), ("d.R", "R")]
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nprint(1)\n"])
def test_a_source_file_with_the_header_is_a_notebook(tmp_path: Path, name: str, language: str, end: bytes) -> None:
    put(tmp_path, f"load/{name}", HEADERS[name.lower()] + end)
    file = found(tmp_path)[f"load/{name}"]
    assert (file.kind, file.language, file.format) == ("notebook", language, "SOURCE")
    assert file.workspace_path == f"load/{name.partition('.')[0]}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", b"import os\n"),
        ("a.py", b""),
        ("a.py", b"# Databricks notebook sources\n"),
        ("a.py", b"\n# Databricks notebook source\n"),
        ("a.py", b"-- Databricks notebook source\n"),
        ("a.sql", b"# Databricks notebook source\n"),
        ("a.txt", b"# Databricks notebook source\n"),
        ("py", b"# Databricks notebook source\n"),
        (".py", b"# Databricks notebook source\n"),
    ],
)
def test_any_other_file_is_a_workspace_file_and_keeps_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    put(tmp_path, name, content)
    file = found(tmp_path)[name]
    assert (file.kind, file.language, file.format, file.workspace_path) == ("file", None, None, name)


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "PYTHON"),
        ({"language_info": {"name": "python"}}, "PYTHON"),
        ({"language_info": {"name": "R"}}, "R"),
        ({"language_info": {"name": "scala"}}, "SCALA"),
        ({"language_info": {"name": "julia"}}, "PYTHON"),
        ({"language_info": 5}, "PYTHON"),
    ],
)
def test_a_jupyter_notebook_says_its_language(tmp_path: Path, metadata: object, language: str) -> None:
    put(tmp_path, "x.ipynb", json.dumps({**JUPYTER, "metadata": metadata}).encode())
    file = found(tmp_path)["x.ipynb"]
    assert (file.kind, file.language, file.format, file.workspace_path) == ("notebook", language, "JUPYTER", "x")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "JSON, but not a notebook"),
        (b"{}", "nbformat null"),
        (json.dumps({**JUPYTER, "nbformat": 3}).encode(), "nbformat 3"),
        (json.dumps({**JUPYTER, "nbformat": "4"}).encode(), 'nbformat "4"'),
        (json.dumps({**JUPYTER, "cells": None}).encode(), "without a list of cells"),
        (json.dumps({**JUPYTER, "cells": [1]}).encode(), "without a list of cells"),
        (json.dumps({**JUPYTER, "metadata": None}).encode(), "without metadata"),
    ],
)
def test_an_invalid_jupyter_notebook_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    put(tmp_path, "x.ipynb", content)
    only = mistake(tmp_path)
    assert only.file == "x.ipynb"
    assert why in only.found


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert mistake(tmp_path / "nowhere").found == "there is no such folder"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    assert mistake(put(tmp_path, "file")).found == "this is a file"


def test_a_folder_without_anything_to_release_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "__pycache__/a.pyc")
    (tmp_path / "empty").mkdir()
    assert "no file to release" in mistake(tmp_path).found


def test_two_notebooks_that_become_the_same_path_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "x/a.py", HEADERS["a.py"])
    put(tmp_path, "x/a.sql", HEADERS["b.sql"])
    only = mistake(tmp_path)
    assert only.file == "x/a.sql"
    assert only.found == "it becomes 'x/a' in the workspace, and so does x/a.py"


def test_a_notebook_and_a_file_that_become_the_same_path_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a")
    put(tmp_path, "a.py", HEADERS["a.py"])
    assert "and so does a" in mistake(tmp_path).found


def test_a_notebook_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.py", HEADERS["a.py"])
    put(tmp_path, "a/b.txt")
    assert mistake(tmp_path).found == "it becomes 'a' in the workspace, where a/b.txt needs a folder"


def test_a_module_and_a_notebook_of_different_kind_may_share_a_stem(tmp_path: Path) -> None:
    put(tmp_path, "a.py", b"x = 1\n")
    put(tmp_path, "a.sql", HEADERS["b.sql"])
    assert {file.workspace_path for file in scan(tmp_path).files} == {"a.py", "a"}


def test_a_file_over_the_limit_is_refused_without_being_read(tmp_path: Path) -> None:
    with put(tmp_path, "big.csv").open("wb") as file:
        file.truncate(100 * MAXIMUM_SIZE)
    only = mistake(tmp_path)
    assert only.found == "1,048,576,000 bytes"
    assert "10 MB" in only.allowed


def test_a_file_at_the_limit_is_released(tmp_path: Path) -> None:
    put(tmp_path, "big.csv", b"x" * MAXIMUM_SIZE)
    assert found(tmp_path)["big.csv"].size == MAXIMUM_SIZE


@pytest.mark.parametrize("name", ["a\\b.py", "a\nb.py", " a.py", "a.py ", "a\x7f.txt"])
def test_a_name_that_breaks_in_the_workspace_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert "rename it" in mistake(tmp_path).remedy


def test_a_name_that_isnt_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.py")).write_bytes(b"")
    only = mistake(tmp_path)
    assert "valid Unicode" in only.allowed
    assert only.file.encode()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../outside.py", "out of the folder"),
        ("/etc/hostname", "out of the folder"),
        ("nowhere", "doesn't exist"),
        ("link.py", "doesn't exist"),
        ("sub", "link to a folder"),
    ],
)
def test_a_symbolic_link_to_anything_but_a_file_inside_is_refused(tmp_path: Path, target: str, why: str) -> None:
    put(tmp_path, "outside.py")
    put(tmp_path, "notebooks/sub/inside.py")
    (tmp_path / "notebooks" / "link.py").symlink_to(target)
    only = mistake(tmp_path / "notebooks")
    assert only.file == "link.py"
    assert why in only.found


def test_a_symbolic_link_to_a_file_inside_is_released_as_that_file(tmp_path: Path) -> None:
    put(tmp_path, "sub/inside.py", HEADERS["a.py"])
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "link.py").symlink_to("../sub/inside.py")
    assert found(tmp_path)["deep/link.py"].sha256 == found(tmp_path)["sub/inside.py"].sha256


def test_something_that_isnt_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert mistake(tmp_path).found == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.py").chmod(0)
    assert "can't be read" in mistake(tmp_path).found


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    put(tmp_path, "a.py", HEADERS["a.py"])
    put(tmp_path, "a.sql", HEADERS["b.sql"])
    put(tmp_path, "b.ipynb", b"{")
    (tmp_path / "c.py").symlink_to("/etc/hostname")
    with pytest.raises(ReleaseError) as raised:
        scan(tmp_path)
    assert [mistake.file for mistake in raised.value.mistakes] == ["a.sql", "b.ipynb", "c.py"]


def test_what_belongs_to_the_machine_is_never_released(tmp_path: Path) -> None:
    for name in (
        ".git/config",
        "a/__pycache__/b.cpython-311.pyc",
        "a.pyc",
        ".ipynb_checkpoints/x-checkpoint.ipynb",
        "sub/.DS_Store",
        ".venv/lib/x.py",
        "a.py~",
    ):
        put(tmp_path, name)
    put(tmp_path, "a/keep.py")
    assert list(found(tmp_path)) == ["a/keep.py"]


def test_patterns_work_as_in_gitignore(tmp_path: Path) -> None:
    for name in ("scratch/a.py", "sub/scratch/b.py", "x.tmp", "keep.tmp", "top.py", "sub/top.py"):
        put(tmp_path, name)
    assert set(found(tmp_path, "scratch/", "*.tmp", "!keep.tmp", "/top.py")) == {"keep.tmp", "sub/top.py"}


def test_patterns_do_what_git_does_with_them(tmp_path: Path) -> None:
    patterns = ["scratch/", "*.tmp", "!keep.tmp", "/top.py", "a/**/z", "# comment", "doc/*.md", "!doc/x.md"]
    names = [
        "scratch/a",
        "sub/scratch/b",
        "x.tmp",
        "keep.tmp",
        "top.py",
        "sub/top.py",
        "a/z",
        "a/b/c/z",
        "doc/x.md",
        "doc/y.md",
    ]
    for name in names:
        put(tmp_path, name)
    git = ["git", "-C", str(tmp_path), "-c", "core.excludesFile=/dev/null"]
    subprocess.run([*git, "init", "-q"], check=True)
    put(tmp_path, ".git/info/exclude", "\n".join(patterns).encode())
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert set(found(tmp_path, *patterns)) == set(listed)


def test_an_ignored_mistake_isnt_one(tmp_path: Path) -> None:
    put(tmp_path, "a.py")
    put(tmp_path, "broken.ipynb", b"{")
    assert list(found(tmp_path, "broken.ipynb")) == ["a.py"]


def test_files_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a.txt", "B", "ä", "z"):
        put(tmp_path, name)
    assert list(found(tmp_path)) == ["B", "a.txt", "a/z", "b", "z", "ä"]


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    put(tmp_path, "b/x.txt", b"one")
    put(tmp_path, "a.txt", b"two")
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in (("a.txt", b"two"), ("b/x.txt", b"one"))
    ]
    assert scan(tmp_path).digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_digest_knows_content_and_name_and_nothing_else(tmp_path: Path) -> None:
    file = put(tmp_path, "a.txt", b"one")
    before = scan(tmp_path).digest
    os.utime(file, (0, 0))
    file.chmod(0o755)
    put(tmp_path, "a.pyc")
    assert scan(tmp_path).digest == before
    file.write_bytes(b"two")
    assert scan(tmp_path).digest != before
    file.write_bytes(b"one")
    file.rename(tmp_path / "b.txt")
    assert scan(tmp_path).digest != before


@given(st.text(max_size=300))
def test_a_name_is_right_or_has_a_reason_why_not(name: str) -> None:
    reason = name_problem(name)
    assert reason is None or reason.startswith("a name")
    if reason is None:
        assert name == name.strip()
        assert "/" not in name
        assert len(name.encode()) <= release_files.MAXIMUM_NAME_BYTES


def test_the_committed_notebooks_can_be_released_in_both_formats_beside_their_package() -> None:
    files = scan(Path(__file__).parents[1] / "notebooks").files
    assert {(file.language, file.format) for file in files} == {
        ("PYTHON", "SOURCE"),
        ("SQL", "SOURCE"),
        ("PYTHON", "JUPYTER"),
        (None, None),
    }
