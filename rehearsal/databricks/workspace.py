"""Workspace objects: folders, notebooks and files.

docs.databricks.com/api/workspace/workspace.
"""

import base64
import binascii
from typing import get_args

from starlette.responses import Response

from rehearsal.databricks import formats, paths, tree
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ApiError, exists, invalid, missing
from rehearsal.databricks.formats import Content
from rehearsal.databricks.tree import Level
from rehearsal.store import Document

_MAX_IMPORT = 10 * 1024 * 1024  # bytes, documented with `import` and `export`
_MAX_FILE = 500 * 1024 * 1024  # bytes, docs.databricks.com/files/workspace


def _path(call: Call) -> str:
    return paths.normal(call.text("path"))


def _info(document: Document) -> Document:
    """An object as `list` and `get-status` show it."""
    shown = ["object_type", "path", "object_id", "language", "size"]
    if document["object_type"] != "DIRECTORY":
        shown += ["created_at", "modified_at"]
    info = {name: document[name] for name in shown if name in document}
    return info | {"resource_id": str(document["object_id"])}


def get_status(call: Call) -> Document:
    path = _path(call)
    document = tree.need(call.store, path)
    if not tree.visible(call.store, call.caller, path):
        tree.check(call.store, call.caller, path, Level.CAN_READ)
    info = _info(document)
    if call.flag("return_export_info") and document["object_type"] == "NOTEBOOK":
        # The Databricks CLI asks for it, to know which extension a notebook gets on disk.
        info["repos_export_format"] = document["format"]
    return info


def list_objects(call: Call) -> Document:
    path = _path(call)
    document = tree.need(call.store, path)
    since = call.number("notebooks_modified_after", default=0)
    if not tree.visible(call.store, call.caller, path):
        tree.check(call.store, call.caller, path, Level.CAN_READ)
    found = tree.children(call.store, path) if document["object_type"] == "DIRECTORY" else iter([document])
    objects = [
        _info(each)
        for each in found
        if tree.visible(call.store, call.caller, each["path"])
        and not (each["object_type"] == "NOTEBOOK" and each["modified_at"] < since)
    ]
    return {"objects": objects} if objects else {}


def mkdirs(call: Call) -> Document:
    tree.make_folders(call.store, call.caller, _path(call))
    return {}


def delete(call: Call) -> Document:
    path = _path(call)
    tree.need(call.store, path)
    tree.check_removal(call.store, call.caller, path)
    if not call.flag("recursive") and next(tree.children(call.store, path), None):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
    tree.remove(call.store, path)
    return {}


def import_object(call: Call) -> Document:
    path = _path(call)
    form = call.text("format", default="SOURCE")
    if form not in get_args(formats.ImportFormat):
        raise invalid(f"Unknown format: {form}")
    language = call.text("language", default="") or None
    overwrite = call.flag("overwrite")
    data = _content(call)
    if len(data) > _MAX_IMPORT:
        raise ApiError(
            400,
            "MAX_NOTEBOOK_SIZE_EXCEEDED",
            f"File size imported is ({len(data)} bytes), exceeded max size ({_MAX_IMPORT} bytes)",
        )
    _keep(call, formats.read(path, form, language, data), overwrite=overwrite)
    return {}


