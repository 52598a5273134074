"""The workspace tree as files, for a task's process: what the run's identity may read, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rehearsal.databricks import tree
from rehearsal.databricks.principals import Caller
from rehearsal.databricks.tree import Level
from rehearsal.store import Document, Store

_EXTENSIONS = {"PYTHON": ".py", "SQL": ".sql", "SCALA": ".scala", "R": ".r"}


@dataclass(frozen=True)
class Exported:
    """An object of the tree: its line in `.workspace.json`, and its bytes (None for a folder)."""

    entry: Document
    data: bytes | None


def read(store: Store, caller: Caller) -> list[Exported]:
    """What the caller may read, folders before what is in them."""
    found = []
    used: set[str] = set()
    with store.transaction():
        for document in tree.below(store, "/"):
            path = document["path"]
            if path != "/" and tree.visible(store, caller, path):
                found.append(_exported(store, document, used))
    return found


def write(exported: list[Exported], folder: Path) -> None:
    """Writes the tree into a folder, with `.workspace.json` at its root."""
    folder.mkdir(parents=True)
    for each in exported:
        target = folder / each.entry["file"]
        if each.data is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            # A folder that the caller may not see can hold something that they may.
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(each.data)
    (folder / ".workspace.json").write_text(json.dumps([each.entry for each in exported], indent=1))


def may_run(store: Store, caller: Caller, path: str) -> bool:
    """Whether there is a notebook at the path that the caller may run."""
    document = tree.get(store, path)
    return bool(document and document["object_type"] == "NOTEBOOK" and tree.level(store, caller, path) >= Level.CAN_RUN)


def _exported(store: Store, document: Document, used: set[str]) -> Exported:
    kind, path = document["object_type"], document["path"]
    entry: Document = {"path": path, "object_type": kind}
    name = path[1:]
    if kind == "NOTEBOOK":
        entry |= {"language": document["language"], "format": document["format"]}
        extension = ".ipynb" if document["format"] == "JUPYTER" else _EXTENSIONS[document["language"]]
        name = next(each for each in _names(name, extension) if each not in used and not _is_file(store, each))
    used.add(name)
    data = None if kind == "DIRECTORY" else store.get_bytes("content", str(document["object_id"])) or b""
    return Exported(entry | {"file": name}, data)


def _names(stem: str, extension: str) -> Iterator[str]:
    """Beside the notebook `a` there may be a file `a.py`."""
    yield stem + extension
    number = 1
    while True:
        yield f"{stem}.notebook{number}{extension}"
        number += 1


def _is_file(store: Store, name: str) -> bool:
    return tree.get(store, f"/{name}") is not None
