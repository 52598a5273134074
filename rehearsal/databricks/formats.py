"""What an import makes of its content, and what an export gives of it.

A notebook keeps the bytes of its import and its format (SOURCE or JUPYTER), so that the export in the same format gives
the same bytes. Every other format is made from its cells; see `cells`.
docs.databricks.com/notebooks/notebook-export-import.

DBC is refused: it is an archive for whole folders that nobody writes by hand. So is R_MARKDOWN.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from rehearsal.databricks import cells
from rehearsal.databricks.cells import HEADERS, Language
from rehearsal.databricks.errors import invalid
from rehearsal.databricks.tree import ObjectType
from rehearsal.store import Document

ImportFormat: TypeAlias = Literal["AUTO", "DBC", "HTML", "JUPYTER", "RAW", "R_MARKDOWN", "SOURCE"]
ExportFormat: TypeAlias = Literal["AUTO", "DBC", "HTML", "JUPYTER", "RAW", "R_MARKDOWN", "SOURCE"]

_LANGUAGES: dict[str, Language] = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}
_EXTENSIONS = {language: extension[1:] for extension, language in _LANGUAGES.items()}


@dataclass(frozen=True, kw_only=True)
class Content:
    """What an import makes.

    Args:
        path: where; AUTO takes the extension off a notebook.
        kind: `NOTEBOOK` or `FILE`.
        language: of the notebook.
        format: the notebook's own format, SOURCE or JUPYTER.
        data: the bytes to keep.
    """

    path: str
    kind: ObjectType
    language: Language | None = None
    format: str | None = None
    data: bytes


def read(path: str, form: str, language: str | None, data: bytes) -> Content:
    """Reads the content of an import.

    Args:
        path: the normal path that the import asks for.
        form: one of `ImportFormat`.
        language: what the import says, if anything.
        data: the content.

    Raises:
        ApiError: 400, content, format and language don't fit each other.
    """
    match form:
        case "RAW":
            return Content(path=path, kind="FILE", data=data)
        case "AUTO":
            return _read_auto(path, data)
        case "SOURCE":
            return Content(path=path, kind="NOTEBOOK", language=_language(language), format="SOURCE", data=_text(data))
        case "JUPYTER":
            # The language of such a notebook is always Python: databricks-sdk, `ObjectInfo.language`.
            cells.from_jupyter(data)
            return Content(path=path, kind="NOTEBOOK", language="PYTHON", format="JUPYTER", data=data)
        case "HTML":
            found, read_cells = cells.from_html(data)
            source = cells.to_source(read_cells, found)
            return Content(path=path, kind="NOTEBOOK", language=found, format="SOURCE", data=source)
    raise invalid(f"The rehearsal does not import {form}")


def write(document: Document, form: str, data: bytes) -> tuple[bytes, str]:
    """The content of an export, and the extension that belongs to it.

    Args:
        document: the object.
        form: one of `ExportFormat`.
        data: the bytes that are kept.

    Raises:
        ApiError: 400, the object doesn't come in this format.
    """
    if document["object_type"] == "FILE":
        # A file comes as it is, whatever the format: documented for AUTO only, and done for SOURCE, the default.
        if form not in ("AUTO", "RAW", "SOURCE"):
            raise invalid(f"Path ({document['path']}) is a file and cannot be exported as {form}")
        return data, PurePosixPath(document["path"]).suffix[1:]
    language: Language = document["language"]
    own: str = document["format"]
    wanted = own if form == "AUTO" else form
    read_cells = cells.from_jupyter(data) if own == "JUPYTER" else cells.from_source(data, language)
    match wanted:
        case "SOURCE":
            # The service writes the header line into a notebook that came without it.
            keeps = own == "SOURCE" and cells.has_header(data, language)
            return data if keeps else cells.to_source(read_cells, language), _EXTENSIONS[language]
        case "JUPYTER":
            return data if own == "JUPYTER" else cells.to_jupyter(read_cells, language), "ipynb"
        case "HTML":
            return cells.to_html(PurePosixPath(document["path"]).name, read_cells, language), "html"
    raise invalid(f"The rehearsal does not export a notebook as {form}")


def _read_auto(path: str, data: bytes) -> Content:
    """By extension and header line: a notebook without its extension, or a file under its whole name."""
    extension = PurePosixPath(path).suffix
    stem = path.removesuffix(extension)
    if extension.lower() == ".ipynb":
        return read(stem, "JUPYTER", None, data)
    language = _LANGUAGES.get(extension.lower())
    if language is not None and cells.has_header(data, language):
        return Content(path=stem, kind="NOTEBOOK", language=language, format="SOURCE", data=_text(data))
    return Content(path=path, kind="FILE", data=data)


def _language(given: str | None) -> Language:
    for language in HEADERS:
        if language == given:
            return language
    if given is None:
        raise invalid("The language of the notebook must be specified for format SOURCE")
    raise invalid(f"Unknown language: {given}")


def _text(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise invalid("The content of a notebook must be text in UTF-8") from None
    return data
