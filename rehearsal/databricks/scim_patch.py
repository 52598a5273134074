"""PATCH of the SCIM API: RFC 7644, section 3.5.2, for the attributes that the workspace has."""

import re
from typing import Any

from rehearsal.databricks.errors import ScimError
from rehearsal.store import Document

_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_PATH = re.compile(r'(\w+)(?:\[value eq "([^"]*)"\])?')
_LISTS = ("members", "entitlements", "roles", "emails")


def apply(document: Document, body: Document) -> Document:
    """The document after all operations of the request.

    Raises:
        ScimError: 400, the request isn't a patch, or an operation makes no sense.
    """
    operations = body.get("Operations")
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or _SCHEMA not in schemas or not isinstance(operations, list):
        raise ScimError(400, f"Request must have Operations and the schema {_SCHEMA}", "invalidSyntax")
    patched = dict(document)
    for operation in operations:
        if not isinstance(operation, dict):
            raise ScimError(400, "Every operation must be an object", "invalidSyntax")
        verb = str(operation.get("op", "")).lower()
        if verb not in ("add", "remove", "replace"):
            raise ScimError(400, f"Unknown operation: {operation.get('op')}", "invalidSyntax")
        if operation.get("path"):
            _one(patched, verb, str(operation["path"]), operation.get("value"))
        elif isinstance(operation.get("value"), dict) and verb != "remove":
            for name, value in operation["value"].items():
                _one(patched, verb, name, value)
        else:
            raise ScimError(400, "The operation needs a path", "noTarget")
    return patched


def _one(document: Document, verb: str, path: str, value: Any) -> None:
    found = _PATH.fullmatch(path)
    if found is None:
        raise ScimError(400, f"Unsupported path: {path}", "invalidPath")
    name, chosen = found.groups()
    if name not in _LISTS:
        if verb == "remove":
            document.pop(name, None)
        else:
            document[name] = value
        return
    before = document.get(name, [])
    if verb == "remove":
        gone = {chosen} if chosen is not None else {each["value"] for each in _values(value)}
        keep_none = chosen is None and value is None
        document[name] = [] if keep_none else [each for each in before if each["value"] not in gone]
    elif verb == "replace":
        document[name] = _values(value)
    else:
        document[name] = [*before, *_values(value)]


def _values(value: Any) -> list[Document]:
    given = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, dict) and "value" in each for each in given):
        raise ScimError(400, "Every value must be an object with a field value", "invalidValue")
    return given
