"""Notebooks as cells, in every format, and how they differ."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.cells import Cell, Format, NotTextError, cells_of, compare

SOURCE = b"""# Databricks notebook source
# MAGIC %md
# MAGIC # Trips

# COMMAND ----------

# DBTITLE 1,Load
print("load")

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT 1
"""
JUPYTER = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["%md\n", "# Trips"]},
            {
                "cell_type": "code",
                "metadata": {"application/vnd.databricks.v1+cell": {"title": "Load"}},
                "source": 'print("load")',
                "outputs": [{"output_type": "stream", "name": "stdout", "text": ["load\n"]}],
                "execution_count": 1,
            },
            {"cell_type": "code", "metadata": {}, "source": ["%sql\n", "SELECT 1"], "outputs": []},
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
).encode()


@pytest.mark.parametrize(("content", "form"), [(SOURCE, "SOURCE"), (JUPYTER, "JUPYTER")])
def test_both_formats_have_the_same_cells_with_kind_title_and_text(content: bytes, form: Format) -> None:
    assert cells_of(content, form, "PYTHON") == (
        Cell(kind="md", title="", text="%md\n# Trips"),
        Cell(kind="python", title="Load", text='print("load")'),
        Cell(kind="sql", title="", text="%sql\nSELECT 1"),
    )


@pytest.mark.parametrize(("language", "comment"), [("SQL", "--"), ("SCALA", "//"), ("R", "#")])
def test_every_language_has_its_own_comments(language: str, comment: str) -> None:
    text = (
        f"{comment} Databricks notebook source\nfirst\n\n{comment} COMMAND ----------\n\n{comment} MAGIC %md second\n"
    )
    assert [(cell.kind, cell.text) for cell in cells_of(text.encode(), "SOURCE", language)] == [
        (language.lower(), "first"),
        ("md", "%md second"),
    ]


def test_a_changed_line_is_shown_in_its_cell_with_its_surroundings() -> None:
    [change] = compare(cells_of(SOURCE, "SOURCE"), cells_of(SOURCE.replace(b"SELECT 1", b"SELECT 2"), "SOURCE"))
    assert (change.operation, change.number, change.kind) == ("changed", 3, "sql")
    assert change.lines == (" %sql", "-SELECT 1", "+SELECT 2")
    assert (change.added, change.removed) == (1, 1)


def test_a_cell_that_comes_in_between_is_added_and_the_others_are_the_same() -> None:
    old = [Cell(kind="python", title="", text=text) for text in ("a = 1", "b = 2", "c = 3")]
    new = [old[0], Cell(kind="python", title="", text="fresh = 1"), *old[1:]]
    [change] = compare(old, new)
    assert (change.operation, change.number, change.lines) == ("added", 2, ("+fresh = 1",))
    [change] = compare(new, old)
    assert (change.operation, change.number, change.lines) == ("removed", 2, ("-fresh = 1",))


def test_a_changed_cell_is_found_among_added_ones() -> None:
    old = [Cell(kind="python", title="", text="one\ntwo\nthree")]
    new = [Cell(kind="python", title="", text="quite another"), Cell(kind="python", title="", text="one\ntwo\nfour")]
    assert [(change.operation, change.number) for change in compare(old, new)] == [("added", 1), ("changed", 2)]


def test_a_changed_title_is_a_change() -> None:
    [change] = compare(cells_of(SOURCE, "SOURCE"), cells_of(SOURCE.replace(b"1,Load", b"1,Read"), "SOURCE"))
    assert change.lines[:2] == ("-title: Load", "+title: Read")


def test_outputs_of_a_jupyter_notebook_are_no_change() -> None:
    assert not compare(cells_of(JUPYTER, "JUPYTER"), cells_of(JUPYTER.replace(b"load\\\\n", b"other\\\\n"), "JUPYTER"))


def test_a_file_is_one_cell_and_a_picture_none() -> None:
    assert cells_of(b"a\nb\n", "FILE") == (Cell(kind="", title="", text="a\nb"),)
    for content in (b"\x89PNG\xff", b"a\0b"):
        with pytest.raises(NotTextError):
            cells_of(content, "FILE")
    with pytest.raises(NotTextError, match="Jupyter"):
        cells_of(b"{}", "JUPYTER")


def test_what_is_too_large_to_compare_is_counted() -> None:
    old = [Cell(kind="", title="", text="\n".join(map(str, range(5_000))))]
    new = [Cell(kind="", title="", text="\n".join(map(str, range(1, 5_011))))]
    [change] = compare(old, new)
    assert (change.lines, change.added, change.removed) == ((), 10, 0)


TEXTS = st.lists(st.text(alphabet="ab\n `+-@", max_size=12), max_size=6)


@given(old=TEXTS, new=TEXTS)
def test_the_new_notebook_follows_from_the_old_one_and_the_differences(old: list[str], new: list[str]) -> None:
    before, after = ([Cell(kind="python", title="", text=text) for text in side] for side in (old, new))
    changes = compare(before, after)
    assert bool(changes) == (before != after)
    added = [line[1:] for change in changes for line in change.lines if line.startswith("+")]
    removed = [line[1:] for change in changes for line in change.lines if line.startswith("-")]
    assert lines(new) - len(added) == lines(old) - len(removed)
    assert all(line == "@@" or line[0] in "+- " for change in changes for line in change.lines)


def lines(texts: list[str]) -> int:
    return sum(len(text.split("\n")) for text in texts if text)
