"""A shared folder in the Databricks workspace."""

from dataclasses import dataclass

import pulumi

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
    """The folder. What is in it comes with `Notebooks`, who may do what in it with `FolderPermissions`.

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
        self.path = self.directory.path
        self.register_outputs({"path": self.path})
