"""Text differences against what is deployed: what is read, what isn't shown."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from delivery.console import Progress
from delivery.preview_files import HIDDEN, FileDifference, differences
from tests.delivery.reports import changes, step

HEADER = "# Databricks notebook source\n"
TOKEN = "dapi" + "0123456789abcdef" * 2  # the form of one; split, for scanners of this repository


class Workspace:
    """A workspace's client, as far as it is used here; `contents` by path."""

    def __init__(self, contents: dict[str, str]) -> None:
        self.contents = contents
        self.workspace = self

    @contextlib.contextmanager
    def download(self, path: str, **_: Any) -> Iterator[io.BytesIO]:
        if path not in self.contents:
            raise PermissionDenied("User does not have CAN_READ")
        yield io.BytesIO(self.contents[path].encode())


def found(project: Path, deployed: dict[str, str], *sources: str, operation: Any = "update") -> list[FileDifference]:
    client = cast(WorkspaceClient, Workspace(deployed))
    inputs = {"language": "PYTHON"}
    steps = [
        step(
            operation,
            "Notebook",
            source,
            old={**inputs, "path": f"/p/{source}", "source": f"{source}.py"} if operation != "create" else {},
            new={**inputs, "path": f"/p/{source}", "source": f"{source}.py"} if operation != "delete" else {},
        )
        for source in sources
    ]
    return differences(changes(*steps), project, {"prod": client}, Progress())


def test_the_difference_is_that_to_what_is_deployed(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(f"{HEADER}a = 1\n\n# COMMAND ----------\n\nb = 3\n")
    [each] = found(tmp_path, {"/p/load": f"{HEADER}a = 1\n\n# COMMAND ----------\n\nb = 2\n"}, "load")
    assert (each.source, each.added, each.removed) == ("load.py", 1, 1)
    assert [(cell.number, cell.lines) for cell in each.cells] == [(2, ("-b = 2", "+b = 3"))]


def test_without_the_right_to_read_the_preview_says_so_and_goes_on(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(f"{HEADER}a = 2\n")
    one, two = found(tmp_path, {"/p/two": f"{HEADER}a = 1\n"}, "one", "two")
    assert "CAN_READ" in one.note
    assert not one.cells
    assert two.cells


def test_a_workspace_that_does_not_answer_is_not_asked_for_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def silent(_: Workspace, path: str, **__: Any) -> None:
        asked.append(path)
        raise TimeoutError("Timed out after 0:00:30")

    monkeypatch.setattr(Workspace, "download", silent)
    told = found(tmp_path, {}, *(f"n{number}" for number in range(100)))
    assert all("can't be read" in each.note for each in told)
    assert len(asked) < 50


def test_a_credential_is_shown_on_neither_side(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(f'{HEADER}token = "{TOKEN}"\nx = 1\n')
    before = f'{HEADER}password = "hunter2-hunter2"\nx = 1\n'
    [each] = found(tmp_path, {"/p/load": before}, "load")
    assert [line for cell in each.cells for line in cell.lines] == [f"-{HIDDEN}", f"+{HIDDEN}", " x = 1"]


def test_a_credential_of_this_process_is_not_shown_whatever_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "plain words & <more>")
    (tmp_path / "load.py").write_text(f"{HEADER}# plain words & <more> here\n")
    [each] = found(tmp_path, {}, "load", operation="create")
    assert [cell.lines for cell in each.cells] == [("+# *** here",)]


def test_of_a_private_key_no_line_is_shown(tmp_path: Path) -> None:
    key = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA " + "PRIVATE KEY-----"
    (tmp_path / "load.py").write_text(f'{HEADER}key = """{key}"""\n')
    [each] = found(tmp_path, {}, "load", operation="create")
    assert "MIIEow" not in str(each)


def test_nothing_outside_of_the_project_is_read(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret.py").write_text("canary\n")
    (project / "link.py").symlink_to(tmp_path / "secret.py")
    for source in ("../secret", "link"):
        [each] = found(project, {}, source, operation="create")
        assert "outside of the project" in each.note
        assert not each.cells


def test_a_deleted_notebook_is_told_with_what_is_lost(tmp_path: Path) -> None:
    [each] = found(tmp_path, {"/p/load": f"{HEADER}a = 1\nb = 2\n"}, "load", operation="delete")
    assert (each.operation, each.removed) == ("delete", 2)
