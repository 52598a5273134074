"""The tree of workspace objects in the store, and who may do what with them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from rehearsal.databricks import paths, principals
from rehearsal.databricks.errors import ApiError, denied, exists, missing
from rehearsal.databricks.principals import Caller, Field, Principal
from rehearsal.store import Document, Store

ObjectType: TypeAlias = Literal["DIRECTORY", "NOTEBOOK", "FILE"]

ROOT_ID = 0  # as github.com/databricks/terraform-provider-databricks/issues/1241 shows it
_FIRST_ID = 4_000_000_000_000_001

# In these stand the users' own things; the service makes what is directly in them.
_HOMES = "/Users"
_PROTECTED = ("/", "/Users", "/Shared", "/Repos")


class Level(IntEnum):
    """What somebody may do with an object; each includes those before it.

    docs.databricks.com/security/auth/access-control: to create, import and delete in a folder takes CAN_MANAGE on it.
    """

    NONE = 0
    CAN_READ = 1
    CAN_RUN = 2
    CAN_EDIT = 3
    CAN_MANAGE = 4


_WORDS = {Level.CAN_READ: "View", Level.CAN_RUN: "Run", Level.CAN_EDIT: "Edit", Level.CAN_MANAGE: "Manage"}


@dataclass(frozen=True)
class Grant:
    """An entry of an access list.

    Args:
        principal: who gets it.
        level: the name of the level.
        source: the object it is inherited from, as `/directories/ID`, or None for an entry of the object itself.
    """

    principal: Principal
    level: str
    source: str | None = None


def seed(store: Store) -> None:
    """Puts the folders of the first day into an empty store, with a home for everybody."""
    root: Document = {"path": "/", "object_type": "DIRECTORY", "object_id": ROOT_ID}
    _keep(store, root | {"acl": [_entry("group_name", "admins", "CAN_MANAGE")]})
    for path in ("/Users", "/Repos"):
        create(store, path, "DIRECTORY")
    # Everybody may do everything in /Shared, and nobody can change that
    # (github.com/databricks/terraform-provider-databricks/issues/5317 and 3899).
    shared = create(store, "/Shared", "DIRECTORY")
    _keep(store, shared | {"acl": [_entry("group_name", "users", "CAN_MANAGE")]})
    for kind in (principals.USER, principals.SERVICE_PRINCIPAL):
        for document in store.all(kind):
            create_home(store, kind, principals.name_of(kind, document))


def create_home(store: Store, kind: str, name: str) -> None:
    """Makes the folder of a user or service principal, in which that one may do everything."""
    path = f"{_HOMES}/{name}"
    if get(store, path) is None:
        home = create(store, path, "DIRECTORY")
        _keep(store, home | {"acl": [_entry(principals.FIELDS[kind], name, "CAN_MANAGE")]})


def drop_empty_home(store: Store, name: str) -> None:
    """Removes the folder of somebody who is no more, unless there is something in it.

    The service keeps what is in it, too; what it does with an empty one is not known.
    """
    path = f"{_HOMES}/{name}"
    if get(store, path) is not None and next(children(store, path), None) is None:
        remove(store, path)


def get(store: Store, path: str) -> Document | None:
    """The object at a normal path, or None."""
    return store.get("object", path)


def need(store: Store, path: str) -> Document:
    """The object at a normal path.

    Raises:
        ApiError: 404, there is none.
    """
    found = get(store, path)
    if found is None:
        raise missing(f"Path ({path}) doesn't exist.")
    return found


def by_id(store: Store, object_id: str) -> Document:
    """The object with this id.

    Raises:
        ApiError: 404, there is none.
    """
    index = store.get("object_id", object_id)
    if index is None:
        raise missing(f"Node ID {object_id} does not exist.")
    return need(store, index["path"])


def below(store: Store, path: str) -> list[Document]:
    """Everything in a folder, at any depth."""
    return store.all("object", "/" if path == "/" else f"{path}/")


def children(store: Store, path: str) -> Iterator[Document]:
    """What stands directly in a folder."""
    return (each for each in below(store, path) if each["path"] != "/" and paths.parent(each["path"]) == path)


def create(store: Store, path: str, kind: ObjectType, **fields: object) -> Document:
    """Makes an object without entries in its access list: it has those of its folder."""
    number = store.next_number("object", _FIRST_ID)
    now = _now()
    created: Document = {
        "path": path,
        "object_type": kind,
        "object_id": number,
        "created_at": now,
        "modified_at": now,
        "acl": [],
    }
    return _keep(store, created | fields)


def change(store: Store, document: Document, **fields: object) -> Document:
    """Changes an object's content fields; id and access list stay."""
    return _keep(store, document | fields | {"modified_at": _now()})


