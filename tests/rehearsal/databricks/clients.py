"""Clients of the stand-in: the official SDK, and plain HTTP for what the SDK hides."""

import base64
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ImportFormat, Language

from rehearsal.databricks.users import USER_KEYS

CONTROL_TOKEN = "control-3f1c"
CREDENTIALS = {key: f"dapi-{key}-7b21" for key in USER_KEYS}

NOTEBOOK = b"# Databricks notebook source\nprint(1)\n"


class Workspace:
    """A running stand-in.

    Args:
        url: where it is.
        state: where it keeps what runs make.
        credentials: the users' tokens.
    """

    def __init__(self, url: str, state: Path = Path(), credentials: Mapping[str, str] = CREDENTIALS) -> None:
        self.url = url
        self._credentials = credentials
        self.state = state
        self._http = httpx.Client(base_url=url, timeout=20)
        self._sdks: dict[str, WorkspaceClient] = {}

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()
        for sdk in self._sdks.values():
            # The SDK never closes its connections itself.
            sdk.api_client._api_client._session.close()

    def sdk(self, user: str = "administrator") -> WorkspaceClient:
        """The official client, signed in as this user."""
        if user not in self._sdks:
            self._sdks[user] = WorkspaceClient(host=self.url, token=self._credentials[user], auth_type="pat")
        return self._sdks[user]

    def call(self, method: str, path: str, *, user: str = "administrator", **options: Any) -> httpx.Response:
        """A plain request below `/api/`, signed in as this user."""
        headers = {"Authorization": f"Bearer {self._credentials[user]}"} | options.pop("headers", {})
        return self._http.request(method, f"/api/{path}", headers=headers, **options)

    def plain(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request without anything added."""
        return self._http.request(method, path, **options)

    def control(self, method: str, what: str, **options: Any) -> httpx.Response:
        """A request to a control endpoint."""
        headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
        return self._http.request(method, f"/_rehearsal/{what}", headers=headers, **options).raise_for_status()

    def notebook(self, path: str, content: bytes = NOTEBOOK, *, user: str = "administrator") -> str:
        """Imports a Python notebook over what is there; returns its id."""
        workspace = self.sdk(user).workspace
        encoded = base64.b64encode(content).decode()
        workspace.import_(path, content=encoded, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True)
        return self.object_id(path)

    def folder(self, path: str) -> str:
        """Makes a folder; returns its id."""
        self.sdk().workspace.mkdirs(path)
        return self.object_id(path)

    def object_id(self, path: str) -> str:
        """The id of the object at a path."""
        return str(self.sdk().workspace.get_status(path).object_id)
