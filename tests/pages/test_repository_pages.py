"""Repositories in the browser: folders, files, notebooks, commits and branches."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.pages.conftest import Project, SignIn
from tests.rehearsal.azuredevops.organization import Organization, commit, git

NOTEBOOK = """# Databricks notebook source
# MAGIC %md
# MAGIC # Rides by day
# MAGIC <img src=x onerror=alert(1)> [x](javascript:alert(1))

# COMMAND ----------

print("rides")

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT count(*) FROM rides
"""
JUPYTER: dict[str, Any] = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["## Plots\n"]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "source": "1 + 1",
            "outputs": [
                {"output_type": "execute_result", "data": {"text/plain": "2", "text/html": "<b>two</b>"}},
                {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}},
            ],
        },
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def address(organization: Organization, project: Project, tmp_path: Path) -> str:
    """A repository with a notebook of each kind; the address of its page."""
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "--quiet", "--initial-branch=main")
    commit(
        tree,
        "README.md",
        "# Bikes\n\n<script>alert(1)</script> of the **city**\n\nIt has *bikes*.\n",
        "Say what this is",
    )
    commit(tree, "notebooks/rides.py", NOTEBOOK, "Count rides")
    commit(tree, "notebooks/plots.ipynb", json.dumps(JUPYTER), "Draw plots")
    commit(tree, "library/day.py", "def day(x: int) -> str:\n    return f'<day {x}>'\n", "Name days")
    git(tree, "push", "--quiet", organization.remote(project.name, quote(project.name)), "main")
    git(tree, "checkout", "--quiet", "-b", "topic/two")
    commit(tree, "notebooks/rides.py", NOTEBOOK.replace("count(*)", "sum(1)"), "Sum instead of count")
    git(tree, "push", "--quiet", organization.remote(project.name, quote(project.name)), "topic/two")
    return f"/rehearsal/{project.name}/_git/{project.name}"


def test_a_folder_shows_its_files_with_their_last_change_and_the_readme(address: str, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(address)
    rows = [row.inner_text().split("\t") for row in dana.page.locator("tbody tr").all()]
    assert [row[:2] for row in rows] == [
        ["library/", "Name days"],
        ["notebooks/", "Draw plots"],
        ["README.md", "Say what this is"],
    ]
    readme = dana.page.locator("#readme")
    assert readme.locator("h1").inner_text() == "Bikes"
    # What is written as HTML is shown, not done.
    assert "<script>alert(1)</script> of the **city**" in readme.inner_text()
    assert readme.locator("em").inner_text() == "bikes"
    dana.follow("notebooks/")
    assert "plots.ipynb" in dana.text()


def test_a_notebook_is_shown_by_its_cells_and_as_source(address: str, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"{address}?path=/notebooks/rides.py")
    cells = dana.page.locator("section.cell")
    assert cells.count() == 3
    assert cells.nth(0).locator("h1").inner_text() == "Rides by day"
    assert "<img src=x onerror=alert(1)>" in cells.nth(0).inner_text()
    assert cells.nth(0).locator("a, img").count() == 0
    assert cells.nth(1).locator("pre span.nb").inner_text() == "print"
    assert "sql" in cells.nth(2).inner_text()
    assert "MAGIC" not in dana.text()
    dana.follow("Show source")
    assert "# MAGIC %sql" in dana.text()


def test_a_jupyter_notebook_is_shown_with_its_outputs(address: str, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"{address}?path=/notebooks/plots.ipynb")
    assert dana.page.locator("h2").inner_text() == "Plots"
    assert dana.page.locator(".output pre").inner_text() == "2"
    assert dana.page.locator(".output img").get_attribute("src") == "data:image/png;base64,iVBORw0KGgo="


def test_a_file_is_shown_in_colours_with_numbered_lines_on_the_chosen_branch(
    address: str, at_azure_devops: SignIn
) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"{address}?path=/library/day.py#L2")
    assert dana.page.locator("tr#L2").inner_text() == "2\t    return f'<day {x}>'"
    assert dana.page.locator("tr#L1 span.nf").inner_text() == "day"
    dana.open(f"{address}?path=/notebooks/rides.py&version=GBtopic/two")
    assert "sum(1)" in dana.text()
    assert dana.open(f"{address}?path=/notebooks/none.py").status == 404
    assert "TF401174" in dana.refusal


def test_a_commit_shows_what_it_changed(address: str, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"{address}/commits?itemVersion=GBtopic/two")
    first = dana.page.locator("tbody tr").first
    assert "Sum instead of count" in first.inner_text()
    with dana.page.expect_navigation():
        first.locator("a").click()
    assert dana.page.locator("tr.removed").inner_text().split("\t")[::2] == [
        "13",
        "-# MAGIC SELECT count(*) FROM rides",
    ]
    assert dana.page.locator("tr.added").inner_text().split("\t")[1:] == ["13", "+# MAGIC SELECT sum(1) FROM rides"]


def test_branches_say_how_far_they_are_apart_and_lead_to_a_pull_request(address: str, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"{address}/branches")
    row = dana.page.get_by_role("row").filter(has_text="topic/two")
    assert "0 / 1" in row.inner_text()
    assert str(row.get_by_role("link", name="New pull request").get_attribute("href")).endswith("sourceRef=topic/two")


@pytest.mark.parametrize("path", ["", "?path=/notebooks/rides.py", "?path=/library/day.py", "/commits", "/branches"])
def test_no_page_is_wider_than_a_phone(address: str, at_azure_devops: SignIn, path: str) -> None:
    dana = at_azure_devops("Dana", viewport={"width": 360, "height": 740})
    dana.open(address + path)
    assert dana.width == 360
