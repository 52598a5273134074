"""Magics: what they do, and what is refused before anything runs."""

from pathlib import Path

import pytest

from rehearsal.compute.notebook.errors import UnsupportedError
from rehearsal.compute.notebook.workspace import Workspace
from tests.rehearsal.compute.notebook.tasks import Runs, jupyter, source, write_tree


def test_run_shares_names_passes_parameters_and_nests(run: Runs) -> None:
    ran = run(
        "dbutils.widgets.text('who', 'nobody'); base = 1",
        "%run ./lib/first $who=\"the caller\" $other='b c'",
        "print(base, found, deeper, dbutils.widgets.get('who'))",
        "%run /Workspace/absolute",
        "print(base)",
        files={
            "work/lib/first.py": source(
                "dbutils.widgets.text('who', 'x'); dbutils.widgets.text('other', 'y')\n"
                "found = [dbutils.widgets.get(name) for name in ('who', 'other')]\nprint('first')",
                '%run "../second"',
            ),
            "work/second.py": source("deeper = base + 1"),
            "absolute.ipynb": jupyter("base = 100"),
        },
    )

    assert ran.result.state == "SUCCESS", ran.result.error_trace
    assert ran.stdout == "first\n1 ['the caller', 'b c'] 2 the caller\n100\n"
    assert [cell["kind"] for cell in ran.cells[1]["cells"]] == ["python", "run"]
    assert ran.cells[1]["cells"][0]["outputs"] == [{"type": "text", "stream": "stdout", "text": "first\n"}]
    assert 'id="cell-2.2.1"' in ran.page


def test_an_error_in_a_notebook_taken_in_by_run_names_that_notebook(run: Runs) -> None:
    ran = run("%run ./other", "print('never')", files={"work/other.py": source("1", "1 / 0")})

    assert ran.error == "ZeroDivisionError: division by zero"
    assert 'File "/work/other, cell 2", line 1' in (ran.result.error_trace or "")
    assert 'href="#cell-1.2"' in ran.page
    assert ran.cells[1]["state"] == "SKIPPED"


def test_run_of_a_notebook_that_is_not_there_fails_at_its_cell(run: Runs) -> None:
    ran = run("print('first')", "%run ./nowhere")

    assert ran.error == "FileNotFoundError: Notebook not found: /work/nowhere"
    assert ran.stdout == "first\n"


def test_run_of_a_file_that_is_no_notebook_fails(run: Runs) -> None:
    ran = run("%run ./plain.py", files={"work/plain.py": "x = 1"})

    assert ran.error == "FileNotFoundError: /work/plain.py is a file, not a notebook"


def test_exit_in_a_notebook_taken_in_by_run_ends_the_caller(run: Runs) -> None:
    ran = run("%run ./other", "print('never')", files={"work/other.py": source("dbutils.notebook.exit('done')")})

    assert ran.result.result == "done"
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("%scala\nval x = 1", "/work/main, cell 2: the rehearsal does not know %scala (Scala cells)"),
        ("%r\nx <- 1", "the rehearsal does not know %r (R cells)"),
        ("%timeit 1 + 1", "the rehearsal does not know %timeit"),
        ("%tb", "the rehearsal does not know %tb"),
        ("%conda install x", "the rehearsal does not know %conda (Conda)"),
        ("%nonsense", "the rehearsal does not know %nonsense"),
        ("x = 1\n%time y = 2", "%time is a magic that the rehearsal does not know"),
        ("x = 1\n%sql SELECT 1", "%sql must be at the beginning of its cell"),
        ("# a comment\n%run ./other", "%run must be alone in its cell"),
        ("%run ./other\nx = 1", "%run must be alone in its cell"),
        ("%run", "%run names no notebook"),
        ("%run ./other x=1", 'takes parameters like $name="value", not x=1'),
        ("%run ./circle", "%run in a circle: /work/main -> /work/circle -> /work/main"),
        ("%run ./refused", "/work/refused, cell 1: the rehearsal does not know %scala"),
        ("%run ./scala", "/work/scala: the rehearsal runs notebooks in Python and SQL, not in Scala"),
        ("%run ./statistics", "not in R"),
        ("%pip install pytest\nx = 1", "a cell with %pip holds nothing else"),
        ("!ls", "does not know !commands; write a cell with %sh"),
        ("files = !ls", "does not know !commands"),
        ("x = %env HOME", "does not know %env"),
        ("print?", "does not know IPython's `?`"),
    ],
)
def test_what_the_runner_does_not_know_is_refused_by_name(tmp_path: Path, cell: str, named: str) -> None:
    files: dict[str, str | bytes] = {
        "work/main.py": source("print('ran')", cell),
        "work/other.py": source("1"),
        "work/circle.py": source("%run ./main"),
        "work/refused.py": source("%scala\n1"),
        "work/scala.scala": "// Databricks notebook source\n1",
        "work/statistics.r": "# Databricks notebook source\n1",
    }
    write_tree(tmp_path, files)

    with pytest.raises(UnsupportedError) as refused:
        Workspace(tmp_path).check("/work/main")

    assert named in str(refused.value)


