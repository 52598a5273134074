"""SQL cells, without Spark."""

from typing import Any

import pytest

from rehearsal.compute.notebook.dbutils.widgets import Widgets
from rehearsal.compute.notebook.errors import InputWidgetNotDefined, UnsupportedError
from rehearsal.compute.notebook.sql import Sql, split


class Session:
    """Keeps what it is asked, and gives it back as the result."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str] | None]] = []

    def sql(self, statement: str, args: dict[str, str] | None = None) -> Any:
        self.asked.append((statement, args))
        return self

    def collect(self) -> list[list[str]]:
        return [["a"], ["b"]]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\n\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \";\", `;` -- ; no\n; SELECT 'it''s;', 'a\\';b'", None),
        ("SELECT 1 /* ; */; -- nothing\n;;", ["SELECT 1 /* ; */"]),
        ("", []),
        ("-- only a comment", []),
        ("BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;", ["BEGIN\n  SELECT 1;\n  SELECT 2;\nEND"]),
    ],
)
def test_statements_end_at_semicolons_outside_of_texts_and_comments(text: str, statements: list[str] | None) -> None:
    wanted = ["SELECT ';', \";\", `;` -- ; no", "SELECT 'it''s;', 'a\\';b'"] if statements is None else statements
    assert split(text) == wanted


def test_widgets_are_named_parameters_of_the_statements_that_have_them() -> None:
    session, widgets = Session(), Widgets({"day": "2024-10-21", "catalog": "main", "unused": "x"})
    sql = Sql(widgets, lambda: session)

    sql.run("SELECT :day, ':catalog', x::int, :nowhere FROM IDENTIFIER(:catalog || '.t'); SELECT 1; SELECT a[0:1]")
    sql.run("SELECT * FROM ${catalog}.t WHERE d = '${day}' AND e = '${spark.own}' AND f = '\\${day}'")

    assert session.asked[0][1] == {"catalog": "main", "day": "2024-10-21"}
    assert session.asked[1] == ("SELECT 1", None)
    assert (
        session.asked[3][0] == "SELECT * FROM main.t WHERE d = '2024-10-21' AND e = '${spark.own}' AND f = '\\${day}'"
    )


def test_widgets_are_created_and_removed_by_sql() -> None:
    session, widgets = Session(), Widgets({"given": "from the run"})
    sql = Sql(widgets, lambda: session)

    assert (
        sql.run("CREATE WIDGET TEXT given DEFAULT 'x';\n-- a comment\ncreate widget text `b` default \"it's\"") is None
    )
    sql.run("CREATE WIDGET DROPDOWN c DEFAULT 'a' CHOICES SELECT * FROM VALUES ('a'), ('b')")

    assert widgets.getAll() == {"given": "from the run", "b": "it's", "c": "a"}
    assert session.asked == [("SELECT * FROM VALUES ('a'), ('b')", None)]
    sql.run("REMOVE WIDGET b")
    with pytest.raises(InputWidgetNotDefined):
        widgets.get("b")


@pytest.mark.parametrize(
    "statement",
    ["CREATE WIDGET SLIDER x DEFAULT '1'", "CREATE WIDGET DROPDOWN x DEFAULT '1'", "SELECT getArgument('x')"],
)
def test_what_is_not_known_of_sql_in_notebooks_is_refused_by_name(statement: str) -> None:
    with pytest.raises(UnsupportedError, match=r"WIDGET|getArgument|CHOICES"):
        Sql(Widgets({}), Session).run(statement)
