"""Secret scopes, secrets and who may read them.

docs.databricks.com/api/workspace/secrets. Administrators manage every scope; whoever makes one manages it.
"""

import base64
import re
import time

from rehearsal.databricks import principals
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ApiError, denied, exists, invalid, missing
from rehearsal.databricks.principals import Principal
from rehearsal.store import Document

_LEVELS = {"READ": 1, "WRITE": 2, "MANAGE": 3}
_NAME = re.compile(r"[\w.@/-]{1,128}", re.ASCII)
_MAX_SCOPES = 1000
_MAX_SECRETS = 1000  # in a scope
_MAX_VALUE = 128 * 1024  # bytes


def create_scope(call: Call) -> Document:
    name = call.text("scope", default="")
    if not name or len(name) > 128:
        raise invalid("Scope name must be non-empty and at most 128 characters!")
    if not _NAME.fullmatch(name):
        raise invalid(f"Scope name {name} may only contain alphanumeric characters, -, _, @, / and .")
    if call.text("scope_backend_type", default="DATABRICKS") != "DATABRICKS":
        raise invalid("The rehearsal has no scopes that are backed by Azure Key Vault")
    if call.store.get("scope", name) is not None:
        raise exists(f"Scope {name} already exists!")  # github.com/databricks/databricks-cli/issues/340
    if len(call.store.all("scope")) >= _MAX_SCOPES:
        raise ApiError(400, "RESOURCE_LIMIT_EXCEEDED", f"The limit of {_MAX_SCOPES} scopes is reached")
    manager = call.text("initial_manage_principal", default="")
    if manager not in ("", "users"):
        raise invalid("Only 'users' is allowed as initial_manage_principal")
    who = Principal("group_name", "users") if manager else call.caller.principal
    acl = [{"field": who.field, "name": who.name, "level": "MANAGE"}]
    call.store.put("scope", name, {"name": name, "acl": acl})
    return {}


def list_scopes(call: Call) -> Document:
    scopes = [{"name": each["name"], "backend_type": "DATABRICKS"} for each in call.store.all("scope")]
    return {"scopes": scopes} if scopes else {}


