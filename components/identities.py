"""People and groups of Azure DevOps, found by the names that a settings file uses for them."""

from dataclasses import dataclass

import pulumi

from components.errors import words_of
from components.sdk import azuredevops


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Somebody in Azure DevOps: `descriptor` is what groups and permissions want, `id` is what policies want."""

    descriptor: pulumi.Input[str]
    id: pulumi.Input[str]


def find(name: str, project_id: pulumi.Input[str], parent: pulumi.Resource) -> Identity:
    """The user (a name with an @) or the group of the project with this name.

    The service's search for a mail address takes parts of one, so what it finds is asked for its full name: nobody
    becomes an approver by having a name that contains another's.

    Args:
        name: `ann@example.com` or `Release managers`.
        project_id: the project whose groups are searched.
        parent: whose provider asks.

    Raises:
        pulumi.RunError: there is no such user.
    """
    if "@" not in name:
        group = azuredevops.get_group_output(
            name=name, project_id=project_id, opts=pulumi.InvokeOutputOptions(parent=parent)
        )
        return Identity(descriptor=group.descriptor, id=group.group_id)
    found = _search(name, "MailAddress", parent)
    if found is None or name.casefold() not in (each.casefold() for each in (found.principal_name, found.mail)):
        raise pulumi.RunError(
            f"the Azure DevOps organisation has no user {name!r}. Write the sign-in name of a user whom the "
            "organisation knows (Organization settings > Users), or the name of a group. Nothing was changed."
        )
    return Identity(descriptor=found.descriptor, id=found.id)


def find_service(display_name: str, parent: pulumi.Resource) -> Identity | None:
    """The service identity with exactly this display name, or None while there is none.

    Args:
        display_name: such as `Bikes Build Service (contoso)`.
        parent: whose provider asks.
    """
    found = _search(display_name, "DisplayName", parent)
    if found is None or found.display_name.casefold() != display_name.casefold():
        return None
    return Identity(descriptor=found.descriptor, id=found.id)


@dataclass(frozen=True, kw_only=True)
class _Found:
    id: str
    descriptor: str
    principal_name: str
    mail: str
    display_name: str


def _search(name: str, search_filter: str, parent: pulumi.Resource) -> _Found | None:
    options = pulumi.InvokeOptions(parent=parent)
    try:
        identity = azuredevops.get_identity_users(name=name, search_filter=search_filter, opts=options)
    except Exception as error:  # noqa: BLE001 - an invoke fails with a bare Exception that carries the provider's words
        if "Could not find user" in str(error):
            return None
        raise _not_answered(name, error) from None
    try:
        user = azuredevops.get_user(descriptor=identity.subject_descriptor, opts=options)
    except Exception as error:  # noqa: BLE001 - as above
        raise _not_answered(name, error) from None
    return _Found(
        id=identity.id,
        descriptor=identity.subject_descriptor,
        principal_name=user.principal_name,
        mail=user.mail_address,
        display_name=user.display_name,
    )


def _not_answered(name: str, error: Exception) -> pulumi.RunError:
    return pulumi.RunError(
        f"Azure DevOps can't be asked who {name!r} is. The provider says: {words_of(error)}\n"
        "If that is a passing fault, run the same command again. Nothing was changed."
    )
