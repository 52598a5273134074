"""Who exists in the rehearsal's organisation: people, the pipelines' identity, and what each may do."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

ADMINISTRATOR = "administrator"
DANA = "dana"
DEVIN = "devin"
AVERY = "avery"
ARI = "ari"
BUILD_SERVICE = "build-service"
AGENT = "agent"
NOBODY = "nobody"
EXPIRED = "expired"

Role: TypeAlias = Literal["administrator", "member", "stranger"]


@dataclass(frozen=True, kw_only=True)
class User:
    """A person of the organisation.

    Args:
        key: the name under which `create_app` gets the person's personal access token (PAT).
        display_name: as people see it.
        principal_name: the sign-in name, which is the mail address, too.
        role: `administrator` is in Project Collection Administrators; a `member` becomes a member of the default team
            of every new project, and so a contributor; a `stranger` belongs to the organisation and has no rights.
    """

    key: str
    display_name: str
    principal_name: str
    role: Role


USERS = (
    User(key=ADMINISTRATOR, display_name="Ada Admin", principal_name="admin@rehearsal.example", role="administrator"),
    User(key=DANA, display_name="Dana Developer", principal_name="dana@rehearsal.example", role="member"),
    User(key=DEVIN, display_name="Devin Developer", principal_name="devin@rehearsal.example", role="member"),
    User(key=AVERY, display_name="Avery Approver", principal_name="avery@rehearsal.example", role="member"),
    User(key=ARI, display_name="Ari Approver", principal_name="ari@rehearsal.example", role="member"),
    User(key=NOBODY, display_name="Nobody", principal_name="nobody@rehearsal.example", role="stranger"),
)

# Every key for which there may be a token: people, pipelines, their agent, and a token whose time is over (Dana's).
KEYS = (*(user.key for user in USERS), BUILD_SERVICE, AGENT, EXPIRED)
