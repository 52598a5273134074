"""What a release puts into the workspace, and whether an object there still is that.

Databricks doesn't keep a notebook's file. It keeps cells, and writes a file anew when it exports: with line feeds, with
its own blank lines around the separators, without a line feed at the end, and a Jupyter notebook with metadata of its
own (https://docs.databricks.com/en/notebooks/notebook-export-import.html). So two notebooks count as equal when their
cells do: `normal` is what is compared. Files are compared byte for byte.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from delivery import contents
from delivery.console import Mistake, RefusedError
from delivery.manifest import Part
from release_files import NOTEBOOK_HEADERS, ReleaseError, scan

# Where the tests of a release are delivered, below the folder (components/naming.py).
TESTS = "tests"
_COMMENTS = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}


@dataclass(frozen=True, kw_only=True)
class Object:
    """A notebook or file that is to be in the workspace.

    `path` is below the workspace folder, `source` in the artifact. `normal` is the SHA-256 of its normal form. Language
    and format are those of notebooks.
    """

    path: str
    source: str
    part: Part
    kind: Literal["notebook", "file"]
    language: str | None
    format: Literal["SOURCE", "JUPYTER"] | None
    normal: str

    def is_like(self, content: bytes) -> bool:
        """Whether what was exported is this object."""
        return _digest(normal(content, self.format, self.language)) == self.normal

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Object":
        """As it was recorded."""
        return cls(**{key: document[key] for key in cls.__dataclass_fields__})

    def document(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


def objects_of(project: Path, stack: str) -> tuple[Object, ...]:
    """What a stack delivers.

    Args:
        project: the folder with Pulumi.yaml: of an artifact, so that every file in it was checked when it was packaged.
        stack: the stack's name.

    Raises:
        RefusedError: settings or files are wrong; every mistake.
    """
    name = f"Pulumi.{stack}.yaml"
    settings = {each: (project / each).read_bytes() for each in (contents.PROJECT, name)}
    folders, mistakes = contents.folders_of(settings)
    objects = []
    for folder in folders:
        try:
            release = scan(project / folder.path, folder.ignore)
        except ReleaseError as error:
            mistakes += [
                Mistake(key=f"{folder.path}/{each.file}", found=each.found, remedy=each.remedy)
                for each in error.mistakes
            ]
            continue
        for file in release.files:
            content = (project / folder.path / file.source).read_bytes()
            objects.append(
                Object(
                    path=f"{TESTS}/{file.workspace_path}" if folder.part == "tests" else file.workspace_path,
                    source=f"{folder.path}/{file.source}",
                    part=folder.part,
                    kind=file.kind,
                    language=file.language,
                    format=file.format,
                    normal=_digest(normal(content, file.format, file.language)),
                )
            )
    if mistakes:
        raise RefusedError(mistakes)
    return tuple(objects)


def normal(content: bytes, form: str | None, language: str | None) -> bytes:
    """The normal form.

    Of a Jupyter notebook the types and texts of the cells: outputs, counters and metadata change when somebody only
    looks at it. Of a notebook in the source format the cells, without blank lines around them, and without spaces that
    end a line of a magic.

    Args:
        content: as it was packaged or exported.
        form: SOURCE or JUPYTER; None for a file.
        language: of the notebook.
    """
    if form is None or language is None:
        return content
    try:
        cells = _jupyter(content) if form == "JUPYTER" else _source(content.decode(), language)
    except (UnicodeDecodeError, ValueError, KeyError, TypeError):
        # Not what it should be: then it is equal to nothing but itself.
        return content
    return json.dumps(cells).encode()


def _source(text: str, language: str) -> list[str]:
    comment = re.escape(_COMMENTS[language])
    lines = text.replace("\r\n", "\n").removeprefix("\ufeff").split("\n")
    headers = {header.decode() for _, header in NOTEBOOK_HEADERS.values()}
    if lines and lines[0].rstrip() in headers:
        lines = lines[1:]
    magic = re.compile(rf"{comment} MAGIC\b")
    plain = [line.rstrip() if magic.match(line) else line for line in lines]
    cells = re.split(rf"^{comment} COMMAND -+[ \t]*$", "\n".join(plain), flags=re.MULTILINE)
    return [cell.strip("\n") for cell in cells]


def _jupyter(content: bytes) -> list[list[str]]:
    cells = json.loads(content)["cells"]
    return [[str(cell["cell_type"]), "".join(cell["source"]).rstrip("\n")] for cell in cells]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
