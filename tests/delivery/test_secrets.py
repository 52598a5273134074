"""Credentials are found wherever they stand in a release, and what isn't one can be let through with a reason."""

import json
import random
import string
from pathlib import Path

import pytest
import yaml

from delivery import secret_scan
from delivery.console import Mistake, Progress
from tests.delivery.repository import NOTEBOOK, Repository, packaged, refusal, refusals

# Made up here, so that nothing that looks like a credential stands in this file.
CHANCE = random.Random(5)  # noqa: S311 - no credential, only the look of one


def letters(alphabet: str, number: int) -> str:
    return "".join(CHANCE.choices(alphabet, k=number))


HEX = "0123456789abcdef"
ALPHANUMERIC = string.ascii_letters + string.digits
SECRETS = {
    "Databricks": f"dapi{letters(HEX, 32)}",
    "Databricks with a number": f"dapi{letters(HEX, 32)}-3",
    "Databricks OAuth": f"dose{letters(HEX, 32)}",
    "Azure DevOps": f"{letters(ALPHANUMERIC, 76)}AZDO{letters(ALPHANUMERIC, 4)}",
    "Azure DevOps, old": letters("abcdefghijklmnopqrstuvwxyz234567", 52),
    "Entra": f"{letters(ALPHANUMERIC, 3)}8Q~{letters(ALPHANUMERIC, 34)}",
    "storage": f"AccountKey={letters(ALPHANUMERIC, 86)}==",
    "GitHub": f"ghp_{letters(ALPHANUMERIC, 36)}",
    "Amazon": f"AKIA{letters(string.ascii_uppercase, 16)}",
    "key": "-----BEGIN RSA PRIVATE KEY-----",
}


def scanned(path: str, content: bytes | str, allowed: object = None) -> list[Mistake]:
    files = {path: content.encode() if isinstance(content, str) else content}
    if allowed is not None:
        files[secret_scan.ALLOWED] = yaml.safe_dump(allowed).encode()
    return secret_scan.secrets(files, Progress())


def jupyter(**cell: object) -> str:
    whole = {"cell_type": "code", "metadata": {}, "source": [], "outputs": [], **cell}
    first = {"cell_type": "markdown", "metadata": {}, "source": "# Trips\n"}
    return json.dumps({"cells": [first, whole], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("notebooks/load.py", "# Databricks notebook source\nw = WorkspaceClient(token={!r})\n"),
        ("notebooks/load.sql", "-- Databricks notebook source\nSELECT '{}'\n"),
        ("notebooks/load.scala", "// Databricks notebook source\n// {}\n"),
        ("notebooks/README.md", "call it with {}\n"),
        ("Pulumi.test.yaml", "config:\n  other: {}\n"),
        ("notebooks/settings.json", '{{"a": "{}"}}'),
        ("requirements.lock", "pathspec==1.0\n# {}\n"),
        ("notebooks/style.css", "/* {} */"),
        ("notebooks/swagger.txt", "{}"),
        ("notebooks/windows.txt", "one\r\n{}\r\n"),
    ],
)
def test_a_known_credential_is_found_in_every_kind_of_file(path: str, text: str, secret: str) -> None:
    found = scanned(path, text.format(secret))
    assert {mistake.key for mistake in found} == {path}
    assert all("looks like a secret" in mistake.found for mistake in found)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_the_message_does_not_repeat_the_credential(secret: str) -> None:
    (found, *_) = scanned("notebooks/load.py", f"password = {secret!r}\n")
    assert secret not in str(found)
    assert "line 1" in found.found


def test_a_password_in_a_variable_is_found_and_one_from_a_secret_scope_is_none() -> None:
    assert scanned("notebooks/load.py", "password = 'correct horse'\n")
    assert not scanned("notebooks/load.py", "password = dbutils.secrets.get('bikes', 'password')\n")


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ({"source": ["import os\n", "\n", "token = 'SECRET'\n"]}, "cell 2, line 3"),
        ({"source": "import os\ntoken = 'SECRET'\n"}, "cell 2, line 2"),
        ({"outputs": [{"output_type": "stream", "name": "stdout", "text": ["SECRET\n"]}]}, "output of cell 2"),
        (
            {"outputs": [{"output_type": "display_data", "metadata": {}, "data": {"text/html": "<b>SECRET</b>"}}]},
            "output of cell 2",
        ),
        ({"outputs": [{"output_type": "error", "traceback": ["SECRET"]}]}, "output of cell 2"),
        (
            {"outputs": [{"output_type": "execute_result", "data": {"application/json": {"a": "SECRET"}}}]},
            "output of cell 2",
        ),
        ({"metadata": {"tags": ["SECRET"]}}, "metadata of cell 2"),
    ],
)
def test_a_credential_in_a_jupyter_notebook_is_told_by_its_cell(cell: dict[str, object], place: str) -> None:
    content = jupyter(**cell).replace("SECRET", SECRETS["Databricks"])
    (found,) = scanned("notebooks/report.ipynb", content)
    assert found.found.startswith(f"{place} looks like a secret (Databricks Token")


