"""A notebook as its cells, from Databricks' source format or Jupyter's, for pages to show."""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from rehearsal.databricks import cells
from rehearsal.databricks.cells import Language

_LANGUAGES: dict[str, Language] = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}
_MAGIC = re.compile(r"%([a-z][\w-]*)[ \t]*\n?")
_LEXERS = {"sql": "sql", "python": "python", "sh": "bash", "scala": "scala", "r": "r", "pip": "bash"}


@dataclass(frozen=True)
class Output:
    """What a cell showed: text, a picture (base64 of a PNG) or an error."""

    kind: Literal["text", "png", "error"]
    text: str


@dataclass(frozen=True)
class Cell:
    """A cell.

    Args:
        language: a lexer of pygments, or `md`.
        source: without the magic word of markdown.
        outputs: as the notebook holds them.
    """

    language: str
    source: str
    outputs: list[Output] = field(default_factory=list)


def of_file(path: str, data: bytes) -> list[Cell] | None:
    """The cells of a file in a repository, or None for one that is no notebook."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".ipynb":
        return _jupyter(data)
    language = _LANGUAGES.get(suffix)
    if language is None or not cells.has_header(data, language):
        return None
    return of_source(data, language)


def of_source(data: bytes, language: Language) -> list[Cell]:
    """The cells of a notebook in source format."""
    return [_cell(each, language.lower()) for each in cells.from_source(data, language)]


def as_text(path: str, data: bytes) -> str:
    """A Jupyter notebook as text to be compared: its cells, without the outputs and numbers that change by running."""
    found = of_file(path, data) or []
    return "\n".join(f"# cell {number}: {each.language}\n{each.source}\n" for number, each in enumerate(found, 1))


def _cell(text: str, language: str) -> Cell:
    # A title is a comment of its own in the source format; as it stands there it reads well.
    magic = _MAGIC.match(text)
    if magic is None:
        return Cell(language, text)
    word = magic[1]
    if word in ("md", "md-sandbox"):
        return Cell("md", text[magic.end() :])
    return Cell(_LEXERS.get(word, language), text)


def _jupyter(data: bytes) -> list[Cell] | None:
    try:
        notebook = json.loads(data)
        language = str(notebook.get("metadata", {}).get("language_info", {}).get("name", "python"))
        return [_jupyter_cell(each, language) for each in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _jupyter_cell(cell: dict[str, Any], language: str) -> Cell:
    source = _text(cell.get("source"))
    if cell["cell_type"] == "markdown":
        return Cell("md", source)
    found = _cell(source, language)
    shown = [output for each in cell.get("outputs", []) if (output := _output(each)) is not None]
    return Cell(found.language, found.source, shown)


def _output(output: dict[str, Any]) -> Output | None:
    if output.get("output_type") == "error":
        return Output("error", "\n".join([f"{output.get('ename')}: {output.get('evalue')}"]))
    if "text" in output:
        return Output("text", _text(output["text"]))
    shown = output.get("data", {})
    if "image/png" in shown:
        picture = _text(shown["image/png"]).replace("\n", "")
        return Output("png", picture) if _is_base64(picture) else None
    # HTML of a notebook stays out of the pages; every output that has it has its text, too.
    return Output("text", _text(shown["text/plain"])) if "text/plain" in shown else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "".join(value or [])


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True
