"""What the utilities have in common: help, and refusals by name."""

import inspect
from typing import Any

from rehearsal.compute.notebook.errors import UnsupportedError


class Utility:
    """A part of `dbutils`."""

    _name = "dbutils"

    def help(self, method: str = "") -> None:
        """Prints what there is.

        Args:
            method: prints about this one only.
        """
        print(f"{self._name}: {inspect.getdoc(self)}")
        for name, member in inspect.getmembers(type(self), inspect.isfunction):
            if name.startswith("_") or (method and name != method):
                continue
            print(f"\n{name}{inspect.signature(member)}".replace("(self, ", "(").replace("(self)", "()"))
            print(inspect.getdoc(member))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(f"the rehearsal does not know {self._name}.{name}")
