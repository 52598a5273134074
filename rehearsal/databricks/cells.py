"""A notebook's cells, in the formats that Databricks writes them in.

SOURCE separates the cells by a comment line; cells of another language than the notebook's stand in `MAGIC` comments
and begin with `%sql`, `%md` and so on. JUPYTER is nbformat 4. HTML carries the notebook as base64 text, which an import
reads.
"""

import base64
import binascii
import json
import re
from html import escape
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, unquote

from rehearsal.databricks.errors import invalid

Language: TypeAlias = Literal["PYTHON", "SQL", "SCALA", "R"]

# How a comment begins in each language; the first line of a notebook is a comment with these words.
_COMMENTS: dict[Language, str] = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
_TITLE = "Databricks notebook source"
HEADERS: dict[Language, str] = {language: f"{comment} {_TITLE}" for language, comment in _COMMENTS.items()}

_MODEL = re.compile(rb"__DATABRICKS_NOTEBOOK_MODEL = '([A-Za-z0-9+/=]*)'")
_MARKDOWN = re.compile(r"%md(?:-sandbox)?(?:[ \t]*\n|[ \t]+|$)")


def has_header(data: bytes, language: Language) -> bool:
    """Whether the first line says that this is a notebook and not a plain file."""
    first, _, _ = data.partition(b"\n")
    return first.rstrip() == HEADERS[language].encode()


def from_source(data: bytes, language: Language) -> list[str]:
    """The cells of a notebook in SOURCE format; those of other languages begin with their `%` word."""
    comment = re.escape(_COMMENTS[language])
    text = data.decode().replace("\r\n", "\n")
    if has_header(data, language):
        text = text.partition("\n")[2]
    found = re.split(rf"^{comment} COMMAND -+[ \t]*$", text, flags=re.MULTILINE)
    magic = re.compile(rf"^{comment} MAGIC ?", re.MULTILINE)
    return [magic.sub("", cell.strip("\n")) for cell in found]


def to_source(cells: list[str], language: Language) -> bytes:
    """The notebook in SOURCE format."""
    comment = _COMMENTS[language]

    def written(cell: str) -> str:
        if not cell.startswith("%"):
            return cell
        return "\n".join(f"{comment} MAGIC {line}".rstrip() for line in cell.split("\n"))

    body = f"\n\n{comment} COMMAND ----------\n\n".join(written(cell) for cell in cells)
    return f"{HEADERS[language]}\n{body}".encode()


def from_jupyter(data: bytes) -> list[str]:
    """The cells of a Jupyter notebook.

    Raises:
        ApiError: 400, it isn't one: no JSON, or not nbformat 4.
    """
    try:
        notebook: Any = json.loads(data)
        if notebook["nbformat"] != 4:
            raise invalid(f"Unsupported nbformat: {notebook['nbformat']}")
        return [_from_cell(cell) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError):
        raise invalid("The notebook is not a valid Jupyter notebook (nbformat 4)") from None


def _from_cell(cell: Any) -> str:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    return f"%md\n{source}" if cell["cell_type"] == "markdown" else source


def to_jupyter(cells: list[str], language: Language) -> bytes:
    """The notebook in JUPYTER format."""
    notebook = {
        "cells": [_to_cell(cell) for cell in cells],
        "metadata": {"language_info": {"name": language.lower()}},
        "nbformat": 4,
        "nbformat_minor": 0,
    }
    return json.dumps(notebook, indent=1).encode()


def _to_cell(cell: str) -> dict[str, Any]:
    markdown = _MARKDOWN.match(cell)
    if markdown:
        return {"cell_type": "markdown", "metadata": {}, "source": cell[markdown.end() :].splitlines(keepends=True)}
    lines = cell.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines}


def from_html(data: bytes) -> tuple[Language, list[str]]:
    """Language and cells of a notebook in HTML format.

    Raises:
        ApiError: 400, there is no notebook in this page.
    """
    found = _MODEL.search(data)
    try:
        if found is None:
            raise ValueError
        model: Any = json.loads(unquote(base64.b64decode(found[1]).decode()))
        language = next(each for each in HEADERS if each == model["language"].upper())
        commands = sorted(model["commands"], key=lambda command: float(command["position"]))
        return language, [command["command"] for command in commands]
    except (ValueError, binascii.Error, KeyError, TypeError, AttributeError, StopIteration):
        raise invalid("The HTML file is not an exported notebook") from None


def to_html(name: str, cells: list[str], language: Language) -> bytes:
    """The notebook in HTML format: the page that Databricks writes is drawn by its own script; here it is plain."""
    commands = [
        {"version": "CommandV1", "position": float(number), "command": cell} for number, cell in enumerate(cells, 1)
    ]
    model = {"version": "NotebookV1", "name": name, "language": language.lower(), "commands": commands}
    encoded = base64.b64encode(quote(json.dumps(model)).encode()).decode()
    shown = "\n".join(f"<pre>{escape(cell)}</pre>" for cell in cells)
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{escape(name)} - Databricks</title></head>\n<body>\n{shown}\n"
        f"<script>var __DATABRICKS_NOTEBOOK_MODEL = '{encoded}';</script>\n</body></html>\n"
    )
    return page.encode()