def delete_scope(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    for key, _ in call.store.items("secret", _prefix(scope)):
        call.store.delete("secret", key)
    call.store.delete("scope", scope["name"])
    return {}


def put_secret(call: Call) -> Document:
    scope = _scope(call, "WRITE")
    key = call.text("key")
    if not _NAME.fullmatch(key):
        raise invalid(f"Secret key {key} may only contain alphanumeric characters, -, _, @, / and .")
    given = [name for name in ("string_value", "bytes_value") if call.body.get(name) is not None]
    if len(given) != 1:
        raise invalid("Exactly one of string_value and bytes_value must be given")
    value = call.text(given[0], default="")
    encoded = value if given == ["bytes_value"] else base64.b64encode(value.encode()).decode()
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise invalid("bytes_value is not valid base64") from None
    if size > _MAX_VALUE:
        raise invalid(f"The secret value exceeds the limit of {_MAX_VALUE} bytes")
    kept = dict(call.store.items("secret", _prefix(scope)))
    if _prefix(scope) + key not in kept and len(kept) >= _MAX_SECRETS:
        raise ApiError(400, "RESOURCE_LIMIT_EXCEEDED", f"The limit of {_MAX_SECRETS} secrets in a scope is reached")
    secret = {"key": key, "value": encoded, "last_updated_timestamp": time.time_ns() // 1_000_000}
    call.store.put("secret", _prefix(scope) + key, secret)
    return {}


def get_secret(call: Call) -> Document:
    secret = _secret(call, _scope(call, "READ"))
    return {"key": secret["key"], "value": secret["value"]}


def list_secrets(call: Call) -> Document:
    scope = _scope(call, "READ")
    names = ("key", "last_updated_timestamp")
    found = [{name: each[name] for name in names} for each in call.store.all("secret", _prefix(scope))]
    return {"secrets": found} if found else {}


def delete_secret(call: Call) -> Document:
    scope = _scope(call, "WRITE")
    call.store.delete("secret", _prefix(scope) + _secret(call, scope)["key"])
    return {}


def put_acl(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    level = call.text("permission")
    if level not in _LEVELS:
        raise invalid(f"Unknown permission: {level}; allowed: {', '.join(_LEVELS)}")
    who = _principal(call)
    entry = {"field": who.field, "name": who.name, "level": level}
    _keep_acl(call, scope, [*_others(scope, who), entry])
    return {}


def get_acl(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    return _shown(_entry(call, scope))


def list_acls(call: Call) -> Document:
    items = [_shown(each) for each in _scope(call, "MANAGE")["acl"]]
    return {"items": items} if items else {}


def delete_acl(call: Call) -> Document:
    scope = _scope(call, "MANAGE")
    entry = _entry(call, scope)
    _keep_acl(call, scope, [each for each in scope["acl"] if each is not entry])
    return {}


def _scope(call: Call, wanted: str) -> Document:
    """The scope that the request names, if the caller has this level on it."""
    name = call.text("scope")
    scope = call.store.get("scope", name)
    if scope is None:
        raise missing(f"Scope {name} does not exist!")
    mine = (_LEVELS[each["level"]] for each in scope["acl"] if _who(each) in call.caller.principals)
    if not call.caller.is_admin and max(mine, default=0) < _LEVELS[wanted]:
        raise denied(f"User {call.caller.name} does not have {wanted} permission on scope {name}")
    return scope


def _secret(call: Call, scope: Document) -> Document:
    key = call.text("key")
    secret = call.store.get("secret", _prefix(scope) + key)
    if secret is None:
        raise missing(f"Secret does not exist with scope: {scope['name']} and key: {key}")
    return secret


def _principal(call: Call) -> Principal:
    """A user, a group or the application id of a service principal; the request doesn't say which."""
    name = call.text("principal")
    for kind, field in principals.FIELDS.items():
        found = principals.find(call.store, kind, name)
        if found is not None:
            return Principal(field, principals.name_of(kind, found))
    raise missing(f"User or Group {name} does not exist.")


def _entry(call: Call, scope: Document) -> Document:
    name = call.text("principal")
    entry: Document | None = next((each for each in scope["acl"] if each["name"] == name), None)
    if entry is None:
        raise missing(f"Failed to get secret acl for principal {name} for scope {scope['name']}.")
    return entry


def _others(scope: Document, who: Principal) -> list[Document]:
    return [each for each in scope["acl"] if _who(each) != who]


def _keep_acl(call: Call, scope: Document, acl: list[Document]) -> None:
    call.store.put("scope", scope["name"], scope | {"acl": acl})


def _who(entry: Document) -> Principal:
    return Principal(entry["field"], entry["name"])


def _shown(entry: Document) -> Document:
    return {"principal": entry["name"], "permission": entry["level"]}


def _prefix(scope: Document) -> str:
    # No scope's name has a line break in it, so none is the beginning of another's.
    return f"{scope['name']}\n"


_BASE = "/api/2.0/secrets"
ENDPOINTS = (
    Endpoint("POST", f"{_BASE}/scopes/create", create_scope),
    Endpoint("GET", f"{_BASE}/scopes/list", list_scopes),
    Endpoint("POST", f"{_BASE}/scopes/delete", delete_scope),
    Endpoint("POST", f"{_BASE}/put", put_secret),
    Endpoint("GET", f"{_BASE}/get", get_secret),
    Endpoint("GET", f"{_BASE}/list", list_secrets),
    Endpoint("POST", f"{_BASE}/delete", delete_secret),
    Endpoint("POST", f"{_BASE}/acls/put", put_acl),
    Endpoint("GET", f"{_BASE}/acls/get", get_acl),
    Endpoint("GET", f"{_BASE}/acls/list", list_acls),
    Endpoint("POST", f"{_BASE}/acls/delete", delete_acl),
)
