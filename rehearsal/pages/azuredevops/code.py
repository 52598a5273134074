"""Repositories: folders, files, commits and branches."""

import functools
import re
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.responses import RedirectResponse, Response

from rehearsal.azuredevops.context import ORGANIZATION
from rehearsal.azuredevops.git_store import Git
from rehearsal.pages import diffs, notebooks
from rehearsal.pages.api import Refused
from rehearsal.pages.azuredevops.addresses import REPOSITORY, Document, api, page
from rehearsal.pages.site import HEADERS, Page, Place, View, Visit

_VERSIONS = {"GB": "branch", "GC": "commit", "GT": "tag"}
_MAX_SHOWN = 1024 * 1024  # bytes of a file
_COMMITS = 50
_PICTURES = {".png": "image/png", ".gif": "image/gif", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


async def opened(visit: Visit) -> Document:
    """What every page of a repository shows of it.

    Raises:
        Refused: there is none, or this person may not read it.
    """
    project, name = visit.route["project"], visit.route["repository"]
    found = await visit.api.get(api(project, "git", "repositories", name))
    return {"project": found["project"]["name"], "repository": found, "name": found["name"]}


def rest(content: Document, *segments: object) -> str:
    """The path of a part of the REST interface that belongs to this repository."""
    return api(content["project"], "git", "repositories", content["repository"]["id"], *segments)


def git_of(repositories: Path, repository: Document) -> Git:
    """The repository on disk. Whoever calls this has had `repository` from the REST interface, so may read it."""
    return Git(repositories / f"{repository['id']}.git")


def _version(visit: Visit, content: Document) -> tuple[str, dict[str, str]]:
    """The version as the page's address has it, and as the REST interface wants it."""
    given = visit.query.get("version") or visit.query.get("itemVersion") or ""
    if given[:2] not in _VERSIONS:
        given = "GB" + content["repository"].get("defaultBranch", "refs/heads/main").removeprefix("refs/heads/")
    return given, {"versionDescriptor.version": given[2:], "versionDescriptor.versionType": _VERSIONS[given[:2]]}


async def _branches(visit: Visit, content: Document) -> list[str]:
    found = await visit.api.get(rest(content, "refs"), filter="heads/")
    return [each["name"].removeprefix("refs/heads/") for each in found]


async def _files(visit: Visit) -> Page | Response:
    content = await opened(visit)
    branches = await _branches(visit, content)
    if not branches:
        return Page("azuredevops/empty.html.j2", content)
    version, wanted = _version(visit, content)
    path = "/" + visit.query.get("path", "").strip("/")
    listed = await visit.api.get(rest(content, "items"), scopePath=path, recursionLevel="oneLevel", **wanted)
    content |= {"version": version, "branches": branches, "at": path, "crumbs": _crumbs(path)}
    if listed[0].get("isFolder"):
        return await _folder(visit, content, listed[1:], wanted)
    return await _file(visit, content, listed[0], wanted)


def _crumbs(path: str) -> list[tuple[str, str]]:
    parts = [part for part in path.split("/") if part]
    return [(part, "/" + "/".join(parts[: number + 1])) for number, part in enumerate(parts)]


async def _folder(visit: Visit, content: Document, listed: list[Document], wanted: dict[str, str]) -> Page:
    ids = list(dict.fromkeys(each["commitId"] for each in listed))
    commits = await visit.api.gather(*(visit.api.get(rest(content, "commits", id_)) for id_ in ids))
    by_id = dict(zip(ids, commits, strict=True))
    entries = [
        each | {"name": PurePosixPath(each["path"]).name, "commit": by_id[each["commitId"]]}
        for each in sorted(listed, key=lambda each: (not each.get("isFolder"), each["path"].casefold()))
    ]
    readme = next((each for each in entries if each["name"].casefold() == "readme.md"), None)
    text = None
    if readme:
        text = (await visit.api.bytes(rest(content, "items"), path=readme["path"], **wanted)).decode(errors="replace")
    return Page("azuredevops/folder.html.j2", content | {"entries": entries, "readme": text})


async def _file(visit: Visit, content: Document, item: Document, wanted: dict[str, str]) -> Page | Response:
    path = content["at"]
    data = await visit.api.bytes(rest(content, "items"), path=path, **wanted)
    if visit.query.get("raw"):
        return _raw(path, data)
    commit = await visit.api.get(rest(content, "commits", item["commitId"]))
    binary = b"\0" in data[:8000]
    text = "" if binary or len(data) > _MAX_SHOWN else data.decode(errors="replace")
    plain = visit.query.get("plain")
    cells = None if plain or not text else notebooks.of_file(path, data)
    markdown = not plain and path.lower().endswith(".md")
    content |= {
        "commit": commit,
        "size": len(data),
        "text": text,
        "binary": binary,
        "picture": PurePosixPath(path).suffix.lower() in _PICTURES,
        "cells": cells,
        "markdown": markdown,
        "plain": bool(plain),
        "has_other": markdown or cells is not None or bool(plain),
    }
    return Page("azuredevops/file.html.j2", content)


def _raw(path: str, data: bytes) -> Response:
    """The file as it is, which a browser must not take for a page of this service."""
    picture = _PICTURES.get(PurePosixPath(path).suffix.lower())
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(path).name)
    kept = {} if picture else {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, headers=HEADERS | kept, media_type=picture or "application/octet-stream")


