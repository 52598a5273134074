"""Users, service principals and groups as the rest of the service sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rehearsal.databricks.users import GROUPS, SEEDS
from rehearsal.store import Document, Store

# The kinds of documents in the store. The keys are the ids, which are unique among all three.
USER, SERVICE_PRINCIPAL, GROUP = "user", "service_principal", "group"

# How an access list names a principal.
Field: TypeAlias = Literal["user_name", "group_name", "service_principal_name"]
FIELDS: dict[str, Field] = {
    USER: "user_name",
    GROUP: "group_name",
    SERVICE_PRINCIPAL: "service_principal_name",
}

_FIRST_ID = 7_000_000_000_000_001


@dataclass(frozen=True)
class Principal:
    """Who an access list speaks of: the field that names it, and its name there."""

    field: Field
    name: str


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Args:
        id: the SCIM id.
        kind: `user` or `service_principal`.
        name: the user name; of a service principal the application id.
        principals: itself and the groups it is in, directly or through groups, as access lists name them.
    """

    id: str
    kind: str
    name: str
    principals: frozenset[Principal]

    @property
    def principal(self) -> Principal:
        return Principal(FIELDS[self.kind], self.name)

    @property
    def is_admin(self) -> bool:
        return Principal("group_name", "admins") in self.principals


def new_id(store: Store) -> str:
    """An id for a user, a service principal or a group."""
    return str(store.next_number("principal", _FIRST_ID))


def name_of(kind: str, document: Document) -> str:
    """The name by which access lists know it."""
    return str(document[{USER: "userName", SERVICE_PRINCIPAL: "applicationId", GROUP: "displayName"}[kind]])


def find(store: Store, kind: str, name: str) -> Document | None:
    """The one of this kind with this name. Names differ by more than case."""
    wanted = name.casefold()
    return next((each for each in store.all(kind) if name_of(kind, each).casefold() == wanted), None)


def groups_of(store: Store, member_id: str, *, is_group: bool = False) -> Iterator[tuple[Document, bool]]:
    """The groups it is in, each with whether it is a direct member. Everybody is in `users`."""
    groups = store.all(GROUP)
    reached = {member_id}
    direct, waiting = True, {member_id}
    while waiting:
        found = [
            group
            for group in groups
            if group["id"] not in reached and any(each["value"] in waiting for each in group["members"])
        ]
        yield from ((group, direct) for group in found)
        waiting = {group["id"] for group in found}
        reached |= waiting
        direct = False
    if not is_group:
        yield from ((group, True) for group in groups if group["displayName"] == "users")


def caller(store: Store, kind: str, document: Document) -> Caller:
    """The principal as one who makes requests."""
    name = name_of(kind, document)
    groups = {Principal("group_name", group["displayName"]) for group, _ in groups_of(store, document["id"])}
    return Caller(document["id"], kind, name, frozenset({Principal(FIELDS[kind], name), *groups}))


def rename(store: Store, kind: str, before: Document, after: Document | None) -> None:
    """Puts another name into every access list, or takes the entries out where there is no more such principal.

    The service keeps ids in its lists; here they hold names.
    """
    old, new = name_of(kind, before), None if after is None else name_of(kind, after)
    if old == new:
        return
    for owner in ("object", "job", "scope"):
        for key, document in store.items(owner):
            mine = [each for each in document["acl"] if (each["field"], each["name"]) == (FIELDS[kind], old)]
            if mine:
                kept = [each for each in document["acl"] if each not in mine]
                renamed = [] if new is None else [each | {"name": new} for each in mine]
                store.put(owner, key, document | {"acl": [*kept, *renamed]})


def seed(store: Store) -> None:
    """Puts the principals of the first day into an empty store."""
    groups = {name: _group(new_id(store), name) for name in GROUPS}
    for each in SEEDS:
        document: Document = {
            "id": new_id(store),
            "displayName": each.display_name,
            "active": True,
            "entitlements": [],
            "roles": [],
        }
        if each.kind == USER:
            document |= {"userName": each.name, "emails": [{"type": "work", "value": each.name, "primary": True}]}
        else:
            document["applicationId"] = each.name
        store.put(each.kind, document["id"], document)
        store.put("login", each.key, {"kind": each.kind, "id": document["id"]})
        for name in each.groups:
            groups[name]["members"].append({"value": document["id"]})
    for group in groups.values():
        store.put(GROUP, group["id"], group)


def _group(group_id: str, name: str) -> Document:
    # The built-in group `users` gives everybody access to the workspace; nothing else does on the first day.
    entitled = {"users": ["workspace-access"], "admins": ["workspace-access", "allow-cluster-create"]}.get(name, [])
    entitlements = [{"value": value} for value in entitled]
    return {"id": group_id, "displayName": name, "members": [], "entitlements": entitlements, "roles": []}
