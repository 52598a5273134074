"""Databricks' official client in parts, and `requests`, when they are first used: `errors.NotFound`, `Client().jobs`.

The `__init__` of `databricks.sdk` runs every service's module, which takes a second or two of the processor; the
commands use four of them. So that package stands in `sys.modules` without it. Whoever asks it for more, for
`WorkspaceClient` say, gets it: then the `__init__` runs after all. Type checkers, and readers, see plain imports.
What begins with an engine of Pulumi starts that first, and loads these while it works.
"""

import importlib.util
import sys
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

_SDK = "databricks.sdk"

if TYPE_CHECKING:
    import requests
    from databricks.sdk import WorkspaceClient as Client
    from databricks.sdk import errors
    from databricks.sdk.core import Config
    from databricks.sdk.service import workspace as api

    from delivery.sign_in import Credentials
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(_module(self._name), attribute)

    class Client:
        """`WorkspaceClient`: the services that most commands use, and the whole of it for any other.

        Args:
            config: who signs in, and where.
        """

        def __init__(self, config: Any) -> None:
            self.config = config

        @cached_property
        def api_client(self) -> Any:
            return _part("core").ApiClient(self.config)

        @cached_property
        def current_user(self) -> Any:
            return _part("service.iam").CurrentUserAPI(self.api_client)

        @cached_property
        def files(self) -> Any:
            return _part("mixins.files").FilesExt(self.api_client, self.config)

        @cached_property
        def jobs(self) -> Any:
            return _part("mixins.jobs").JobsExt(self.api_client)

        @cached_property
        def workspace(self) -> Any:
            return _part("mixins.workspace").WorkspaceExt(self.api_client)

        @cached_property
        def _whole(self) -> Any:
            return sys.modules[_SDK].WorkspaceClient(config=self.config)

        def __getattr__(self, service: str) -> Any:
            return getattr(self._whole, service)

    def Config(**settings: Any) -> Any:  # noqa: N802 - it stands for a class
        return _part("core").Config(**settings)

    def Credentials() -> Any:  # noqa: N802 - it stands for a class
        _part("credentials_provider")
        return import_module("delivery.sign_in").Credentials()

    errors = _Later(f"{_SDK}.errors")
    api = _Later(f"{_SDK}.service.workspace")
    requests = _Later("requests")


def load() -> None:
    """Loads what reading a workspace takes, for a command that waits for something else meanwhile."""
    for name in ("core", "errors", "mixins.workspace", "service.iam"):
        _part(name)


def _part(name: str) -> Any:
    return _module(f"{_SDK}.{name}")


def _module(name: str) -> Any:
    if name.startswith(_SDK) and _SDK not in sys.modules:
        _put_without_init()
    return import_module(name)


def _put_without_init() -> None:
    spec = importlib.util.find_spec(_SDK)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {_SDK!r}", name=_SDK)
    loader, package = spec.loader, importlib.util.module_from_spec(spec)

    def load_all(attribute: str) -> Any:
        # A module of the package is asked for before it is imported, and then imported.
        if attribute.startswith("_") or importlib.util.find_spec(f"{_SDK}.{attribute}"):
            raise AttributeError(attribute)
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = load_all
    sys.modules[_SDK] = package
    parent, _, name = _SDK.rpartition(".")
    setattr(sys.modules[parent], name, package)


__all__ = ["Client", "Config", "Credentials", "api", "errors", "load", "requests"]