def _content(call: Call) -> bytes:
    """The file of a form as it is, or the base64 text in a JSON document."""
    if call.raw is not None:
        return call.raw
    try:
        return base64.b64decode(call.text("content", default=""), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The content is not valid base64") from None


def _keep(call: Call, content: Content, *, overwrite: bool) -> None:
    """Puts what was read into the tree."""
    path = content.path
    folder = tree.get(call.store, paths.parent(path))
    if folder is None or folder["object_type"] != "DIRECTORY":
        # The provider knows the case by these words and makes the folder itself.
        raise missing(f"The parent folder ({paths.parent(path)}) does not exist.")
    fields: Document = {"format": content.format, "size": None, "language": content.language}
    fields["size"] = len(content.data) if content.kind == "FILE" else None
    fields = {name: value for name, value in fields.items() if value is not None}
    existing = tree.get(call.store, path)
    if existing is None:
        tree.check_creation(call.store, call.caller, folder["path"])
        document = tree.create(call.store, path, content.kind, **fields)
    else:
        if not overwrite:
            raise exists(f"Path ({path}) already exists.")
        if existing["object_type"] != content.kind:
            raise invalid(
                f"Cannot overwrite the asset at {path} due to type mismatch "
                f"(asked: {content.kind}, actual: {existing['object_type']})"
            )
        tree.check(call.store, call.caller, path, Level.CAN_EDIT)
        document = tree.change(call.store, existing, **fields)
    call.store.put_bytes("content", str(document["object_id"]), content.data)


def export(call: Call) -> Document | Response:
    path = _path(call)
    form = call.text("format", default="SOURCE")
    if form not in get_args(formats.ExportFormat):
        raise invalid(f"Unknown format: {form}")
    document = tree.need(call.store, path)
    tree.check(call.store, call.caller, path, Level.CAN_READ)
    if document["object_type"] == "DIRECTORY":
        # The service exports folders as DBC, SOURCE and AUTO archives; the stand-in doesn't.
        raise invalid(f"Path ({path}) is a directory; the rehearsal exports single objects only")
    data = call.store.get_bytes("content", str(document["object_id"])) or b""
    exported, extension = formats.write(document, form, data)
    if call.flag("direct_download"):
        return Response(exported, media_type="application/octet-stream")
    if len(exported) > _MAX_IMPORT:
        raise ApiError(
            400,
            "MAX_NOTEBOOK_SIZE_EXCEEDED",
            f"File size exported is ({len(exported)} bytes), exceeded max size ({_MAX_IMPORT} bytes)",
        )
    return {"content": base64.b64encode(exported).decode(), "file_type": extension}


def import_file(call: Call) -> Document:
    """What the Databricks CLI and its bundles send: the bytes alone, the path in the address, AUTO."""
    path = paths.normal("/" + call.path["path"].lstrip("/"))
    data = call.raw or b""
    if len(data) > _MAX_FILE:
        raise ApiError(400, "MAX_FILE_SIZE_EXCEEDED", f"File size exceeded max size ({_MAX_FILE} bytes)")
    content = formats.read(path, "AUTO", None, data)
    existing = tree.get(call.store, content.path)
    if existing is not None and existing["object_type"] == "FILE" and not call.flag("overwrite"):
        # 409 for a file and 400 for a notebook: the CLI's filer tells them apart so.
        raise ApiError(409, "ALREADY_EXISTS", f"Path ({content.path}) already exists.")
    _keep(call, content, overwrite=call.flag("overwrite"))
    return {}


def read_file(call: Call) -> Response:
    path = paths.normal("/" + call.path["path"].lstrip("/"))
    document = tree.need(call.store, path)
    tree.check(call.store, call.caller, path, Level.CAN_READ)
    if document["object_type"] != "FILE":
        raise invalid(f"Path ({path}) is not a file")
    data = call.store.get_bytes("content", str(document["object_id"])) or b""
    return Response(data, media_type="application/octet-stream")


ENDPOINTS = (
    Endpoint("GET", "/api/2.0/workspace/get-status", get_status),
    Endpoint("POST", "/api/2.0/workspace/import", import_object),
    Endpoint("GET", "/api/2.0/workspace/export", export),
    Endpoint("GET", "/api/2.0/workspace/list", list_objects),
    Endpoint("POST", "/api/2.0/workspace/mkdirs", mkdirs),
    Endpoint("POST", "/api/2.0/workspace/delete", delete),
    Endpoint("POST", "/api/2.0/workspace-files/import-file/{path:path}", import_file),
    Endpoint("GET", "/api/2.0/workspace-files/{path:path}", read_file),
)
