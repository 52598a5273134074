"""A shared folder in the Databricks workspace."""

from dataclasses import dataclass

import pulumi

from components import naming
from components.sdk import databricks


@dataclass(frozen=True, kw_only=True)
class WorkspaceFolderArgs:
    """Arguments of `WorkspaceFolder`.

    Args:
        folder: the absolute path.
        protect: refuse to delete the folder.
    """

    folder: str
    protect: bool


class WorkspaceFolder(pulumi.ComponentResource):
    """The folder, and in it the one where `delivery deploy` records what it has deployed.

    What else is in it comes with `Notebooks`, who may do what in it with `FolderPermissions`.

    Deliberately not managed: the folders above it, and what people put beside the deployed files.

    Source: https://www.pulumi.com/registry/packages/databricks/api-docs/directory/
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
        # Emptied with the stack, so that the record of a release doesn't keep its folder from being deleted.
        databricks.Directory(
            f"{name}-record",
            path=self.directory.path.apply(lambda path: naming.workspace_path(path, naming.RECORD)),
            delete_recursive=True,
            opts=child,
        )
        self.path = self.directory.path
        self.register_outputs({"path": self.path})
