"""The two provider SDKs, as every other module imports them.

Importing them takes most of the time that this program needs to start: the `__init__` of `pulumi_databricks` runs
hundreds of modules of resources nobody asked for. Here a package stands in `sys.modules` without its `__init__`; a name
such as `databricks.Notebook` imports the one module that defines it. Type checkers, and readers, see the plain import.
"""

import gc
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pulumi_azuredevops as azuredevops
    import pulumi_databricks as databricks
else:

    def _without_init(name: str) -> ModuleType:
        if name in sys.modules:
            return sys.modules[name]
        package = importlib.util.module_from_spec(importlib.util.find_spec(name))
        package.__getattr__ = lambda attribute: _defined_in_module(name, attribute)
        sys.modules[name] = package
        return package

    def _defined_in_module(package: str, attribute: str) -> Any:
        """`WorkspaceFile` is in `workspace_file`, nested arguments are in `_inputs`, `get_x_output` is with `get_x`."""
        if attribute.startswith("_") or attribute == "outputs":  # modules, not yet imported
            raise AttributeError(attribute)
        snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", attribute).lower().removesuffix("_output")
        for candidate in (f"{package}.{snake_case}", f"{package}._inputs"):
            if candidate in sys.modules or importlib.util.find_spec(candidate):
                with _nothing_is_garbage():
                    module = importlib.import_module(candidate)
                found = getattr(module, attribute, None)
                if found is not None:
                    # Importing a submodule binds it to its package, where it would hide a function of the same name.
                    setattr(sys.modules[package], attribute, found)
                    return found
        raise AttributeError(f"{package} has no {attribute}")

    @contextmanager
    def _nothing_is_garbage() -> Iterator[None]:
        """What a module of an SDK defines stays to the end. Searching its thousands of types for garbage, while they
        are defined and ever after, took half of the program's processor time."""
        gc.disable()
        try:
            yield
        finally:
            gc.freeze()
            gc.enable()

    azuredevops = _without_init("pulumi_azuredevops")
    databricks = _without_init("pulumi_databricks")

__all__ = ["azuredevops", "databricks"]
