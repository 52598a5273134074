"""The files of a release: what a folder of notebooks becomes in a Databricks workspace.

The components (which deploy the files) and the commands of the pipelines (which package and compare them) both read the
folder through `scan`, so they can't disagree. No Pulumi and no network here.

A *notebook* is a `.py`, `.sql`, `.scala` or `.r` file whose first line is Databricks' header, or an `.ipynb` file; it
loses its extension in the workspace. Anything else is a *workspace file* and keeps its name
(https://docs.databricks.com/en/notebooks/notebook-format.html, https://docs.databricks.com/en/files/workspace.html).
"""

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pathspec

Language = Literal["PYTHON", "SQL", "SCALA", "R"]

# extension -> language and the first line that makes the file a notebook
NOTEBOOK_HEADERS: dict[str, tuple[Language, bytes]] = {
    ".py": ("PYTHON", b"# Databricks notebook source"),
    ".sql": ("SQL", b"-- Databricks notebook source"),
    ".scala": ("SCALA", b"// Databricks notebook source"),
    ".r": ("R", b"# Databricks notebook source"),
}
JUPYTER_LANGUAGES: dict[str, Language] = {"python": "PYTHON", "sql": "SQL", "scala": "SCALA", "r": "R"}

# What the workspace's import call takes in `content`, for notebooks and files alike: the way the provider sends both
# (https://docs.databricks.com/api/workspace/workspace/import). Larger files can be uploaded otherwise, but not by this
# provider. Whether the service counts 10 MB before or after base64 isn't documented; this counts the file itself.
MAXIMUM_SIZE = 10 * 1024 * 1024
# A component of a path on the file system that shows the workspace to a cluster.
MAXIMUM_NAME_BYTES = 255

# Never part of a release, whatever the settings say; `!pattern` in the settings takes one back.
ALWAYS_IGNORED = (
    ".git",
    "__pycache__/",
    "*.py[cod]",
    ".ipynb_checkpoints/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".venv/",
    ".idea/",
    ".vscode/",
    ".databricks/",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "*.swp",
    "*~",
)


@dataclass(frozen=True, kw_only=True)
class ReleaseFile:
    """One file of a release.

    `source` is its path below the scanned folder and `workspace_path` its path below the workspace folder, both with
    slashes. `language` and `format` are there for notebooks alone. `size` is in bytes.
    """

    source: str
    workspace_path: str
    kind: Literal["notebook", "file"]
    language: Language | None
    format: Literal["SOURCE", "JUPYTER"] | None
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """The files in the order of their `source`, and a digest of them all.

    The digest is the SHA-256 of the lines `{sha256}  {source}`, each ended by a line feed, in the order of the sources'
    UTF-8 bytes: what `sha256sum` prints for the files, hashed once more. Times, modes and the machine don't matter.
    """

    files: tuple[ReleaseFile, ...]
    digest: str


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """Why something can't be part of a release. `file` is its path below the folder, empty for the folder itself."""

    file: str
    found: str
    allowed: str
    remedy: str


class ReleaseError(Exception):
    """The folder can't be released: all reasons are in `mistakes` and in the message."""

    def __init__(self, folder: Path, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        lines = (f"{mistake.file or folder}: {mistake.found}; {mistake.remedy}" for mistake in mistakes)
        super().__init__("\n".join(lines))


def scan(folder: Path, ignore: Sequence[str] = ()) -> Release:
    """Read the folder.

    Args:
        folder: where the notebooks are.
        ignore: patterns as in .gitignore, after the built-in ones.

    Raises:
        ReleaseError: with every mistake.
    """
    remedy = "set databricks-cicd:notebooks.folder to the folder with your notebooks"
    if not folder.is_dir():
        found = "this is a file" if folder.exists() else "there is no such folder"
        raise ReleaseError(folder, [Mistake(file="", found=found, allowed="an existing folder", remedy=remedy)])
    mistakes: list[Mistake] = []
    patterns = pathspec.GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *ignore])
    found_files = [
        file for path, source in _walk(folder, "", patterns, mistakes) if (file := _read(path, source, mistakes))
    ]
    files = tuple(sorted(found_files, key=lambda file: file.source.encode()))
    mistakes += _collisions(files)
    if not files and not mistakes:
        found = "no file to release is in the folder"
        mistakes.append(Mistake(file="", found=found, allowed="at least one notebook or file", remedy=remedy))
    if mistakes:
        raise ReleaseError(folder, sorted(mistakes, key=lambda mistake: mistake.file))
    listing = "".join(f"{file.sha256}  {file.source}\n" for file in files)
    return Release(files=files, digest=hashlib.sha256(listing.encode()).hexdigest())