def test_a_picture_in_a_notebook_is_no_credential() -> None:
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": letters(ALPHANUMERIC, 4000)}}
    assert not scanned("notebooks/report.ipynb", jupyter(outputs=[output]))


@pytest.mark.parametrize("content", ["{}", "[]", '{"cells": 7}', '{"cells": [7]}', "no JSON"])
def test_what_is_called_a_notebook_and_is_none_is_scanned_as_text(content: str) -> None:
    assert scanned("notebooks/report.ipynb", f"{content}\n{SECRETS['Databricks']}\n")
    assert not scanned("notebooks/report.ipynb", content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_text_in_another_encoding_is_scanned(encoding: str) -> None:
    assert scanned("notebooks/a.txt", f"Köln\n{SECRETS['Databricks']}\n".encode(encoding))


def test_a_comment_of_the_tool_lets_nothing_through() -> None:
    assert scanned("notebooks/load.py", f"a = '{SECRETS['Databricks']}'  # pragma: allowlist secret\n")


def test_a_line_that_is_allowed_with_a_reason_is_let_through() -> None:
    text = "if a:\n    password = 'correct horse'\n"
    entry = {"path": "notebooks/load.py", "line": "password = 'correct horse'", "reason": "a title"}
    assert not scanned("notebooks/load.py", text, [entry])
    (other,) = scanned("notebooks/load.py", text + "password = 'battery staple'\n", [entry])
    assert "line 3" in other.found
    (elsewhere, unused) = scanned("notebooks/other.py", text, [entry])
    assert (elsewhere.key, unused.key) == ("notebooks/other.py", secret_scan.ALLOWED)


def test_an_entry_that_nothing_needs_any_more_is_a_mistake() -> None:
    entry = {"path": "notebooks/load.py", "line": "password = 'correct horse'", "reason": "a title"}
    (found,) = scanned("notebooks/load.py", "x = 1\n", [entry])
    assert found.key == secret_scan.ALLOWED
    assert "notebooks/load.py" in found.found


@pytest.mark.parametrize(
    "allowed",
    [
        {"a": "b"},
        [7],
        [{"path": "a.py", "line": "x"}],
        [{"path": "a.py", "line": "x", "reason": " "}],
        [{"path": "a.py", "line": "x", "reason": "y", "also": "z"}],
        ["path"],
    ],
)
def test_a_list_of_allowed_lines_that_cannot_be_read_is_a_mistake(allowed: object) -> None:
    (found,) = scanned("notebooks/load.py", "x = 1\n", allowed)
    assert found.key == secret_scan.ALLOWED
    assert "reason" in found.remedy


@pytest.mark.parametrize(
    "line",
    [
        "encryptionsalt: v1:{}=:v1:{}:{}==",
        "encryptedkey: {}{}{}",
        "secretsprovider: azurekeyvault://bikes.vault.azure.net/keys/{}",
        "config:\n  databricks-cicd:other:\n    secure: {}{}{}",
    ],
)
def test_what_pulumi_has_encrypted_is_no_credential(line: str) -> None:
    text = line.format(*(letters(ALPHANUMERIC, 32) for _ in range(3))) + "\n"
    assert not scanned("Pulumi.prod.yaml", text)
    assert scanned("Pulumi.prod.yaml", f"{text}other: {SECRETS['Databricks']}\n")
    assert scanned("Pulumi.prod.yaml", f"secure: {SECRETS['Databricks']}\n")


def test_the_address_of_a_server_is_no_credential() -> None:
    assert not scanned("notebooks/load.py", "server = '20.42.73.9'\n")


def test_a_commit_with_a_credential_is_not_packaged(tmp_path: Path) -> None:
    repository = Repository.full(tmp_path / "repository")
    line = f"token = '{SECRETS['Databricks']}'"
    repository.put("notebooks/load.py", NOTEBOOK + f"{line}\n".encode())
    repository.commit()
    (found, *_) = refusals(repository, tmp_path / "release")
    assert found.key == "notebooks/load.py"
    # It was taken back in the working tree only: the commit still has it.
    repository.put("notebooks/load.py", NOTEBOOK)
    assert refusal(repository, tmp_path / "release", "HEAD").key == "notebooks/load.py"
    entry = {"path": "notebooks/load.py", "line": line, "reason": "an example in the documentation"}
    repository.put("notebooks/load.py", NOTEBOOK + f"{line}\n".encode())
    repository.put(secret_scan.ALLOWED, yaml.safe_dump([entry]).encode())
    repository.commit()
    packaged(repository, tmp_path / "release")


def test_a_credential_outside_of_what_is_packaged_is_not_the_packages_matter(tmp_path: Path) -> None:
    repository = Repository.full(tmp_path / "repository")
    repository.put("tests/sample.py", f"token = '{SECRETS['Databricks']}'\n".encode())
    repository.commit()
    packaged(repository, tmp_path / "release")
