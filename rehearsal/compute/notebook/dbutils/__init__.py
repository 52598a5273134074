"""`dbutils`, as docs.databricks.com/dev-tools/databricks-utils describes it."""

from typing import Any

from rehearsal.compute.notebook.dbutils.base import Utility
from rehearsal.compute.notebook.dbutils.files import Files
from rehearsal.compute.notebook.dbutils.secrets import Secrets
from rehearsal.compute.notebook.dbutils.widgets import Widgets
from rehearsal.compute.notebook.dbutils.workflow import Jobs, Library, Notebooks


class DBUtils(Utility):
    """This module provides various utilities for users to interact with the rest of Databricks.

    What Databricks has and isn't here (`credentials`, `data`, `meta`, `preview`, `api`) is refused by name.
    """

    _name = "dbutils"

    def __init__(
        self, *, fs: Files, jobs: Jobs, library: Library, notebook: Notebooks, secrets: Secrets, widgets: Widgets
    ) -> None:
        self.fs = fs
        self.jobs = jobs
        self.library = library
        self.notebook = notebook
        self.secrets = secrets
        self.widgets = widgets

    def help(self, method: str = "") -> None:
        """Prints which utilities there are."""
        parts: dict[str, Any] = vars(self)
        print(type(self).__doc__ if not method else parts[method].__doc__)
        for name, part in sorted(parts.items()):
            print(f"{name}: {(part.__doc__ or '').splitlines()[0]}")
