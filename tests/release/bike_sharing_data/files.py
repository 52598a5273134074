"""The few calls on files that writing needs: those of dbutils.fs, and the same on a local disk for tests without it."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Entry(Protocol):
    """What `ls` says of a file: a directory's name ends with a slash."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        ...

    @property
    def path(self) -> str:
        """The whole path."""
        ...


class Files(Protocol):
    """The part of dbutils.fs that is used here.

    https://docs.databricks.com/en/dev-tools/databricks-utils.html#file-system-utility-dbutilsfs
    """

    def ls(self, path: str, /) -> Sequence[Entry]:
        """What a directory holds."""
        ...

    def mkdirs(self, path: str, /) -> bool:
        """Make a directory and those above it."""
        ...

    def mv(self, source: str, target: str, /) -> bool:
        """Move a file."""
        ...

    def put(self, path: str, text: str, overwrite: bool = False, /) -> bool:
        """Write a text in UTF-8."""
        ...

    def rm(self, path: str, recurse: bool = False, /) -> bool:
        """Remove a file or a directory."""
        ...


@dataclass(frozen=True)
class LocalEntry:
    """A file or directory on the local disk."""

    name: str
    path: str


class LocalFiles:
    """`Files` on the local disk."""

    def ls(self, path: str, /) -> list[LocalEntry]:
        """What a directory holds, by name. FileNotFoundError when there is none."""
        return [
            LocalEntry(found.name + ("/" if found.is_dir() else ""), str(found))
            for found in sorted(Path(path).iterdir())
        ]

    def mkdirs(self, path: str, /) -> bool:
        """Make a directory and those above it."""
        Path(path).mkdir(parents=True, exist_ok=True)
        return True

    def mv(self, source: str, target: str, /) -> bool:
        """Move a file; the target's directory is made."""
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        return True

    def put(self, path: str, text: str, overwrite: bool = False, /) -> bool:
        """Write a text in UTF-8. FileExistsError when the file is there and `overwrite` is false."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("w" if overwrite else "x", encoding="utf-8", newline="") as file:
            file.write(text)
        return True

    def rm(self, path: str, recurse: bool = False, /) -> bool:
        """Remove what is there, if it is there. A directory that isn't empty needs `recurse`."""
        target = Path(path)
        if target.is_dir():
            if recurse:
                shutil.rmtree(target)
            else:
                target.rmdir()
            return True
        target.unlink(missing_ok=True)
        return True