async def _commits(visit: Visit) -> Page:
    content = await opened(visit)
    branches = await _branches(visit, content)
    version, wanted = _version(visit, content)
    skip = int(visit.query.get("skip", "0")) if visit.query.get("skip", "0").isdigit() else 0
    query: dict[str, Any] = {
        "searchCriteria.itemVersion.version": wanted["versionDescriptor.version"],
        "searchCriteria.itemVersion.versionType": wanted["versionDescriptor.versionType"],
        "searchCriteria.$top": _COMMITS + 1,
        "searchCriteria.$skip": skip,
    }
    found = await visit.api.get(rest(content, "commits"), **query) if branches else []
    content |= {
        "branches": branches,
        "version": version,
        "commits": found[:_COMMITS],
        "newer": max(skip - _COMMITS, 0) if skip else None,
        "older": skip + _COMMITS if len(found) > _COMMITS else None,
    }
    return Page("azuredevops/commits.html.j2", content)


async def _commit(visit: Visit, repositories: Path) -> Page:
    content = await opened(visit)
    commit = await visit.api.get(rest(content, "commits", visit.route["commit"]))
    here = git_of(repositories, content["repository"])
    only = visit.query.get("path")
    parent = commit["parents"][0] if commit["parents"] else None
    files = diffs.between(here, parent, commit["commitId"], only)
    return Page("azuredevops/commit.html.j2", content | {"commit": commit, "files": files, "only": only})


async def _branch_list(visit: Visit) -> Page:
    content = await opened(visit)
    found = await visit.api.get(rest(content, "stats", "branches")) if "defaultBranch" in content["repository"] else []
    return Page("azuredevops/branches.html.j2", content | {"found": found})


async def _without_project(visit: Visit) -> Response:
    """The repository that is named like its project, as the service's own short addresses have it."""
    name = visit.route["repository"]
    return RedirectResponse(page(name, "_git", name), 303)


async def _list(visit: Visit) -> Response:
    """The project's first repository: the newest rehearsal has one alone."""
    found = await visit.api.get(api(visit.route["project"], "git", "repositories"))
    if not found:
        raise Refused(404, "There is no repository that you may read.")
    return RedirectResponse(page(found[0]["project"]["name"], "_git", found[0]["name"]), 303)


def places(repositories: Path) -> list[Place]:
    """The pages."""
    commit: View = functools.partial(_commit, repositories=repositories)
    project = REPOSITORY.partition("/_git/")[0]
    return [
        Place(f"{REPOSITORY}/?", _files),
        Place(f"{REPOSITORY}/commits", _commits),
        Place(rf"{REPOSITORY}/commit/(?P<commit>[0-9a-fA-F]{{7,40}})", commit),
        Place(f"{REPOSITORY}/branches", _branch_list),
        Place(rf"/{ORGANIZATION}/_git/(?P<repository>[^/]+)", _without_project),
        Place(f"{project}/_git/?", _list),
    ]