def is_pattern(text: str) -> bool:
    """Whether .gitignore would take the text as a pattern."""
    try:
        return bool(text.strip()) and bool(pathspec.GitIgnoreSpec.from_lines([text]))
    except ValueError:
        return False


def name_problem(name: str) -> str | None:
    """What a name in the workspace has to be, if `name` isn't that.

    Databricks documents no list. `/` separates, and `.` and `..` have a meaning; a backslash is taken by the service
    and then breaks clients (terraform-provider-databricks issue 2256, pull request 2831). What it makes of control
    characters and of spaces around a name isn't known. All of them are refused here.
    """
    if name in ("", ".", ".."):
        return "a name with letters or digits"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name) or "\\" in name or "/" in name:
        return "a name without control characters, slashes and backslashes, in valid Unicode"
    if name != name.strip():
        return "a name without spaces in front or at the end"
    if len(name.encode()) > MAXIMUM_NAME_BYTES:
        return f"a name of at most {MAXIMUM_NAME_BYTES} bytes"
    return None


def _walk(
    folder: Path, prefix: str, patterns: pathspec.GitIgnoreSpec, mistakes: list[Mistake]
) -> Iterator[tuple[Path, str]]:
    """Regular files below `folder` that aren't ignored, with their path below the top."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        mistakes.append(_unreadable(prefix.rstrip("/"), error))
        return
    for entry in entries:
        source = prefix + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if patterns.match_file(source + "/" if is_folder else source):
            continue
        allowed = name_problem(entry.name)
        if allowed:
            # Names that aren't UTF-8 come with surrogates, which can't be printed.
            shown = source.encode("utf-8", "backslashreplace").decode()
            remedy = "rename it, or add it to databricks-cicd:notebooks.ignore"
            mistakes.append(Mistake(file=shown, found=f"the name {entry.name!a}", allowed=allowed, remedy=remedy))
        elif is_folder:
            yield from _walk(Path(entry.path), source + "/", patterns, mistakes)
        elif not entry.is_symlink() or _is_good_link(Path(entry.path), source, mistakes):
            yield Path(entry.path), source


def _is_good_link(path: Path, source: str, mistakes: list[Mistake]) -> bool:
    """Whether a symbolic link leads to a file inside the top folder."""
    top = path.parents[source.count("/")].resolve()
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        found = f"a symbolic link to {str(path.readlink())!a}, which doesn't exist"
    else:
        if not target.is_relative_to(top):
            found = f"a symbolic link out of the folder, to {str(path.readlink())!a}"
        elif target.is_dir():
            found = "a symbolic link to a folder"
        else:
            return True
    remedy = "put the file itself there, or add the link to databricks-cicd:notebooks.ignore"
    allowed = "files, folders, and links to files inside the folder"
    mistakes.append(Mistake(file=source, found=found, allowed=allowed, remedy=remedy))
    return False


def _read(path: Path, source: str, mistakes: list[Mistake]) -> ReleaseFile | None:
    """The file as it will be released, or None after a mistake."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAXIMUM_SIZE:
            return _described(source, path.read_bytes())
    except OSError as error:
        mistakes.append(_unreadable(source, error))
        return None
    except _NotANotebookError as error:
        mistakes.append(
            Mistake(
                file=source,
                found=str(error),
                allowed="a Jupyter notebook in format 4 (JSON with cells, metadata and nbformat)",
                remedy="save it again in Jupyter or export it from Databricks as IPython Notebook, or add it to "
                "databricks-cicd:notebooks.ignore",
            )
        )
        return None
    if stat.S_ISREG(status.st_mode):
        found = f"{status.st_size:,} bytes"
        allowed = f"at most {MAXIMUM_SIZE:,} bytes (10 MB), which is what an import into the workspace takes"
        remedy = "keep data in a volume or a table and read it from there"
    else:
        found, allowed, remedy = "not a regular file", "files and folders", "take it away"
    remedy += ", or add it to databricks-cicd:notebooks.ignore"
    mistakes.append(Mistake(file=source, found=found, allowed=allowed, remedy=remedy))
    return None


