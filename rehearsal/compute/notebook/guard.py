"""Refuses, by name, what plain Python can't do here: files below `/Volumes`, `/dbfs` and `/Workspace`.

On Databricks these folders are mounted into the file system; here they would have to be mounted by an administrator.
Without the guard a notebook would be told "No such file", or worse, `os.path.exists` would say no.
"""

import functools
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from rehearsal.compute.notebook.errors import UnsupportedError

_MOUNTED = re.compile(r"/+(Volumes|dbfs|Workspace)(?:/|$)")
_INSTEAD = {
    "Volumes": "use dbutils.fs or Spark with this path",
    "dbfs": "use dbutils.fs or Spark with dbfs:/",
    "Workspace": "use a path relative to the notebook's folder, which is the working folder",
}
# Audit events whose arguments begin with paths: docs.python.org/3/library/audit_events.
_EVENTS = {
    "open": 1,
    "os.listdir": 1,
    "os.scandir": 1,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chdir": 1,
    "os.utime": 1,
    "sqlite3.connect": 1,
}


def install() -> None:
    """From now on, for the rest of the process."""
    sys.addaudithook(_audit)
    # These two have no audit event; os.path.exists and pathlib call them.
    for name in ("stat", "lstat"):
        function = getattr(os, name)
        checked = _checked(function)
        setattr(os, name, checked)
        # The standard library asks these sets what the system's functions can do.
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if function in able:
                able.add(checked)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for path in arguments[: _EVENTS.get(event, 0)]:
        _check(path)


def _checked(function: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def checked(path: Any, *arguments: Any, **options: Any) -> Any:
        _check(path)
        return function(path, *arguments, **options)

    return checked


def _check(path: Any) -> None:
    if isinstance(path, int) or path is None:
        return
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    found = _MOUNTED.match(text)
    if found:
        raise UnsupportedError(
            f"the rehearsal has no {text} in the file system, as Databricks has: {_INSTEAD[found[1]]}"
        )
