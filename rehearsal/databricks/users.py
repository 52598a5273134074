"""Who is known to the workspace on its first day, and the groups they are in."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

PrincipalKind: TypeAlias = Literal["user", "service_principal"]


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A principal of the first day.

    Args:
        key: how the rehearsal names it; the key of its token.
        kind: a person or a service principal.
        name: the user name; of a service principal the application id.
        display_name: for people.
        groups: the groups it is in, besides `users`, in which everybody is.
    """

    key: str
    kind: PrincipalKind
    name: str
    display_name: str
    groups: tuple[str, ...] = ()


SEEDS = (
    Seed(
        key="administrator",
        kind="user",
        name="admin@rehearsal.example",
        display_name="Administrator",
        groups=("admins",),
    ),
    Seed(key="dana", kind="user", name="dana@rehearsal.example", display_name="Dana", groups=("data-engineers",)),
    Seed(key="devin", kind="user", name="devin@rehearsal.example", display_name="Devin", groups=("data-engineers",)),
    Seed(
        key="previewer",
        kind="service_principal",
        name="0e3f6c1a-93c4-4b8e-8f6d-2a7b9c5d1e03",
        display_name="previewer",
    ),
    Seed(
        key="deployer-test",
        kind="service_principal",
        name="5d0c7a52-6d0f-4f0e-9a57-3f4f5f1c7e01",
        display_name="deployer-test",
    ),
    Seed(
        key="deployer-production",
        kind="service_principal",
        name="b1f7c0de-2f5b-4b57-8a55-0c1d9a4c7e02",
        display_name="deployer-production",
    ),
    Seed(key="nobody", kind="user", name="nobody@rehearsal.example", display_name="Nobody"),
    Seed(key="expired", kind="user", name="expired@rehearsal.example", display_name="Expired"),
)

USER_KEYS = tuple(seed.key for seed in SEEDS)

# The token of this user is known to the service, but its time is over.
EXPIRED_KEY = "expired"

# `admins` and `users` are built in; nobody can delete or rename them.
BUILT_IN_GROUPS = ("admins", "users")
GROUPS = (*BUILT_IN_GROUPS, "data-engineers", "data-analysts")
