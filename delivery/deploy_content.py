"""Whether a folder holds a release: every deployed file is read back; and what isn't right is put back."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.console import Mistake, Progress, RefusedError, UnusableError
from delivery.workspace import AT_ONCE, Found, Workspace
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


class Reading:
    """Files that are read back while the engine still works on others.

    What a deployment leaves alone is read at its beginning, and once more at the end if it was changed since it was
    listed, as the service's time of the last change says. What it writes is read as soon as it is written, and believed
    from then on: an edit by hand in the rest of the engine's work is the next `drift`'s to find. What is deleted is not
    in the list of what is there, which is asked for at the end. What wasn't right, or couldn't be read, isn't judged
    here: it is read again at the end.

    Args:
        workspace: the folder, on which nobody else deploys.
        objects: the release.
    """

    def __init__(self, workspace: Workspace, objects: Sequence[Object]) -> None:
        self._workspace = workspace
        self._known = {f"{workspace.folder}/{each.path}": each for each in objects}
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._reads: dict[str, Future[bool]] = {}
        self._listed: dict[str, int | None] = {}

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def begin(self, objects: Iterable[Object], there: Mapping[str, Found] | None = None) -> None:
        """Reads these; what it gives is asked for later.

        Args:
            objects: some of the release.
            there: what was listed before, by path.
        """
        for each in objects:
            found = (there or {}).get(each.path)
            self._listed[each.path] = found.modified_at if found else None
            self._reads[each.path] = self._threads.submit(self._is_right, each)

    def after(self, step: Mapping[str, Any]) -> None:
        """Reads the file that a step of the engine has written, if it has written one.

        Args:
            step: the metadata of the engine's event.
        """
        path = ((step.get("new") or {}).get("inputs") or {}).get("path")
        if step.get("op") != "same" and isinstance(path, str):
            each = self._known.get(path.removeprefix("/Workspace"))
            self.begin([each] if each else [])

    def right(self, progress: Progress) -> dict[str, int | None]:
        """Which files have been right, by path below the folder, with when each had been changed last, if known."""
        found = {}
        for done, (path, read) in enumerate(self._reads.items()):
            progress.count("read back", done, len(self._reads))
            with suppress(UnusableError):
                if read.result():
                    found[path] = self._listed[path]
        return found

    def _is_right(self, each: Object) -> bool:
        content = self._workspace.read(each)
        return content is not None and each.is_like(content)


def compare(
    workspace: Workspace, objects: Sequence[Object], progress: Progress, right: Mapping[str, int | None] | None = None
) -> Content:
    """Reads everything back.

    Args:
        workspace: the folder.
        objects: the release.
        progress: hears how far it is.
        right: what has been read already, as `Reading.right` gives it.

    Raises:
        UnusableError: Databricks can't be asked.
    """
    there = workspace.tree()
    believed = {
        path
        for path, known in (right or {}).items()
        if known is None or (path in there and there[path].modified_at == known)
    }
    other = [each.path for each in objects if each.path in there and there[each.path].kind != each.kind]
    here = [each for each in objects if each.path in there and each.path not in other]
    read = workspace.read_all([each for each in here if each.path not in believed], progress)
    missing = [each.path for each in objects if each.path not in there or read.get(each.path, b"") is None]
    edited = [
        each.path
        for each in here
        if each.path not in missing
        and not ((each.path in believed or _is_like(each, read)) and _has_language(each, there[each.path]))
    ]
    strays = sorted(set(there) - {each.path for each in objects})
    return Content(edited=tuple(edited), missing=tuple(missing), other=tuple(other), strays=tuple(strays))


def put_back(
    workspace: Workspace,
    objects: Sequence[Object],
    project: Path,
    progress: Progress,
    right: Mapping[str, int | None] | None = None,
) -> tuple[Content, tuple[str, ...]]:
    """Compares, writes what is edited or missing anew, and compares that again; gives what was put back, too.

    Pulumi compares a file with what it has deployed last, and never reads the workspace: what was edited or deleted
    there by hand is the same to it (https://github.com/databricks/terraform-provider-databricks/issues/614).

    Args:
        workspace: the folder.
        objects: the release.
        project: the folder with the release's files.
        progress: hears how far it is.
        right: as in `compare`.

    Raises:
        RefusedError: something else stands in a file's place, or a file isn't right although it was written.
        UnusableError: Databricks can't be asked.
    """
    found = compare(workspace, objects, progress, right)
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
