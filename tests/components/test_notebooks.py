"""The component `Notebooks`: one resource for each notebook, file and folder."""

from pathlib import Path

import pulumi
import pytest

from components import settings_model
from components.notebooks import Notebooks, NotebooksArgs
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs
from release_files import scan
from tests.components.conftest import Program
from tests.components.recording import Recording, Resource

JUPYTER = '{"cells": [], "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}'
FILES = {
    "load.py": "# Databricks notebook source\n",
    "report.ipynb": JUPYTER,
    "reports/2024/daily.sql": "-- Databricks notebook source\n",
    "reports/season.r": "# Databricks notebook source\n",
    "reports/rides.scala": "// Databricks notebook source\n",
    "lib/trips.py": "def trips(): ...\n",
    "data/stations.csv": "id\n",
}


def made(
    program: Program, source: Path, files: dict[str, str] = FILES, *, protect: bool = False, tests: bool = False
) -> Recording:
    for name, content in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    release = scan(source)

    def make(opts: pulumi.ResourceOptions) -> None:
        folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder="/bikes", protect=protect), opts)
        settings = settings_model.Notebooks(folder="notebooks", ignore=(), release=release)
        beside = settings_model.Notebooks(folder="suites", ignore=(), release=release) if tests else None
        args = NotebooksArgs(directory=folder.directory, folder="/bikes", notebooks=settings, tests=beside)
        notebooks = Notebooks("notebooks", args, opts)
        pulumi.export("count", notebooks.count)
        pulumi.export("digest", notebooks.digest)

    return program.part(make)


@pytest.fixture
def recorded(program: Program, tmp_path: Path) -> Recording:
    return made(program, tmp_path / "notebooks")


def at(recorded: Recording, path: str) -> Resource:
    (found,) = (each for each in recorded.resources if each.inputs.get("path") == path)
    return found


@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("/bikes/load", {"source": "notebooks/load.py", "language": "PYTHON", "format": "SOURCE"}),
        ("/bikes/report", {"source": "notebooks/report.ipynb", "language": "PYTHON", "format": "JUPYTER"}),
        ("/bikes/reports/2024/daily", {"source": "notebooks/reports/2024/daily.sql", "language": "SQL"}),
        ("/bikes/reports/season", {"source": "notebooks/reports/season.r", "language": "R", "format": "SOURCE"}),
        ("/bikes/reports/rides", {"source": "notebooks/reports/rides.scala", "language": "SCALA"}),
    ],
)
def test_a_notebook_has_language_and_format_so_that_no_preview_shows_a_difference(
    recorded: Recording, path: str, inputs: dict[str, str]
) -> None:
    notebook = at(recorded, path)

    assert notebook.kind == "Notebook"
    assert notebook.inputs == {"path": path, "format": "SOURCE", **inputs}


@pytest.mark.parametrize("path", ["lib/trips.py", "data/stations.csv"])
def test_another_file_is_a_workspace_file_of_the_same_name(recorded: Recording, path: str) -> None:
    file = at(recorded, f"/bikes/{path}")

    assert file.kind == "WorkspaceFile"
    assert file.inputs == {"path": f"/bikes/{path}", "source": f"notebooks/{path}"}


def test_every_folder_is_managed_once(recorded: Recording) -> None:
    assert sorted(each.inputs["path"] for each in recorded.all("Directory")) == [
        "/bikes",
        "/bikes/.release",
        "/bikes/data",
        "/bikes/lib",
        "/bikes/reports",
        "/bikes/reports/2024",
    ]


def test_each_thing_depends_on_the_folder_that_it_is_in(recorded: Recording) -> None:
    inside = [each for each in recorded.resources if each.inputs.get("path", "/bikes") != "/bikes"]

    assert len(inside) == len(FILES) + 5
    for each in inside:
        assert at(recorded, each.inputs["path"].rpartition("/")[0]).urn in each.dependencies


def test_the_state_is_the_same_on_every_machine(recorded: Recording, tmp_path: Path) -> None:
    assert str(tmp_path) not in repr(recorded.resources)


def test_notebooks_are_counted_and_the_release_has_a_digest(recorded: Recording, tmp_path: Path) -> None:
    assert recorded.exports == {"count": 5, "digest": scan(tmp_path / "notebooks").digest}


def test_tests_are_delivered_beside_the_notebooks_and_change_neither_number_nor_digest(
    program: Program, tmp_path: Path
) -> None:
    recorded = made(program, tmp_path / "notebooks", tests=True)

    assert at(recorded, "/bikes/tests/load").inputs["source"] == "suites/load.py"
    assert at(recorded, "/bikes/tests/lib/trips.py").kind == "WorkspaceFile"
    assert at(recorded, "/bikes/tests").urn in at(recorded, "/bikes/tests/load").dependencies
    assert at(recorded, "/bikes/load").inputs["source"] == "notebooks/load.py"
    assert recorded.exports == {"count": 5, "digest": scan(tmp_path / "notebooks").digest}


def test_a_protected_folder_does_not_protect_the_notebooks(program: Program, tmp_path: Path) -> None:
    recorded = made(program, tmp_path / "notebooks", protect=True)

    assert [each.name for each in recorded.resources if each.protect] == ["folder-directory", "folder-record"]


def test_a_new_file_changes_the_logical_name_of_no_other(program: Program, tmp_path: Path) -> None:
    before = made(program, tmp_path / "notebooks")
    after = made(program, tmp_path / "notebooks", {"another.py": "# Databricks notebook source\n"})

    names = [{each.urn for each in recording.resources} for recording in (before, after)]
    (new,) = names[1] - names[0]
    assert new.partition("::notebook-")[2].startswith("another")
    assert names[0] <= names[1]


def test_names_that_differ_in_case_or_signs_alone_are_kept_apart(program: Program, tmp_path: Path) -> None:
    files = dict.fromkeys(("a b.py", "a-b.py", "a_b.py", "A-B.py", "a/b.py"), "# Databricks notebook source\n")

    recorded = made(program, tmp_path / "notebooks", files)

    assert len(recorded.all("Notebook")) == len(files)