def set_acl(store: Store, document: Document, grants: list[Grant]) -> Document:
    """Puts these in place of the object's own entries."""
    acl = [_entry(each.principal.field, each.principal.name, each.level) for each in grants]
    return _keep(store, document | {"acl": acl})


def remove(store: Store, path: str) -> None:
    """Removes an object and everything in it."""
    for each in [need(store, path), *below(store, path)]:
        store.delete("object", each["path"])
        store.delete("object_id", str(each["object_id"]))
        store.delete_bytes("content", str(each["object_id"]))


def make_folders(store: Store, caller: Caller, path: str) -> None:
    """Makes a folder and those above it that are missing; nothing happens when it exists.

    Raises:
        ApiError: there is something else at one of the paths, or the caller may not.
    """
    existing = next(each for each in paths.ancestors(path) if get(store, each) is not None)
    found = need(store, existing)
    if found["object_type"] != "DIRECTORY":
        raise exists(f"{existing} already exists and it is not a folder")
    if existing == path:
        return
    check_creation(store, caller, existing)
    for each in reversed(paths.ancestors(path)):
        if get(store, each) is None:
            create(store, each, "DIRECTORY")


def check_creation(store: Store, caller: Caller, folder: str) -> None:
    """Whether the caller may make something directly in this folder.

    Raises:
        ApiError: 400, only the service makes things there; 403, the caller may not.
    """
    if folder in (_HOMES, "/Repos"):
        raise ApiError(400, "DIRECTORY_PROTECTED", f"Folder {folder[1:]} is protected")
    check(store, caller, folder, Level.CAN_MANAGE)


def check_removal(store: Store, caller: Caller, path: str) -> None:
    """Whether the caller may remove the object.

    Raises:
        ApiError: 400, it belongs to the workspace itself; 403, the caller may not.
    """
    home = paths.parent(path) == _HOMES
    if path in _PROTECTED or home:
        # That the homes are protected like the others is not documented.
        raise ApiError(400, "DIRECTORY_PROTECTED", f"Folder {path.rpartition('/')[2]} is protected")
    check(store, caller, path, Level.CAN_MANAGE)


def grants(store: Store, path: str) -> Iterator[Grant]:
    """The entries that count for an object: its own first, then those it inherits, from the nearest folder on."""
    for each in paths.ancestors(path):
        document = need(store, each)
        source = None if each == path else f"/directories/{document['object_id']}"
        for entry in document["acl"]:
            yield Grant(Principal(entry["field"], entry["name"]), entry["level"], source)


def level(store: Store, caller: Caller, path: str) -> Level:
    """What the caller may do with an object."""
    if caller.is_admin:
        return Level.CAN_MANAGE
    held = (Level[each.level] for each in grants(store, path) if each.principal in caller.principals)
    return max(held, default=Level.NONE)


def check(store: Store, caller: Caller, path: str, wanted: Level) -> None:
    """Whether the caller may do what takes this level.

    Raises:
        ApiError: 403. The service's words are known for jobs; that they are the same here, and that an object which
            the caller may not see gives 403 rather than 404, is an assumption: a refused read must be noticed.
    """
    if level(store, caller, path) < wanted:
        raise denied(
            f"{caller.name} does not have {_WORDS[wanted]} permissions on {path}. "
            "Please contact the owner or an administrator for access."
        )


def visible(store: Store, caller: Caller, path: str) -> bool:
    """Whether lists show the object to the caller: the folders that hold everybody's things, and what they may read."""
    return path in _PROTECTED or level(store, caller, path) >= Level.CAN_READ


def _entry(field: Field, name: str, level_name: str) -> Document:
    return {"field": field, "name": name, "level": level_name}


def _keep(store: Store, document: Document) -> Document:
    store.put("object", document["path"], document)
    store.put("object_id", str(document["object_id"]), {"path": document["path"]})
    return document


def _now() -> int:
    """Milliseconds since 1970, as the service gives times."""
    return time.time_ns() // 1_000_000
