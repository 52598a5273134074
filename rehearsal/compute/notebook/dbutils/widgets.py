"""`dbutils.widgets`: a notebook's parameters. docs.databricks.com/notebooks/widgets."""

from collections.abc import Sequence

from rehearsal.compute.notebook.dbutils.base import Utility
from rehearsal.compute.notebook.errors import InputWidgetNotDefined


class Widgets(Utility):
    """Utilities for parameterizing notebooks.

    A parameter of the run is the value of the widget with its name, whether or not the notebook defines one. Whether
    Databricks takes a parameter that isn't among a dropdown's choices isn't documented; here it is taken.

    `%run` shares the caller's widgets: a widget that is there already keeps its value.
    """

    _name = "dbutils.widgets"

    def __init__(self, parameters: dict[str, str]) -> None:
        self._values: dict[str, str] = dict(parameters)
        self._bound: dict[str, str] = dict(parameters)

    def bind(self, parameters: dict[str, str]) -> None:
        """Sets the values that `%run` gives."""
        self._values.update(parameters)
        self._bound.update(parameters)

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:  # noqa: N803, ARG002 - Databricks' names
        """Creates a text input widget with a given name and default value."""
        self._define(name, defaultValue)

    def dropdown(
        self,
        name: str,
        defaultValue: str,  # noqa: N803 - Databricks' name
        choices: Sequence[str],
        label: str | None = None,  # noqa: ARG002 - for people
    ) -> None:
        """Creates a dropdown input widget; the default value must be one of the choices."""
        self._define(name, defaultValue, choices)

    def combobox(
        self,
        name: str,
        defaultValue: str,  # noqa: N803 - Databricks' name
        choices: Sequence[str],
        label: str | None = None,  # noqa: ARG002 - for people
    ) -> None:
        """Creates a combobox input widget: a value of the choices, or one that is typed."""
        list(choices)
        self._define(name, defaultValue)

    def multiselect(
        self,
        name: str,
        defaultValue: str,  # noqa: N803 - Databricks' name
        choices: Sequence[str],
        label: str | None = None,  # noqa: ARG002 - for people
    ) -> None:
        """Creates a multiselect input widget; its value is the selected choices, separated by commas."""
        self._define(name, defaultValue, choices)

    def get(self, name: str) -> str:
        """Retrieves the current value of an input widget.

        Raises:
            InputWidgetNotDefined: there is none.
        """
        if name not in self._values:
            raise InputWidgetNotDefined(f"No input widget named {name} is defined")
        return self._values[name]

    def getAll(self) -> dict[str, str]:  # noqa: N802 - Databricks' name
        """Gets a mapping of all current widget names and their values."""
        return dict(self._values)

    def getArgument(self, name: str, defaultValue: str | None = None) -> str:  # noqa: N802, N803 - Databricks' names
        """(DEPRECATED) Equivalent to get; without the widget, the default."""
        if name not in self._values and defaultValue is not None:
            return defaultValue
        return self.get(name)

    def remove(self, name: str) -> None:
        """Removes an input widget from the notebook.

        Raises:
            InputWidgetNotDefined: there is none.
        """
        self.get(name)
        del self._values[name]

    def removeAll(self) -> None:  # noqa: N802 - Databricks' name
        """Removes all widgets in the notebook."""
        self._values.clear()

    def _define(self, name: str, default: str, choices: Sequence[str] | None = None) -> None:
        if not isinstance(name, str) or not isinstance(default, str):
            raise TypeError("the name and the default value of a widget are strings")
        if choices is not None and default not in list(choices):
            raise ValueError(f"The default value {default!r} of the widget {name} is not one of its choices")
        # A widget that was removed and comes again has the value that the run gave.
        self._values.setdefault(name, self._bound.get(name, default))
