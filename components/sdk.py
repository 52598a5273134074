"""The two provider SDKs, as every other module imports them.

`import pulumi_databricks` alone takes most of the time that this program needs to start: its `__init__` runs hundreds
of modules of resources nobody asked for. Here the package stands in `sys.modules` without its `__init__`; a name such
as `databricks.Notebook` imports the one module that defines it. Type checkers, and readers, see the plain import.
"""

import importlib.util
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pulumi_azuredevops as azuredevops

if TYPE_CHECKING:
    import pulumi_databricks as databricks
else:

    def _without_init(name: str) -> ModuleType:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.find_spec(name)
        package = importlib.util.module_from_spec(spec)
        package.__getattr__ = lambda attribute: _defined_in_module(name, attribute)
        sys.modules[name] = package
        _load_at_first_use(f"{name}.outputs")
        return package

    def _load_at_first_use(name: str) -> None:
        """The output types are named in annotations only; many programs never look at one."""
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)

    def _defined_in_module(package: str, attribute: str) -> Any:
        """`Notebook` is in `notebook`, `WorkspaceFile` in `workspace_file`, nested arguments are in `_inputs`."""
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", attribute).lower()
        for candidate in (f"{package}.{snake_case}", f"{package}._inputs"):
            if candidate in sys.modules or importlib.util.find_spec(candidate):
                found = getattr(importlib.import_module(candidate), attribute, None)
                if found is not None:
                    # Importing a submodule binds it to its package, where it would hide a function of the same name.
                    setattr(sys.modules[package], attribute, found)
                    return found
        raise AttributeError(f"{package} has no {attribute}")

    databricks = _without_init("pulumi_databricks")

__all__ = ["azuredevops", "databricks"]
