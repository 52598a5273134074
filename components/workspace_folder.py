"""A shared folder in the Databricks workspace, and who may do what in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.sdk import databricks
from components.settings_model import Access


@dataclass(frozen=True, kw_only=True)
class WorkspaceFolderArgs:
    """Arguments of `WorkspaceFolder`.

    Args:
        folder: the absolute path.
        access: who gets which level on the folder and all that is in it.
        protect: refuse to delete the folder.
    """

    folder: str
    access: Sequence[Access]
    protect: bool


class WorkspaceFolder(pulumi.ComponentResource):
    """The folder and its permissions, which are authoritative: what is granted by hand is taken away by the next `up`.

    Workspace administrators keep all rights, and the identity that deploys keeps its own; Databricks sees to both.

    Deliberately not managed: the folders above it, and what people put beside the deployed files.

    Sources: https://docs.databricks.com/security/auth/access-control/#folder-acls,
    https://www.pulumi.com/registry/packages/databricks/api-docs/permissions/
    """

    directory: databricks.Directory
    path: pulumi.Output[str]

    def __init__(self, name: str, args: WorkspaceFolderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:databricks:WorkspaceFolder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, protect=args.protect)
        # A protected folder is not even emptied: whoever deletes it has looked at what is in it.
        self.directory = databricks.Directory(
            f"{name}-directory", path=args.folder, delete_recursive=not args.protect, opts=child
        )
        if args.access:
            databricks.Permissions(
                f"{name}-permissions",
                directory_path=self.directory.path,
                access_controls=access_controls(args.access),
                opts=child,
            )
        self.path = self.directory.path
        self.register_outputs({"path": self.path})


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
