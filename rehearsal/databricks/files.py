"""Files in volumes. docs.databricks.com/api/workspace/files.

The stand-in knows no Unity Catalog: whoever may use the workspace may use every volume, and one that isn't there is
made by the first write to it, as the runs' own `dbutils.fs` and Spark do. The presigned URLs that newer clients ask for
first don't exist here; they then use these endpoints.
"""

import os
import re
import secrets
from email.utils import formatdate
from pathlib import Path, PurePosixPath

from starlette.responses import FileResponse, Response

from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ApiError, invalid
from rehearsal.store import Document

_MAX_PAGE = 1000  # entries, documented with `list`
_VOLUME = re.compile(r"/Volumes/[^/]+/[^/]+/[^/]+(/.*)?")


def read(call: Call) -> Response:
    file = _file(call)
    if not file.is_file():
        raise _missing(call)
    # It answers requests for a part, too.
    return FileResponse(file, media_type="application/octet-stream", stat_result=file.stat())


def write(call: Call) -> Response:
    file = _file(call)
    if file.is_dir():
        raise ApiError(409, "ALREADY_EXISTS", f"The path {_path(call)} is a directory.")
    if file.exists() and not call.flag("overwrite"):
        raise ApiError(409, "ALREADY_EXISTS", f"The file being created already exists: {_path(call)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name[:100]}.{secrets.token_hex(4)}")
    fresh.write_bytes(call.raw or b"")
    fresh.replace(file)
    return Response(status_code=204)


def remove(call: Call) -> Response:
    file = _file(call)
    if not file.is_file():
        raise _missing(call)
    file.unlink()
    return Response(status_code=204)


def make_directory(call: Call) -> Response:
    folder = _file(call)
    if folder.is_file():
        raise ApiError(409, "ALREADY_EXISTS", f"The path {_path(call)} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    return Response(status_code=204)


def list_directory(call: Call) -> Document:
    folder = _file(call)
    if not folder.is_dir():
        raise _missing(call)
    size = min(call.number("page_size", default=_MAX_PAGE) or _MAX_PAGE, _MAX_PAGE)
    first = call.number("page_token", default=0)
    found = sorted(os.scandir(folder), key=lambda each: each.name)
    contents = []
    for each in found[first : first + size]:
        kept = each.stat()
        entry: Document = {
            "path": f"{_path(call).rstrip('/')}/{each.name}",
            "name": each.name,
            "is_directory": each.is_dir(),
            "last_modified": int(kept.st_mtime * 1000),
        }
        contents.append(entry if each.is_dir() else entry | {"file_size": kept.st_size})
    answer: Document = {"contents": contents} if contents else {}
    if first + size < len(found):
        answer["next_page_token"] = str(first + size)
    return answer


def remove_directory(call: Call) -> Response:
    folder = _file(call)
    if not folder.is_dir():
        raise _missing(call)
    if any(folder.iterdir()):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"The directory being deleted is not empty: {_path(call)}")
    folder.rmdir()
    return Response(status_code=204, headers={"date": formatdate(usegmt=True)})


def _path(call: Call) -> str:
    return "/" + call.path["path"].lstrip("/")


def _file(call: Call) -> Path:
    """Where the path is below the folder of the volumes.

    Raises:
        ApiError: 400, it is no path in a volume.
    """
    path = _path(call)
    names = PurePosixPath(path).parts[2:]
    if not _VOLUME.fullmatch(path) or ".." in names or "\0" in path:
        raise invalid(f"Invalid path: {path}; it must be /Volumes/CATALOG/SCHEMA/VOLUME/...")
    root = call.compute.data / "volumes"
    file = root.joinpath(*names)
    # A link that a notebook made must not lead out of the volumes.
    if not file.resolve().is_relative_to(root.resolve()):
        raise invalid(f"Invalid path: {path}")
    return file


def _missing(call: Call) -> ApiError:
    return ApiError(404, "NOT_FOUND", f"The path being accessed does not exist: {_path(call)}")


_FILES, _DIRECTORIES = "/api/2.0/fs/files/{path:path}", "/api/2.0/fs/directories/{path:path}"
ENDPOINTS = (  # GET answers HEAD, too
    Endpoint("GET", _FILES, read),
    Endpoint("PUT", _FILES, write),
    Endpoint("DELETE", _FILES, remove),
    Endpoint("GET", _DIRECTORIES, list_directory),
    Endpoint("PUT", _DIRECTORIES, make_directory),
    Endpoint("DELETE", _DIRECTORIES, remove_directory),
)
