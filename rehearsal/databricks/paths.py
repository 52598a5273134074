"""Paths of workspace objects."""

from rehearsal.databricks.errors import invalid

_MAX_NAME = 255  # bytes; docs.databricks.com/repos/supported-artifact-types says so of files and folders


def normal(path: str) -> str:
    """The path as the service keeps it: without the alias `/Workspace` and without a slash at the end.

    Names that differ in case are different names here; whether they are for the service is not known.

    Raises:
        ApiError: 400, no object can have this path. That a name may not be `.` or `..`, be empty or hold control
            characters is documented nowhere; no client gets such a thing created.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise invalid("The path is not valid Unicode") from None
    if not path.startswith("/"):
        raise invalid(f"Path ({path}) doesn't start with '/'")
    names = path[1:].rstrip("/").split("/") if path.strip("/") else []
    if names and names[0] == "Workspace":
        names = names[1:]
    for name in names:
        if not name or name in (".", "..") or any(ord(character) < 32 or ord(character) == 127 for character in name):
            raise invalid(f"Path ({path}) contains an invalid name '{name}'")
        if len(name.encode()) > _MAX_NAME:
            raise invalid(f"Path ({path}) contains a name that is longer than {_MAX_NAME} bytes")
    return "/" + "/".join(names)


def parent(path: str) -> str:
    """The folder in which it stands; the root's is the root."""
    return path.rpartition("/")[0] or "/"


def ancestors(path: str) -> list[str]:
    """The path and the folders above it, from the object up to the root."""
    found = [path]
    while path != "/":
        path = parent(path)
        found.append(path)
    return found