class _NotANotebookError(Exception):
    """An .ipynb file that Databricks couldn't import; the message says why."""


def _described(source: str, content: bytes) -> ReleaseFile:
    """What the content is: a notebook in one of two formats, or a file."""
    pure = PurePosixPath(source)
    extension = pure.suffix.lower()
    without_extension = str(pure.with_suffix(""))
    common: dict[str, Any] = {
        "source": source,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if extension == ".ipynb":
        language = _jupyter_language(content)
        return ReleaseFile(
            **common, workspace_path=without_extension, kind="notebook", language=language, format="JUPYTER"
        )
    if extension in NOTEBOOK_HEADERS:
        language, header = NOTEBOOK_HEADERS[extension]
        if content[: len(header) + 2].splitlines()[:1] == [header]:
            return ReleaseFile(
                **common, workspace_path=without_extension, kind="notebook", language=language, format="SOURCE"
            )
    return ReleaseFile(**common, workspace_path=source, kind="file", language=None, format=None)


def _jupyter_language(content: bytes) -> Language:
    """The language of a Jupyter notebook. Python where it doesn't say."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _NotANotebookError(f"not valid JSON ({error})") from None
    if not isinstance(notebook, dict):
        raise _NotANotebookError("JSON, but not a notebook")
    version, cells, metadata = (notebook.get(key) for key in ("nbformat", "cells", "metadata"))
    if not isinstance(version, int) or version < 4:
        raise _NotANotebookError(f"a notebook with nbformat {json.dumps(version)}")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) and "cell_type" in cell for cell in cells):
        raise _NotANotebookError("a notebook without a list of cells")
    if not isinstance(metadata, dict):
        raise _NotANotebookError("a notebook without metadata")
    told = metadata.get("language_info")
    name = told.get("name") if isinstance(told, dict) else None
    return JUPYTER_LANGUAGES.get(str(name).lower(), "PYTHON")


def _collisions(files: Sequence[ReleaseFile]) -> list[Mistake]:
    """Files that would stand at the same place of the workspace, or where others need a folder."""
    taken: dict[str, str] = {}
    folders = {
        file.workspace_path[:index]: file.source
        for file in files
        for index, letter in enumerate(file.workspace_path)
        if letter == "/"
    }
    mistakes = []
    for file in files:
        other = taken.setdefault(file.workspace_path, file.source)
        found = ""
        if other != file.source:
            found = f"it becomes '{file.workspace_path}' in the workspace, and so does {other}"
        elif file.workspace_path in folders:
            inside = folders[file.workspace_path]
            found = f"it becomes '{file.workspace_path}' in the workspace, where {inside} needs a folder"
        if found:
            allowed = "a path of its own for each file (notebooks lose their extension)"
            mistakes.append(Mistake(file=file.source, found=found, allowed=allowed, remedy="rename one of them"))
    return mistakes


def _unreadable(source: str, error: OSError) -> Mistake:
    remedy = "make it readable, or add it to databricks-cicd:notebooks.ignore"
    return Mistake(file=source, found=f"it can't be read: {error.strerror}", allowed="readable files", remedy=remedy)
