"""The page of a run."""

import re

from rehearsal.compute.notebook import page
from rehearsal.compute.notebook.task import Result
from tests.rehearsal.compute.notebook.tasks import Runs

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def test_nothing_of_a_notebook_becomes_part_of_the_page_itself(run: Runs) -> None:
    ran = run(
        f"# DBTITLE 1,{EVIL}\nprint({EVIL!r})\n{EVIL!r}",
        f"%md\n{EVIL}\n\n[link](javascript:alert(1)) ![image](https://example.org/x.png)",
        f"displayHTML({EVIL!r})\nimport pandas as pd\ndisplay(pd.DataFrame({{{EVIL!r}: [{EVIL!r}]}}))",
        f"raise ValueError({EVIL!r})",
        parameters={"evil": EVIL},
        user=EVIL,
    )

    assert ran.code == 1
    outside_frames = re.sub(r'srcdoc="[^"]*"', "", ran.page)
    assert "<script" not in ran.page
    assert "<img src=x" not in outside_frames
    assert 'href="javascript' not in ran.page
    assert "alert(1)" in ran.page
    assert re.findall(r"<iframe[^>]*?sandbox=\"\"", ran.page)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in ran.page


def test_the_page_says_state_parameters_result_and_where_it_failed(run: Runs) -> None:
    ran = run("x = 1", "dbutils.notebook.exit('the value')", parameters={"day": "2024-10-21"}, user="anna@example.org")
    assert "Succeeded</span> after" in ran.page
    assert "by anna@example.org" in ran.page
    assert '<dt>day</dt><dd class="mono">2024-10-21</dd>' in ran.page
    assert '<dt>Result</dt><dd class="mono">the value</dd>' in ran.page

    failed = run("x = 1", "x.nothing")
    assert 'AttributeError: &#39;int&#39; object has no attribute &#39;nothing&#39; (<a href="#cell-2">cell 2</a>)' in (
        failed.page
    )
    assert '<section class="cell failed" id="cell-2">' in failed.page


def test_long_tables_are_cut_on_the_page(run: Runs) -> None:
    ran = run("import pandas as pd\ndisplay(pd.DataFrame({'n': range(3000)}))")

    assert len(re.findall("<td>", ran.page)) == page.ROWS_SHOWN
    assert "3000 rows, the first 1000 here" in ran.page


def test_a_run_that_was_ended_before_its_first_cell_has_a_page_as_well(run: Runs) -> None:
    ran = run("x = 1")
    (ran.directory / "cells.json").unlink()

    page.write(ran.directory, Result(state="FAILED", error="Cancelled", error_trace="by anna"))

    assert "/work/main" in ran.page
    assert "Cancelled" in ran.page
    assert "by anna" in ran.page
