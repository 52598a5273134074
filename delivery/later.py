"""Databricks' client, loaded when something of it is first used: `errors.NotFound`, `api.ExportFormat`.

Loading it takes the best part of a second, in which the engine, another process, can already work. Type checkers, and
readers, see plain imports.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks.sdk import errors
    from databricks.sdk.service import workspace as api
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    errors = _Later("databricks.sdk.errors")
    api = _Later("databricks.sdk.service.workspace")

__all__ = ["api", "errors"]
