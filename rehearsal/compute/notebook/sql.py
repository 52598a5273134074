"""Runs SQL cells.

Several statements of a cell are separated by `;` and the result of the last one is shown
(docs.databricks.com/notebooks/notebooks-code). Widgets are given to statements as named parameters, `:name`, and in the
deprecated form `${name}` (docs.databricks.com/notebooks/widgets and /notebooks/legacy-widgets). `CREATE WIDGET` and
`REMOVE WIDGET` are statements of notebooks alone.
"""

import re
from collections.abc import Callable
from typing import Any

from rehearsal.compute.notebook.dbutils.widgets import Widgets
from rehearsal.compute.notebook.errors import UnsupportedError

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<quoted>[rR]?'(?:\\.|''|[^'\\])*(?:'|\Z)|[rR]?"(?:\\.|""|[^"\\])*(?:"|\Z)|`(?:``|[^`])*(?:`|\Z))
    |(?P<end>;)
    |(?P<marker>(?<![:\w]):(?P<name>[A-Za-z_]\w*))
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_LEGACY = re.compile(r"(?<!\\)\$\{([\w.-]+)\}")
_TEXT = r"""(?:"([^"]*)"|'([^']*)')"""
_CREATE = re.compile(
    rf"CREATE\s+WIDGET\s+(TEXT|DROPDOWN|COMBOBOX|MULTISELECT)\s+`?([\w.-]+)`?\s+DEFAULT\s+{_TEXT}(?:\s+CHOICES\s+(.+))?",
    re.IGNORECASE | re.DOTALL,
)
_REMOVE = re.compile(r"REMOVE\s+WIDGET\s+`?([\w.-]+)`?", re.IGNORECASE)


class Sql:
    """Runs SQL.

    Args:
        widgets: of the notebook.
        session: gives the Spark session.
    """

    def __init__(self, widgets: Widgets, session: Callable[[], Any]) -> None:
        self._widgets = widgets
        self._session = session

    def run(self, text: str) -> Any:
        """Runs the statements; gives the DataFrame of the last one, None if there is none.

        Raises:
            UnsupportedError: a word that only Databricks' SQL in notebooks has.
            Exception: Spark's.
        """
        result = None
        for statement in split(text):
            result = self._statement(statement)
        return result

    def _statement(self, statement: str) -> Any:
        statement = _LEGACY.sub(self._legacy, statement)
        bare = "".join(text for kind, text in _tokens(statement) if kind != "comment").strip()
        created = _CREATE.fullmatch(bare)
        if created:
            self._create(created)
            return None
        removed = _REMOVE.fullmatch(bare)
        if removed:
            self._widgets.remove(removed[1])
            return None
        if re.match(r"(CREATE|REMOVE)\s+WIDGET\b", bare, re.IGNORECASE):
            raise UnsupportedError(f"the rehearsal does not understand this statement: {bare}")
        if any(kind == "other" for kind, _ in _tokens(bare)) and re.search(r"\bgetArgument\s*\(", _code(bare)):
            raise UnsupportedError("the rehearsal does not know getArgument() in SQL; write :name")
        values = self._widgets.getAll()
        wanted = {text[1:] for kind, text in _tokens(statement) if kind == "marker"} & values.keys()
        if not wanted:
            return self._session().sql(statement)
        return self._session().sql(statement, args={name: values[name] for name in sorted(wanted)})

    def _create(self, created: re.Match[str]) -> None:
        kind, name, double, single, choices = created.groups()
        default = double if double is not None else single
        if kind.upper() == "TEXT":
            self._widgets.text(name, default)
            return
        if choices is None:
            raise UnsupportedError(f"CREATE WIDGET {kind.upper()} {name} has no CHOICES")
        found = [str(row[0]) for row in self._session().sql(choices).collect()]
        getattr(self._widgets, kind.lower())(name, default, found)

    def _legacy(self, found: re.Match[str]) -> str:
        # What is no widget may be a variable of Spark's own (spark.sql.variable.substitute).
        return self._widgets.getAll().get(found[1], found[0])


def split(text: str) -> list[str]:
    """The statements of a cell, without empty ones. A cell that begins with `BEGIN` is one script."""
    if re.match(r"\s*BEGIN\b", _code(text), re.IGNORECASE):
        return [text.strip().removesuffix(";")]
    statements = [""]
    for kind, token in _tokens(text):
        if kind == "end":
            statements.append("")
        else:
            statements[-1] += token
    return [each.strip() for each in statements if _code(each, quoted=True).strip()]


def _tokens(text: str) -> list[tuple[str, str]]:
    return [
        (str(found.lastgroup if found.lastgroup != "name" else "marker"), found[0]) for found in _TOKEN.finditer(text)
    ]


def _code(text: str, *, quoted: bool = False) -> str:
    """The text without comments and, unless `quoted`, without what stands in quotes."""
    left = {"comment"} if quoted else {"comment", "quoted"}
    return "".join(token for kind, token in _tokens(text) if kind not in left)
