"""`dbutils.fs` on the folder that stands for cloud storage.

`dbfs:/...` and paths without a scheme are DBFS, `/Volumes/...` (also as `dbfs:/Volumes/...`) Unity Catalog volumes;
`file:/...` is allowed in the run's own temporary folder, where Python's `tempfile` works. A volume that nobody created
comes with its first file, which Databricks would refuse. docs.databricks.com/dev-tools/databricks-utils, section "fs".
"""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from rehearsal.compute.notebook.dbutils.base import Utility
from rehearsal.compute.notebook.errors import UnsupportedError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_VOLUME_PARTS = 3  # catalog, schema, volume


class FileInfo(NamedTuple):
    """What `ls` gives of a file or folder; sizes in bytes, times in milliseconds since 1970."""

    path: str
    name: str
    size: int
    modificationTime: int  # noqa: N815 - Databricks' name

    def isDir(self) -> bool:  # noqa: N802 - Databricks' name
        return self.path.endswith("/")

    def isFile(self) -> bool:  # noqa: N802 - Databricks' name
        return not self.isDir()


class _Place(NamedTuple):
    path: Path
    shown: str
    writable: bool


class Files(Utility):
    """Manipulates the Databricks filesystem (DBFS) and volumes.

    Mounts, caching and everything else that isn't listed here is refused by name.
    """

    _name = "dbutils.fs"

    def __init__(self, data: Path, temporary: Path) -> None:
        self._data = data
        self._temporary = temporary

    def ls(self, path: str) -> list[FileInfo]:
        """Lists the contents of a directory.

        Raises:
            FileNotFoundError: it doesn't exist.
        """
        place = self._existing(path)
        if place.path.is_file():
            return [_info(place.path, place.shown)]
        shown = place.shown.rstrip("/")
        return [_info(each, f"{shown}/{each.name}") for each in sorted(place.path.iterdir())]

    def head(self, file: str, max_bytes: int = 65536) -> str:
        """Returns up to the specified maximum number of bytes of the given file, as text in UTF-8."""
        place = self._existing(file)
        with place.path.open("rb") as opened:
            data = opened.read(max_bytes)
        if place.path.stat().st_size > max_bytes:
            print(f"[Truncated to first {max_bytes} bytes]")
        return data.decode("utf-8", "ignore")

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        """Writes the specified string to a file, in UTF-8.

        Raises:
            FileExistsError: it is there and not to be overwritten.
        """
        place = self._writable(file)
        if place.path.exists() and not overwrite:
            raise FileExistsError(f"File already exists: {place.shown}")
        place.path.parent.mkdir(parents=True, exist_ok=True)
        data = contents.encode()
        place.path.write_bytes(data)
        print(f"Wrote {len(data)} bytes.")
        return True

    def mkdirs(self, dir: str) -> bool:
        """Creates the given directory if it does not exist, also its parents."""
        self._writable(dir, folder=True).path.mkdir(parents=True, exist_ok=True)
        return True

    def cp(self, source: str, dest: str, recurse: bool = False) -> bool:
        """Copies a file or directory, possibly across filesystems; into a folder if `dest` is one.

        Raises:
            IsADirectoryError: it is a directory, and `recurse` isn't set.
        """
        self._copy(source, dest, recurse=recurse)
        return True

    def mv(self, source: str, dest: str, recurse: bool = False) -> bool:
        """Moves a file or directory, possibly across filesystems: a copy and a removal."""
        self._writable(source)
        self._copy(source, dest, recurse=recurse)
        return self.rm(source, recurse)

    def rm(self, dir: str, recurse: bool = False) -> bool:
        """Removes a file or directory; False if there is none.

        Raises:
            OSError: a directory that isn't empty, and `recurse` isn't set.
        """
        place = self._writable(dir)
        if place.path.is_dir():
            if any(place.path.iterdir()) and not recurse:
                raise OSError(f"Cannot delete a non-empty directory without recurse: {place.shown}")
            shutil.rmtree(place.path)
            return True
        existed = place.path.exists()
        place.path.unlink(missing_ok=True)
        return existed

    def _copy(self, source: str, dest: str, *, recurse: bool) -> None:
        from_place, to_place = self._existing(source), self._writable(dest, folder=True)
        if from_place.path.is_dir():
            if not recurse:
                raise IsADirectoryError(f"{from_place.shown} is a directory; set recurse to copy it")
            if to_place.path.is_relative_to(from_place.path):
                raise OSError(f"Cannot copy {from_place.shown} into itself")
            shutil.copytree(from_place.path, to_place.path, dirs_exist_ok=True)
            return
        into_folder = to_place.path.is_dir() or dest.endswith("/")
        target = to_place.path / from_place.path.name if into_folder else self._writable(dest).path
        if target == from_place.path:
            raise OSError(f"Cannot copy {from_place.shown} onto itself")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(from_place.path, target)

    def _existing(self, path: str) -> _Place:
        place = self._place(path)
        if not place.path.exists():
            if place.shown == "dbfs:/":
                place.path.mkdir(parents=True)
            else:
                raise FileNotFoundError(f"No such file or directory {place.shown}")
        return place

    def _writable(self, path: str, *, folder: bool = False) -> _Place:
        place = self._place(path)
        parts = place.shown.removeprefix("dbfs:").strip("/").split("/")
        if parts[0] == "Volumes" and len(parts) <= _VOLUME_PARTS + (0 if folder else 1):
            raise PermissionError(f"{place.shown} is no place in a volume: /Volumes/<catalog>/<schema>/<volume>/...")
        if not place.writable:
            raise PermissionError(f"{place.shown} itself can't be changed")
        return place

    def _place(self, path: str) -> _Place:
        if not isinstance(path, str) or not path:
            raise TypeError(f"a path is a string, not {path!r}")
        scheme = _SCHEME.match(path)
        name = scheme[1] if scheme else "dbfs"
        if name not in ("dbfs", "file"):
            raise UnsupportedError(
                f"the rehearsal does not know the scheme of {path}; it has dbfs:/, /Volumes and file:/"
            )
        parts = [part for part in path[scheme.end() if scheme else 0 :].split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in path:
            raise PermissionError(f"the path may not have `..` in it: {path}")
        if name == "file":
            return self._local(path, parts)
        if not scheme and parts[:1] == ["Workspace"]:
            raise UnsupportedError(f"the rehearsal's dbutils.fs has no workspace files ({path})")
        root = self._data / "dbfs"
        inner = parts
        if parts[:1] == ["Volumes"]:
            root, inner = self._data / "volumes", parts[1:]
        return _Place(_inside(root, inner, path), "dbfs:/" + "/".join(parts), bool(inner))

    def _local(self, path: str, parts: list[str]) -> _Place:
        wanted = Path("/", *parts)
        if not wanted.is_relative_to(self._temporary):
            raise UnsupportedError(
                f"the rehearsal opens file:/ only in the run's temporary folder (tempfile.gettempdir()), not {path}"
            )
        inner = wanted.relative_to(self._temporary).parts
        return _Place(_inside(self._temporary, list(inner), path), f"file:{wanted}", bool(inner))


def _inside(root: Path, parts: list[str], path: str) -> Path:
    real = Path(os.path.realpath(root))
    found = real.joinpath(*parts)
    if Path(os.path.realpath(found)) != found:
        raise PermissionError(f"the path goes through a symbolic link: {path}")
    return found


def _info(path: Path, shown: str) -> FileInfo:
    stat = path.lstat()
    folder = path.is_dir()
    name = f"{path.name}/" if folder else path.name
    size = 0 if folder else stat.st_size
    return FileInfo(f"{shown}/" if folder else shown, name, size, stat.st_mtime_ns // 1_000_000)
