"""Where system notifications go. docs.databricks.com/api/workspace/notificationdestinations.

Of the kinds that the service has, the rehearsal knows the generic webhook and mail. An address of another machine
is accepted, so that the settings of a real workspace can be rehearsed; the sending to it is refused
by name (`notifications.check_url`), and the run's page shows that.
"""

from uuid import uuid4

from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import denied, invalid, missing
from rehearsal.store import Document

_TYPES = {"generic_webhook": "WEBHOOK", "email": "EMAIL"}
_HOOK = ("url", "username", "password")
_MAX_PAGE = 100


def create(call: Call) -> Document:
    _check_admin(call)
    number = str(uuid4())
    destination: Document = {"id": number, "display_name": call.text("display_name"), "config": _config(call)}
    call.store.put("destination", number, destination)
    return _shown(destination)


def get(call: Call) -> Document:
    destination = _destination(call)
    shown = _shown(destination)
    if not call.caller.is_admin:
        shown.pop("config")  # "Only returns for users with workspace admin permissions."
    return shown


def list_destinations(call: Call) -> Document:
    found = call.store.all("destination")
    first, size = call.number("page_token", default=0), call.number("page_size", default=_MAX_PAGE)
    if not 1 <= size <= _MAX_PAGE:
        raise invalid(f"Invalid page_size: {size}; it must be between 1 and {_MAX_PAGE}")
    results = []
    for each in found[first : first + size]:
        shown = _shown(each)
        shown.pop("config")
        results.append(shown)
    answer: Document = {"results": results} if results else {}
    if first + size < len(found):
        answer["next_page_token"] = str(first + size)
    return answer


def update(call: Call) -> Document:
    _check_admin(call)
    destination = _destination(call)
    if call.body.get("config") is not None:
        config = _config(call)
        if set(config) != set(destination["config"]):
            raise invalid("The type of the notification destination can not be changed once set.")
        if "generic_webhook" in config:  # what isn't given stays, so that a secret needn't be known to change another
            kept = destination["config"]["generic_webhook"]
            config = {"generic_webhook": kept | config["generic_webhook"]}
        destination["config"] = config
    destination["display_name"] = call.text("display_name", default=destination["display_name"])
    call.store.put("destination", destination["id"], destination)
    return _shown(destination)


def delete(call: Call) -> Document:
    _check_admin(call)
    call.store.delete("destination", _destination(call)["id"])
    return {}


def _check_admin(call: Call) -> None:
    if not call.caller.is_admin:
        raise denied("Only workspace admins can create, update, and delete notification destinations.")


def _destination(call: Call) -> Document:
    number = call.path["id"]
    found = call.store.get("destination", number)
    if found is None:
        raise missing(f"Notification destination {number} does not exist.")
    return found


def _config(call: Call) -> Document:
    given = call.body.get("config")
    if not isinstance(given, dict) or len(given) != 1:
        raise invalid("config must wrap EXACTLY one of the nested configs.")
    [(kind, fields)] = given.items()
    if kind not in _TYPES:
        raise invalid(f"The rehearsal has no notification destinations of the kind {kind}; it has: {', '.join(_TYPES)}")
    if not isinstance(fields, dict):
        raise invalid(f"Could not parse request object: field config.{kind} must be an object")
    if kind == "email":
        addresses = fields.get("addresses")
        if not isinstance(addresses, list) or not addresses or not all(isinstance(each, str) for each in addresses):
            raise invalid("Missing required field: config.email.addresses")
        return {"email": {"addresses": addresses}}
    hook = {name: str(fields[name]) for name in _HOOK if fields.get(name)}
    if call.body.get("config") and "url" not in hook and "id" not in call.path:
        raise invalid("Missing required field: config.generic_webhook.url")
    return {"generic_webhook": hook}


def _shown(destination: Document) -> Document:
    """Without what may be put in only: URL, user name and password."""
    [(kind, config)] = destination["config"].items()
    if kind == "generic_webhook":
        config = {f"{name}_set": name in config for name in _HOOK}
    return {
        "id": destination["id"],
        "display_name": destination["display_name"],
        "destination_type": _TYPES[kind],
        "config": {kind: config},
    }


_BASE = "/api/2.0/notification-destinations"
ENDPOINTS = (
    Endpoint("POST", _BASE, create),
    Endpoint("GET", _BASE, list_destinations),
    Endpoint("GET", f"{_BASE}/{{id}}", get),
    Endpoint("PATCH", f"{_BASE}/{{id}}", update),
    Endpoint("DELETE", f"{_BASE}/{{id}}", delete),
)
