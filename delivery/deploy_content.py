"""Whether a folder holds a release: every deployed file is read back; and what isn't right is put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.console import Mistake, Progress, RefusedError
from delivery.workspace import Found, Workspace
from delivery.workspace_objects import Object


@dataclass(frozen=True, kw_only=True)
class Content:
    """How a folder differs from a release, by path below it.

    `edited` is there with another content or language; `other` is there as something else, a folder for example;
    `strays` are there and not of the release: nobody but who made them removes them.
    """

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether all of the release is there; strays don't count."""
        return not (self.edited or self.missing or self.other)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: list(getattr(self, name)) for name in ("edited", "missing", "other", "strays")}


def compare(workspace: Workspace, objects: Sequence[Object], progress: Progress) -> Content:
    """Reads everything back.

    Raises:
        UnusableError: Databricks can't be asked.
    """
    there = workspace.tree()
    other = [each.path for each in objects if each.path in there and there[each.path].kind != each.kind]
    read = workspace.read_all([each for each in objects if each.path in there and each.path not in other], progress)
    edited = [
        each.path
        for each in objects
        if (content := read.get(each.path)) is not None
        and not (each.is_like(content) and _has_language(each, there[each.path]))
    ]
    missing = [each.path for each in objects if each.path not in other and read.get(each.path) is None]
    strays = sorted(set(there) - {each.path for each in objects})
    return Content(edited=tuple(edited), missing=tuple(missing), other=tuple(other), strays=tuple(strays))


def put_back(
    workspace: Workspace, objects: Sequence[Object], project: Path, progress: Progress
) -> tuple[Content, tuple[str, ...]]:
    """Compares, writes what is edited or missing anew, and compares that again; gives what was put back, too.

    Pulumi compares a file with what it has deployed last, and never reads the workspace: what was edited or deleted
    there by hand is the same to it (https://github.com/databricks/terraform-provider-databricks/issues/614).

    Args:
        workspace: the folder.
        objects: the release.
        project: the folder with the release's files.
        progress: hears how far it is.

    Raises:
        RefusedError: something else stands in a file's place, or a file isn't right although it was written.
        UnusableError: Databricks can't be asked.
    """
    found = compare(workspace, objects, progress)
    by_path = {each.path: each for each in objects}
    _refuse(workspace, found.other, "something else stands there", "move it away")
    wrong = sorted({*found.edited, *found.missing})
    for path in wrong:
        progress.step(f"  put back {path}, which was {'edited' if path in found.edited else 'missing'}")
        workspace.write(by_path[path], (project / by_path[path].source).read_bytes())
    again = workspace.read_all([by_path[path] for path in wrong], progress)
    still = [path for path in wrong if not _is_like(by_path[path], again)]
    _refuse(workspace, still, "it isn't what was written", "see who else writes there")
    return found, tuple(wrong)


def _is_like(each: Object, read: Mapping[str, bytes | None]) -> bool:
    content = read[each.path]
    return content is not None and each.is_like(content)


def _has_language(each: Object, found: Found) -> bool:
    # A Jupyter notebook's language is the one that its metadata say, and Databricks may call it Python all the same.
    return each.format != "SOURCE" or found.language == each.language


def _refuse(workspace: Workspace, paths: Sequence[str], found: str, remedy: str) -> None:
    if paths:
        raise RefusedError([Mistake(key=f"{workspace.folder}/{path}", found=found, remedy=remedy) for path in paths])
