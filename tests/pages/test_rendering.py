"""What becomes HTML, and the differences between commits."""

import json
from pathlib import Path

import pytest

from rehearsal.azuredevops.git_store import Git
from rehearsal.pages import diffs, rendering
from tests.rehearsal.azuredevops.organization import commit, git


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<details onclick=alert(1)>",
        "<details ontoggle=alert(1) open>x</details>",
        "<b><iframe src=//example.com></b>",
        "[x](javascript:alert(1))",
        "![x](data:text/html;base64,AAAA)",
        "<!-- <script> -->\n<svg/onload=alert(1)>",
        "`<script>`",
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_markdown_does_nothing_that_somebody_wrote_as_html(text: str) -> None:
    html = str(rendering.markdown(text))
    for dangerous in ("<script", "<img", "<iframe", "<svg", "<details o", 'href="javascript', "<!--"):
        assert dangerous not in html


def test_markdown_opens_long_parts_at_a_click_and_draws_tables() -> None:
    html = str(
        rendering.markdown("<details><summary>12 notebooks</summary>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n</details>")
    )
    assert html.startswith("<details><summary>12 notebooks</summary>")
    assert "<td>2</td>" in html
    assert html.rstrip().endswith("</details>")


def test_code_keeps_its_lines_and_escapes_what_is_in_them() -> None:
    text = '"""one\n<b>two</b>\n"""\n\nx = "</span>"'
    lines = rendering.code_lines(text, "a.py")
    assert len(lines) == 5
    assert "&lt;b&gt;two&lt;/b&gt;" in lines[1]
    assert all(str(line).count("<span") == str(line).count("</span>") for line in lines)
    assert rendering.code_lines("<b>", "no language of that name")[0] == "&lt;b&gt;"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def _here(tree: Path) -> Git:
    return Git(tree / ".git")


def test_a_difference_tells_each_change_with_its_lines(tree: Path) -> None:
    (tree / "picture").write_bytes(b"\0\1")
    commit(tree, "old name.py", "a\n" * 20, "first")
    old = commit(tree, "gone.py", "--- a/x\n+++ b/x\n", "second")
    git(tree, "mv", "old name.py", "neu ü.py")
    git(tree, "rm", "--quiet", "gone.py")
    (tree / "picture").write_bytes(b"\0\2")
    new = commit(tree, "neu ü.py", "a\n" * 19 + "b\n", "third")
    found = {each.path: each for each in diffs.between(_here(tree), old, new)}
    assert {path: (each.change, each.added, each.removed) for path, each in found.items()} == {
        "/gone.py": ("delete", 0, 2),
        "/neu ü.py": ("rename", 1, 1),
        "/picture": ("edit", None, None),
    }
    assert found["/neu ü.py"].before == "/old name.py"
    # A line that looks like the heading of a difference is a line.
    assert [(line.kind, line.old, line.text) for line in found["/gone.py"].lines or []] == [
        ("part", None, ""),
        ("removed", 1, "--- a/x"),
        ("removed", 2, "+++ b/x"),
    ]
    changed = [line for line in found["/neu ü.py"].lines or [] if line.kind in ("added", "removed")]
    assert [(line.kind, line.old, line.new, line.text) for line in changed] == [
        ("removed", 20, None, "a"),
        ("added", None, 20, "b"),
    ]


def test_the_first_commit_differs_from_nothing(tree: Path) -> None:
    new = commit(tree, "a.py", "x\n", "first")
    assert [(each.path, each.change, each.added) for each in diffs.between(_here(tree), None, new)] == [
        ("/a.py", "add", 1)
    ]


def test_jupyter_notebooks_differ_by_their_cells_alone(tree: Path) -> None:
    def notebook(source: str, count: int) -> str:
        cell = {"cell_type": "code", "execution_count": count, "metadata": {}, "outputs": [], "source": source}
        return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    old = commit(tree, "plots.ipynb", notebook("draw(1)", 1), "first")
    new = commit(tree, "plots.ipynb", notebook("draw(2)", 7), "second")
    lines = diffs.between(_here(tree), old, new)[0].lines or []
    assert [line.text for line in lines if line.kind in ("added", "removed")] == ["draw(1)", "draw(2)"]


def test_a_thousand_changed_files_are_all_named_and_each_can_be_seen_alone(tree: Path) -> None:
    for number in range(1000):
        (tree / f"n{number:04}.py").write_text("x\n" * 20)
    old = commit(tree, "a.py", "", "first")
    for number in range(1000):
        (tree / f"n{number:04}.py").write_text("y\n" * 20)
    new = commit(tree, "b.py", "", "second")
    found = diffs.between(_here(tree), old, new)
    assert len(found) == 1001
    shown = [each for each in found if each.lines is not None]
    assert 0 < len(shown) < 200
    assert sum(len(each.lines or []) for each in shown) < diffs.MAX_LINES * 2
    alone = diffs.between(_here(tree), old, new, only="/n0999.py")
    assert [each.path for each in alone] == ["/n0999.py"]
    assert len(alone[0].lines or []) == 41
