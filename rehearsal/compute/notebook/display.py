"""`display` and `displayHTML`, and how values and plots are shown. docs.databricks.com/visualizations.

Neither pandas nor matplotlib is imported here: a notebook that doesn't use them doesn't wait for them.
"""

import base64
import io
import sys
from collections.abc import Callable
from typing import Any

from rehearsal.compute.notebook.errors import UnsupportedError
from rehearsal.compute.notebook.record import Output

ROWS_LIMIT = 10_000
BYTES_LIMIT = 2 * 1024 * 1024
"""Of a table: docs.databricks.com/notebooks/notebook-limitations."""


class Display:
    """Shows things in the current cell.

    Args:
        add: takes an output.
    """

    def __init__(self, add: Callable[[Output], None]) -> None:
        self._add = add

    def display(self, *things: Any, **options: Any) -> None:
        """Shows DataFrames as tables, plots as pictures, and everything else as it shows itself.

        Raises:
            UnsupportedError: a streaming DataFrame, or an option.
        """
        if options:
            raise UnsupportedError(f"the rehearsal does not know display(..., {next(iter(options))}=...)")
        for thing in things:
            self._display(thing)

    def display_html(self, html: str) -> None:
        """Shows HTML, apart from the page: without scripts, and with nothing from elsewhere."""
        self._add({"type": "html", "html": str(html)})

    def value(self, value: Any) -> None:
        """Shows the value of a cell's last expression."""
        if _is_figure(value):
            self._figure(value)
            return
        html = _own_html(value)
        self._add({"type": "value", "text": repr(value)} if html is None else {"type": "html", "html": html})

    def figures(self) -> None:
        """Shows the plots that the cell has left open, and closes them."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            self._figure(pyplot.figure(number))
        pyplot.close("all")

    def _display(self, thing: Any) -> None:
        if _is_a(thing, "pyspark.sql", "DataFrame"):
            if thing.isStreaming:
                raise UnsupportedError("the rehearsal does not know display() of a streaming DataFrame")
            self._add(table(thing))
        elif _is_a(thing, "pandas", "DataFrame"):
            self._add(_pandas(thing))
        elif _is_a(thing, "pandas", "Series"):
            self._add(_pandas(thing.to_frame()))
        elif _is_figure(getattr(thing, "figure", None)):  # axes
            self._figure(thing.figure)
        elif thing is not None:
            self.value(thing)

    def _figure(self, figure: Any) -> None:
        picture = io.BytesIO()
        figure.savefig(picture, format="png", bbox_inches="tight")
        self._add({"type": "image", "png": base64.b64encode(picture.getvalue()).decode()})
        # It is shown once, not again at the end of the cell.
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close(figure)


def table(frame: Any) -> Output:
    """The output for a Spark DataFrame: its first rows."""
    rows = frame.limit(ROWS_LIMIT + 1).collect()
    columns = [{"name": field.name, "type": field.dataType.simpleString()} for field in frame.schema.fields]
    return _table(columns, [[_cell(value) for value in row] for row in rows])


def _pandas(frame: Any) -> Output:
    columns = [{"name": str(name), "type": str(kind)} for name, kind in zip(frame.columns, frame.dtypes, strict=True)]
    first = frame.head(ROWS_LIMIT + 1)
    rows = [list(row) for row in first.astype(object).where(first.notna(), None).itertuples(index=False, name=None)]
    return _table(columns, [[_cell(value) for value in row] for row in rows])


def _table(columns: list[dict[str, str]], rows: list[list[str | None]]) -> Output:
    kept: list[list[str | None]] = []
    size = 0
    for row in rows[:ROWS_LIMIT]:
        size += sum(len(value) for value in row if value is not None)
        if size > BYTES_LIMIT:
            break
        kept.append(row)
    note = None if len(kept) == len(rows) else f"The first {len(kept)} rows: a table shows 10,000 rows or 2 MB."
    return {"type": "table", "columns": columns, "rows": kept, "note": note}


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _is_figure(thing: Any) -> bool:
    return _is_a(thing, "matplotlib.figure", "Figure")


def _is_a(thing: Any, package: str, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.startswith(package) for kind in type(thing).__mro__)


def _own_html(value: Any) -> str | None:
    method = None if isinstance(value, type) else getattr(value, "_repr_html_", None)
    html = method() if callable(method) else None
    return html if isinstance(html, str) else None
