"""`dbutils.secrets`, from the workspace's API. docs.databricks.com/security/secrets."""

import base64
import builtins
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

from rehearsal.compute.notebook.dbutils.base import Utility
from rehearsal.compute.notebook.errors import SecretError
from rehearsal.compute.notebook.redaction import Redactor


class SecretMetadata(NamedTuple):
    """A secret, without its value."""

    key: str


class SecretScope(NamedTuple):
    """A scope."""

    name: str

    def getName(self) -> str:  # noqa: N802 - Databricks' name
        return self.name


class Secrets(Utility):
    """Utilities for leveraging secrets within notebooks.

    Every value that is read is redacted in what the run leaves.
    """

    _name = "dbutils.secrets"

    def __init__(self, host: str, token: str, redactor: Redactor) -> None:
        self._host = host
        self._token = token
        self._redactor = redactor

    def get(self, scope: str, key: str) -> str:
        """Gets the string representation of a secret value for the specified secrets scope and key.

        Raises:
            SecretError: no such secret, or no right to read it.
        """
        return self.getBytes(scope, key).decode()

    def getBytes(self, scope: str, key: str) -> bytes:  # noqa: N802 - Databricks' name
        """Gets the bytes representation of a secret value for the specified scope and key."""
        value = base64.b64decode(self._call("get", scope=scope, key=key)["value"])
        self._redactor.add(value.decode(errors="surrogateescape"))
        return value

    def list(self, scope: str) -> "builtins.list[SecretMetadata]":
        """Lists the metadata for secrets within the specified scope."""
        return [SecretMetadata(each["key"]) for each in self._call("list", scope=scope).get("secrets", [])]

    def listScopes(self) -> "builtins.list[SecretScope]":  # noqa: N802 - Databricks' name
        """Lists the available scopes."""
        return [SecretScope(each["name"]) for each in self._call("scopes/list").get("scopes", [])]

    def _call(self, name: str, **query: str) -> Any:
        if not self._host or not self._token:
            raise SecretError("this run has no workspace to read secrets from")
        address = f"{self._host}/api/2.0/secrets/{name}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(  # noqa: S310 - the address is the run's own setting
            address, headers={"Authorization": f"Bearer {self._token}"}
        )
        # No proxy of the user's comes in between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise SecretError(_message(error)) from None
        except urllib.error.URLError as error:
            raise SecretError(f"the workspace at {self._host} does not answer: {error.reason}") from None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"the workspace answers {error.code}"
