"""The tree of the workspace: folders, files, and notebooks by their cells; who may do what; and an edit by hand."""

import base64
import re
from typing import Any, cast

from starlette.responses import RedirectResponse, Response

from rehearsal.databricks.cells import Language
from rehearsal.pages import notebooks
from rehearsal.pages.api import Refused
from rehearsal.pages.site import HEADERS, Done, Page, Place, Visit

API = "/api/2.0"
_KINDS = {"DIRECTORY": "directories", "NOTEBOOK": "notebooks", "FILE": "files"}
_EXTENSIONS = {"PYTHON": ".py", "SQL": ".sql", "SCALA": ".scala", "R": ".r"}
_MAX_SHOWN = 1024 * 1024  # bytes


async def _root(_: Visit) -> Response:
    return RedirectResponse("/browse/", 303)


def _path(visit: Visit) -> str:
    return "/" + visit.route["path"].strip("/")


async def _browse(visit: Visit) -> Page | Response:
    path = _path(visit)
    status = await visit.api.get(f"{API}/workspace/get-status", path=path, return_export_info=True)
    kind = status["object_type"]
    parts = [part for part in path.split("/") if part]
    crumbs = [(part, "/" + "/".join(parts[: number + 1])) for number, part in enumerate(parts)]
    content: dict[str, Any] = {"at": path, "status": status, "crumbs": crumbs, "may": await _access(visit, status)}
    if kind == "DIRECTORY":
        listed = (await visit.api.get(f"{API}/workspace/list", path=path)).get("objects", [])
        order = {"DIRECTORY": 0}
        listed.sort(key=lambda each: (order.get(each["object_type"], 1), each["path"].casefold()))
        return Page("databricks/folder.html.j2", content | {"listed": listed})
    data = await _content(visit, status)
    if visit.query.get("raw"):
        name = re.sub(r"[^\w.-]", "_", parts[-1] + _extension(status))
        kept = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, headers=HEADERS | kept, media_type="application/octet-stream")
    name = path + _extension(status)
    binary = b"\0" in data[:8000] or len(data) > _MAX_SHOWN
    content |= {
        "size": len(data),
        "binary": binary,
        "text": "" if binary else data.decode(errors="replace"),
        "cells": _cells(status, data) if kind == "NOTEBOOK" else None,
        "name": name,
        "edit": bool(visit.query.get("edit")) and not binary,
        "draft": visit.form.get("text"),
    }
    return Page("databricks/object.html.j2", content)


def _extension(status: dict[str, Any]) -> str:
    if status["object_type"] != "NOTEBOOK":
        return ""
    return ".ipynb" if status.get("repos_export_format") == "JUPYTER" else _EXTENSIONS[status["language"]]


def _cells(status: dict[str, Any], data: bytes) -> list[notebooks.Cell] | None:
    if status.get("repos_export_format") == "JUPYTER":
        return notebooks.of_file("/notebook.ipynb", data)
    return notebooks.of_source(data, cast(Language, status["language"]))


async def _content(visit: Visit, status: dict[str, Any]) -> bytes:
    if status["object_type"] == "FILE":
        return await visit.api.bytes(
            f"{API}/workspace/export", path=status["path"], direct_download=True, format="AUTO"
        )
    form = status.get("repos_export_format", "SOURCE")
    return await visit.api.bytes(f"{API}/workspace/export", path=status["path"], direct_download=True, format=form)


async def _access(visit: Visit, status: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Who may do what, where this person may see it."""
    where = f"{API}/permissions/{_KINDS[status['object_type']]}/{status['object_id']}"
    try:
        found = await visit.api.get(where)
    except Refused:
        return None
    return [
        {
            "name": entry.get("display_name")
            or entry.get("user_name")
            or entry.get("group_name")
            or entry.get("service_principal_name"),
            "level": permission["permission_level"],
            "inherited": permission.get("inherited", False),
        }
        for entry in found["access_control_list"]
        for permission in entry["all_permissions"]
    ]


async def _save(visit: Visit) -> Done:
    """Writes what somebody typed in place of what is there, as the workspace's own editor does."""
    path = _path(visit)
    status = await visit.api.get(f"{API}/workspace/get-status", path=path, return_export_info=True)
    body: dict[str, Any] = {
        "path": path,
        "overwrite": True,
        "content": base64.b64encode(visit.form.get("text", "").encode()).decode(),
    }
    if status["object_type"] == "NOTEBOOK":
        body |= {"format": status.get("repos_export_format", "SOURCE"), "language": status["language"]}
    else:
        body["format"] = "RAW"
    await visit.api.send("POST", f"{API}/workspace/import", body)
    return Done(visit.address(edit=None), "Saved.")


PLACES = [
    Place("/", _root),
    Place("/browse(?P<path>(?:/.*)?)", _browse, {"save": _save}),
]
