"""The notebooks and files of a release, one managed resource each."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi

from components import naming, settings_model
from components.sdk import databricks
from release_files import ReleaseFile


@dataclass(frozen=True, kw_only=True)
class NotebooksArgs:
    """Arguments of `Notebooks`.

    Args:
        directory: the workspace folder that they go to.
        folder: its path.
        notebooks: the local folder, relative to the project's root, so that the state is the same on every machine,
            and what is in it.
        tests: the same for what is delivered beside them, below `tests`.
    """

    directory: databricks.Directory
    folder: str
    notebooks: settings_model.Notebooks
    tests: settings_model.Notebooks | None = None


class Notebooks(pulumi.ComponentResource):
    """Each notebook, workspace file and folder of the release and of its tests; what is no longer there is deleted.

    Number and digest are of the release alone: the same with and without tests.

    A changed file is one update, a renamed or moved one is a new resource and a deleted one. The provider compares a
    local file with what it deployed last and never reads the workspace
    (https://github.com/databricks/terraform-provider-databricks/issues/614): an edit by hand in the workspace is
    neither seen nor undone by `pulumi up`.

    Deliberately not managed: permissions of single notebooks (they have the folder's), and strays in the folder.

    Source: https://www.pulumi.com/registry/packages/databricks/api-docs/notebook/
    """

    count: int
    digest: str

    def __init__(self, name: str, args: NotebooksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:databricks:Notebooks", name, None, opts)
        self._args = args
        self._directories = {PurePosixPath("."): args.directory}
        for file in args.notebooks.release.files:
            self._deploy(file, args.notebooks.folder, file.workspace_path)
        if args.tests:
            for file in args.tests.release.files:
                self._deploy(file, args.tests.folder, f"{naming.TESTS}/{file.workspace_path}")
        self.count = sum(file.kind == "notebook" for file in args.notebooks.release.files)
        self.digest = args.notebooks.release.digest
        self.register_outputs({"count": self.count, "digest": self.digest})

    def _deploy(self, file: ReleaseFile, local: str, place: str) -> None:
        path = naming.workspace_path(self._args.folder, place)
        source = f"{local}/{file.source}"
        # Without the dependency a destroy would delete the folder first and fail: it isn't empty.
        inside = self._directory(PurePosixPath(place).parent)
        options = pulumi.ResourceOptions(parent=self, depends_on=[inside])
        if file.kind == "notebook":
            # An .ipynb without both format and language shows a difference in every preview.
            databricks.Notebook(
                naming.logical_name("notebook", place),
                path=path,
                source=source,
                language=file.language,
                format=file.format,
                opts=options,
            )
        else:
            databricks.WorkspaceFile(naming.logical_name("file", place), path=path, source=source, opts=options)

    def _directory(self, relative: PurePosixPath) -> databricks.Directory:
        if relative not in self._directories:
            above = self._directory(relative.parent)
            self._directories[relative] = databricks.Directory(
                naming.logical_name("folder", str(relative)),
                path=naming.workspace_path(self._args.folder, str(relative)),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[above]),
            )
        return self._directories[relative]