def test_what_is_refused_is_refused_before_anything_runs(run: Runs) -> None:
    ran = run("print('ran')", "%run ./other", files={"work/other.py": source("1", "%scala\nval x = 1")})

    assert ran.error == "UnsupportedError: /work/other, cell 2: the rehearsal does not know %scala (Scala cells)"
    assert ran.stdout == ""
    assert "does not know %scala" in ran.page


def test_a_cell_of_more_than_six_megabytes_is_refused(run: Runs) -> None:
    ran = run("x = '" + "y" * (6 * 1024 * 1024) + "'")

    assert ran.error == "UnsupportedError: /work/main, cell 1: a cell has at most 6 MB, as on Databricks"


def test_a_notebook_that_is_not_there_or_is_no_notebook_fails(run: Runs) -> None:
    assert run(notebook="/no", files={"a.txt": ""}).error == "FileNotFoundError: Notebook not found: /no"
    assert "is not a valid Jupyter notebook" in run(files={"work/main.ipynb": "{"}).error
    assert run(files={"work/main.ipynb": '{"nbformat": 3}'}).error.endswith("the rehearsal reads nbformat 4")


def test_shell_cells_are_off_until_the_task_switches_them_on(run: Runs) -> None:
    cells = ("%sh\necho out; echo err >&2; false", "%sh -e\nfalse\necho never")

    assert run(*cells).error == "UnsupportedError: the rehearsal runs %sh only when the task's setting `shell` is on"

    ran = run(*cells, shell=True)  # noqa: S604 - a setting of the task
    assert ran.text(1) in ("out\nerr\n", "err\nout\n")
    assert ran.cells[0]["state"] == "SUCCESS"
    assert ran.error.startswith("CalledProcessError: ")
    assert "never" not in ran.stdout


def test_pip_accepts_what_is_there_and_refuses_everything_else(run: Runs) -> None:
    files: dict[str, str | bytes] = {
        "work/requirements.txt": "# ours\njinja2>=3 # html\n\npackaging\nnot-there; python_version < '3'\n",
        "work/options.txt": "--index-url http://example.org\n",
    }
    ran = run(
        "%pip install 'pytest>=7' -q\n%pip install -r requirements.txt",
        "%pip list",
        "%pip show jinja2",
        "%pip freeze",
        files=files,
    )

    assert ran.result.state == "SUCCESS", ran.result.error_trace
    assert "Requirement already satisfied: pytest>=7" in ran.text(1)
    assert "Requirement already satisfied: packaging" in ran.text(1)
    assert "Ignoring not-there" in ran.text(1)
    assert "Name: Jinja2" in ran.text(3)

    ran = run(
        *[
            f"import rehearsal.compute.notebook.pip as pip\ntry:\n    pip.run({line!r})\n"
            "except Exception as error:\n    print(error)"
            for line in (
                "install pytest==1.0",
                "install databricks-no-such-package",
                "install --upgrade pytest",
                "install git+https://example.org/x",
                "install x@https://example.org/x.whl",
                "install -r options.txt",
                "uninstall pytest",
                "show databricks-no-such-package",
            )
        ],
        files=files,
    )
    said = ran.stdout.splitlines()
    assert "and pytest is there as" in said[0]
    assert said[1].endswith("and databricks-no-such-package isn't there")
    assert said[2].endswith("does not know %pip install --upgrade")
    assert "git+https://example.org/x names no version" in said[3]
    assert "installs nothing" in said[4]
    assert "this line of options.txt: --index-url" in said[5]
    assert said[6].endswith("does not know %pip uninstall pytest")
    assert said[7].endswith("isn't there")


def test_fs_calls_dbutils(run: Runs) -> None:
    ran = run("dbutils.fs.put('/tmp/a.txt', 'content')", "%fs ls dbfs:/tmp", "%fs head /tmp/a.txt", "%fs mount x")

    assert ran.outputs(2)[0]["rows"][0][:3] == ["dbfs:/tmp/a.txt", "a.txt", "7"]
    assert ran.text(3) == "'content'"
    assert ran.error == "UnsupportedError: the rehearsal does not know dbutils.fs.mount"


def test_titles_markdown_and_windows_line_ends_are_understood(run: Runs) -> None:
    text = source("# DBTITLE 1,The title ü\nx = 1", "%md-sandbox\n## Under *it*\n<script>alert(1)</script>", "print(x)")

    ran = run(files={"work/main.py": text.replace("\n", "\r\n")})

    assert ran.stdout == "1\n"
    assert ran.cells[0]["title"] == "The title ü"
    assert "<h2>Under <em>it</em></h2>" in ran.page
    assert "<script" not in ran.page
