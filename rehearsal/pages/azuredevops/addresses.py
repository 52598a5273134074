"""Where the pages and the parts of the REST interface stand, for the pages of Azure DevOps."""

import base64
from typing import Any, TypeAlias
from urllib.parse import urlencode

from rehearsal.azuredevops.context import ORGANIZATION
from rehearsal.pages.api import path

Document: TypeAlias = dict[str, Any]

PROJECT = rf"/{ORGANIZATION}/(?P<project>[^/_][^/]*)"
REPOSITORY = rf"{PROJECT}/_git/(?P<repository>[^/]+)"


def basic(token: str) -> str:
    """The header of a personal access token."""
    return "Basic " + base64.b64encode(f":{token}".encode()).decode()


def page(*segments: object, **query: object) -> str:
    """The address of a page below the organisation."""
    where = path(ORGANIZATION, *segments)
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{where}?{urlencode(kept)}" if kept else where


def api(project: str | None, *segments: object) -> str:
    """The path of a part of the REST interface."""
    return path(ORGANIZATION, *([project] if project else []), "_apis", *segments)
