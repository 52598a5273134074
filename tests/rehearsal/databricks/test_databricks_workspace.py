"""Workspace objects: what import, list, status, export and delete do."""

import base64
import io
import json

import pytest
from databricks.sdk.errors import BadRequest, NotFound, ResourceAlreadyExists
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType

from tests.rehearsal.databricks.clients import NOTEBOOK, Workspace

JUPYTER = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": "print(1)"},
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
).encode()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def exported(workspace: Workspace, path: str, form: ExportFormat = ExportFormat.SOURCE) -> bytes:
    content = workspace.sdk().workspace.export(path, format=form).content
    assert content is not None
    return base64.b64decode(content)


def test_a_notebook_comes_back_byte_for_byte(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    source = "# Databricks notebook source\r\n# MAGIC %md\n\n# COMMAND ----------\nx = 'ü'\n\n\n".encode()
    workspace.notebook("/delivery/a", source)
    status = workspace.sdk().workspace.get_status("/delivery/a")
    assert (status.object_type, status.language) == (ObjectType.NOTEBOOK, Language.PYTHON)
    assert exported(workspace, "/delivery/a") == source
    assert workspace.sdk().workspace.download("/delivery/a").read() == source


def test_a_notebook_without_the_header_line_is_exported_with_it(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a", b"print(1)")
    assert exported(workspace, "/Shared/a") == b"# Databricks notebook source\nprint(1)"


def test_overwriting_keeps_the_id_and_the_permissions(workspace: Workspace) -> None:
    number = workspace.notebook("/Shared/a")
    assert workspace.notebook("/Shared/a", NOTEBOOK + b"more") == number
    assert exported(workspace, "/Shared/a").endswith(b"more")


def test_importing_over_something_without_overwrite_is_refused(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a")
    with pytest.raises(ResourceAlreadyExists, match=r"Path \(/Shared/a\) already exists\."):
        workspace.sdk().workspace.import_("/Shared/a", content=encoded(b""), language=Language.PYTHON)
    assert exported(workspace, "/Shared/a") == NOTEBOOK


def test_a_file_is_no_replacement_for_a_notebook(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a")
    with pytest.raises(DatabricksError, match=r"type mismatch \(asked: FILE, actual: NOTEBOOK\)"):
        workspace.sdk().workspace.upload("/Shared/a", io.BytesIO(b""), format=ImportFormat.RAW, overwrite=True)


def test_a_missing_parent_is_refused_in_the_words_that_the_provider_looks_for(workspace: Workspace) -> None:
    with pytest.raises(NotFound) as caught:
        workspace.notebook("/Shared/no/such/a")
    assert str(caught.value) == "The parent folder (/Shared/no/such) does not exist."


def test_a_folder_is_deleted_only_when_it_is_empty_or_recursively(workspace: Workspace) -> None:
    workspace.folder("/delivery/deep")
    sdk = workspace.sdk()
    with pytest.raises(DatabricksError, match=r"Folder \(/delivery\) is not empty") as caught:
        sdk.workspace.delete("/delivery")
    assert caught.value.error_code == "DIRECTORY_NOT_EMPTY"
    sdk.workspace.delete("/delivery", recursive=True)
    for path in ("/delivery", "/delivery/deep"):
        with pytest.raises(NotFound, match=rf"Path \({path}\) doesn't exist\."):
            sdk.workspace.get_status(path)


@pytest.mark.parametrize("path", ["/", "/Shared", "/Users", "/Users/dana@rehearsal.example"])
def test_what_belongs_to_the_workspace_itself_is_protected(workspace: Workspace, path: str) -> None:
    with pytest.raises(DatabricksError) as caught:
        workspace.sdk().workspace.delete(path, recursive=True)
    assert caught.value.error_code == "DIRECTORY_PROTECTED"


def test_nobody_makes_folders_beside_the_homes(workspace: Workspace) -> None:
    with pytest.raises(DatabricksError, match="Folder Users is protected"):
        workspace.sdk().workspace.mkdirs("/Users/other")


def test_mkdirs_makes_parents_and_is_content_with_what_is_there(workspace: Workspace) -> None:
    number = workspace.folder("/delivery/a/b")
    assert workspace.folder("/delivery/a/b/") == number
    workspace.notebook("/delivery/a/n")
    with pytest.raises(ResourceAlreadyExists, match="already exists and it is not a folder"):
        workspace.folder("/delivery/a/n/below")


def test_list_shows_children_only_and_a_leaf_itself(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    workspace.folder("/delivery/deep/deeper")
    workspace.notebook("/delivery/a")
    sdk.workspace.upload("/delivery/a.py", io.BytesIO(b"x = 1\n"), format=ImportFormat.AUTO)
    listed = {item.path: item.object_type for item in sdk.workspace.list("/delivery")}
    assert listed == {
        "/delivery/deep": ObjectType.DIRECTORY,
        "/delivery/a": ObjectType.NOTEBOOK,
        "/delivery/a.py": ObjectType.FILE,
    }
    assert [item.path for item in sdk.workspace.list("/delivery/a")] == ["/delivery/a"]
    assert list(sdk.workspace.list("/delivery/deep/deeper")) == []
    assert {item.path for item in sdk.workspace.list("/", recursive=True)} == {"/delivery/a", "/delivery/a.py"}


def test_workspace_is_another_word_for_the_root(workspace: Workspace) -> None:
    workspace.notebook("/Workspace/Shared/a")
    status = workspace.sdk().workspace.get_status("/Workspace/Shared/a")
    assert status.path == "/Shared/a"
    assert str(status.object_id) == workspace.object_id("/Shared/a")


@pytest.mark.parametrize(
    ("name", "content", "path", "kind"),
    [
        ("a.py", NOTEBOOK, "a", ObjectType.NOTEBOOK),
        ("a.PY", NOTEBOOK, "a", ObjectType.NOTEBOOK),
        ("a.sql", b"-- Databricks notebook source\nselect 1", "a", ObjectType.NOTEBOOK),
        ("a.scala", b"// Databricks notebook source\r\n1", "a", ObjectType.NOTEBOOK),
        ("a.r", b"# Databricks notebook source", "a", ObjectType.NOTEBOOK),
        ("a.ipynb", JUPYTER, "a", ObjectType.NOTEBOOK),
        ("a.py", b"x = 1\n", "a.py", ObjectType.FILE),
        ("a.py", b"\n" + NOTEBOOK, "a.py", ObjectType.FILE),
        ("a.sql", NOTEBOOK, "a.sql", ObjectType.FILE),
        ("a.txt", NOTEBOOK, "a.txt", ObjectType.FILE),
        ("a", NOTEBOOK, "a", ObjectType.FILE),
    ],
)
def test_auto_tells_notebooks_from_files(
    workspace: Workspace, name: str, content: bytes, path: str, kind: ObjectType
) -> None:
    sdk = workspace.sdk()
    sdk.workspace.upload(f"/Shared/{name}", io.BytesIO(content), format=ImportFormat.AUTO)
    [found] = sdk.workspace.list("/Shared")
    assert (found.path, found.object_type) == (f"/Shared/{path}", kind)
    assert exported(workspace, f"/Shared/{path}", ExportFormat.AUTO) == content


def test_raw_makes_a_file_of_anything(workspace: Workspace) -> None:
    content = bytes(range(256))
    sdk = workspace.sdk()
    sdk.workspace.upload("/Shared/a.py", io.BytesIO(content), format=ImportFormat.RAW)
    status = sdk.workspace.get_status("/Shared/a.py")
    assert (status.object_type, status.size) == (ObjectType.FILE, 256)
    assert sdk.workspace.download("/Shared/a.py").read() == content


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("SOURCE", NOTEBOOK),  # without its language
        ("SOURCE", b"\xff\xfe"),
        ("JUPYTER", b"{}"),
        ("JUPYTER", b"not json"),
        ("JUPYTER", b'{"nbformat": 3, "cells": []}'),
        ("JUPYTER", b'{"nbformat": 4, "cells": [1]}'),
        ("HTML", b"<html></html>"),
        ("DBC", b"PK"),
        ("R_MARKDOWN", b""),
        ("NONSENSE", b""),
    ],
)
def test_content_that_does_not_fit_its_format_is_refused(workspace: Workspace, form: str, content: bytes) -> None:
    body = {"path": "/Shared/a", "format": form, "content": encoded(content)}
    if content == b"\xff\xfe":
        body["language"] = "PYTHON"
    answer = workspace.call("POST", "2.0/workspace/import", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert list(workspace.sdk().workspace.list("/Shared")) == []


def test_content_that_is_not_base64_is_refused(workspace: Workspace) -> None:
    body = {"path": "/Shared/a", "language": "PYTHON", "content": "not base64!"}
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 400


def test_more_than_10_mb_are_refused(workspace: Workspace) -> None:
    limit = 10 * 1024 * 1024
    sdk = workspace.sdk()
    sdk.workspace.upload("/Shared/a", io.BytesIO(b"x" * limit), format=ImportFormat.RAW)
    with pytest.raises(DatabricksError, match=r"exceeded max size \(10485760 bytes\)") as caught:
        sdk.workspace.upload("/Shared/b", io.BytesIO(b"x" * (limit + 1)), format=ImportFormat.RAW)
    assert caught.value.error_code == "MAX_NOTEBOOK_SIZE_EXCEEDED"


def test_a_jupyter_notebook_comes_back_byte_for_byte_and_as_source(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    sdk.workspace.import_("/Shared/a", content=encoded(JUPYTER), format=ImportFormat.JUPYTER, language=Language.PYTHON)
    assert exported(workspace, "/Shared/a", ExportFormat.JUPYTER) == JUPYTER
    assert exported(workspace, "/Shared/a").decode() == (
        "# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n# MAGIC text\n\n# COMMAND ----------\n\nprint(1)"
    )


def test_a_source_notebook_comes_as_jupyter_with_its_cells(workspace: Workspace) -> None:
    source = b"# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n\n# COMMAND ----------\n\nx = 1\ny = 2\n"
    workspace.notebook("/Shared/a", source)
    notebook = json.loads(exported(workspace, "/Shared/a", ExportFormat.JUPYTER))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    assert cells == [("markdown", "# Title"), ("code", "x = 1\ny = 2")]


def test_html_can_be_imported_again(workspace: Workspace) -> None:
    source = b"# Databricks notebook source\nx = '<b>'\n\n# COMMAND ----------\n\n# MAGIC %sql\n# MAGIC select 1"
    workspace.notebook("/Shared/a", source)
    page = exported(workspace, "/Shared/a", ExportFormat.HTML)
    assert b"&lt;b&gt;" in page
    workspace.sdk().workspace.import_("/Shared/b", content=encoded(page), format=ImportFormat.HTML)
    assert exported(workspace, "/Shared/b") == source


@pytest.mark.parametrize(
    "path", ["relative", "/Shared//a", "/Shared/..", "/Shared/./a", "/Shared/a\n", "/" + "x" * 256]
)
def test_a_path_that_no_object_can_have_is_refused(workspace: Workspace, path: str) -> None:
    answer = workspace.call("POST", "2.0/workspace/mkdirs", json={"path": path})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_names_differ_in_case(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a")
    workspace.notebook("/Shared/A", NOTEBOOK + b"other")
    assert exported(workspace, "/Shared/a") == NOTEBOOK


def test_a_folder_is_not_exported(workspace: Workspace) -> None:
    with pytest.raises(BadRequest, match="is a directory"):
        workspace.sdk().workspace.export("/Shared")


@pytest.mark.parametrize("filename", [None, "a.py"])
def test_a_form_is_an_import_like_a_json_document(workspace: Workspace, filename: str | None) -> None:
    # The newest provider sends workspace files so, as a file or as a field of the form.
    form = {"path": (None, "/Shared/a.py"), "format": (None, "RAW"), "overwrite": (None, "true")}
    for content in (b"x = 1\n", b'{"x": "\xc3\xbc"}'):
        files = {**form, "content": (filename, content)}
        assert workspace.call("POST", "2.0/workspace/import", files=files).status_code == 200
        assert workspace.sdk().workspace.download("/Shared/a.py").read() == content


def test_a_form_that_is_none_is_refused(workspace: Workspace) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    answer = workspace.call("POST", "2.0/workspace/import", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")


def test_the_clis_way_of_importing_and_reading_files(workspace: Workspace) -> None:
    path = "2.0/workspace-files/import-file/Shared/a%20b.txt"
    assert workspace.call("POST", path, params={"overwrite": "false"}, content=b"one").status_code == 200
    again = workspace.call("POST", path, params={"overwrite": "false"}, content=b"two")
    assert (again.status_code, again.json()["error_code"]) == (409, "ALREADY_EXISTS")
    assert workspace.call("POST", path, params={"overwrite": "true"}, content=b'{"json": 3}').status_code == 200
    assert workspace.call("GET", "2.0/workspace-files/Shared/a%20b.txt").content == b'{"json": 3}'
    missing = workspace.call("POST", "2.0/workspace-files/import-file/Shared/no/a", content=b"")
    assert missing.status_code == 404


def test_the_cli_learns_how_a_notebook_is_kept(workspace: Workspace) -> None:
    workspace.notebook("/Shared/a")
    query = {"path": "/Shared/a", "return_export_info": "true"}
    assert workspace.call("GET", "2.0/workspace/get-status", params=query).json()["repos_export_format"] == "SOURCE"
