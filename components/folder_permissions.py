"""Who may do what in a shared folder."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.sdk import databricks
from components.settings_model import Access


@dataclass(frozen=True, kw_only=True)
class FolderPermissionsArgs:
    """Arguments of `FolderPermissions`.

    Args:
        path: the folder.
        access: who gets which level on the folder and all that is in it.
        protect: refuse to delete the permissions.
        after: what must be there before anybody gets in.
    """

    path: pulumi.Input[str]
    access: Sequence[Access]
    protect: bool
    after: Sequence[pulumi.Resource]


class FolderPermissions(pulumi.ComponentResource):
    """The permissions, which are authoritative: what is granted by hand is taken away by the next `up --refresh`.

    They are given when everything else of the stack is there, so that nobody works in a folder that is half filled or
    whose gate isn't up. And since `destroy` begins with what came last, a protected stack refuses it before anything
    has been deleted: Pulumi meets a protected resource only when it gets there.

    Workspace administrators keep all rights, and the identity that deploys keeps its own; Databricks sees to both.

    Deliberately not managed: permissions of single notebooks, and of the folders above.

    Sources: https://docs.databricks.com/security/auth/access-control/#folder-acls,
    https://www.pulumi.com/registry/packages/databricks/api-docs/permissions/
    """

    def __init__(self, name: str, args: FolderPermissionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:databricks:FolderPermissions", name, None, opts)
        if args.access:
            databricks.Permissions(
                f"{name}-access",
                directory_path=args.path,
                access_controls=access_controls(args.access),
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=list(args.after)),
            )
        self.register_outputs({})


def access_controls(access: Sequence[Access]) -> list[databricks.PermissionsAccessControlArgs]:
    """What the settings call access, as the provider wants it."""
    return [
        databricks.PermissionsAccessControlArgs(
            permission_level=each.level,
            group_name=each.principal.name if each.principal.kind == "group" else None,
            user_name=each.principal.name if each.principal.kind == "user" else None,
            service_principal_name=each.principal.name if each.principal.kind == "service_principal" else None,
        )
        for each in access
    ]
