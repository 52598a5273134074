"""Python cells: what they share, show and print, and how they fail."""

import base64

import pytest

from rehearsal.compute.notebook import page
from rehearsal.compute.notebook.task import Result
from tests.rehearsal.compute.notebook.tasks import Runs, jupyter

NAMES = ("stdout", "stderr")
EXIT = "import json; dbutils.notebook.exit(json.dumps({}))"


def test_cells_share_names_and_show_the_value_of_their_last_expression(run: Runs) -> None:
    ran = run(
        "from __future__ import annotations\nx = 20",
        "def double(y: Later):\n    return 2 * y\ndouble(x)",
        "x;",
        "None",
        "import sys\nprint(__name__, sys.modules['__main__'].x)\nprint('to stderr', file=sys.stderr)",
        "",
    )

    assert ran.result.state == "SUCCESS"
    assert [ran.text(number) for number in (1, 2, 3, 4)] == ["", "40", "", ""]
    assert ran.outputs(5) == [
        {"type": "text", "stream": "stdout", "text": "__main__ 20\n"},
        {"type": "text", "stream": "stderr", "text": "to stderr\n"},
    ]
    assert (ran.stdout, ran.stderr) == ("__main__ 20\n", "to stderr\n")


def test_modules_and_files_beside_the_notebook_are_found(run: Runs) -> None:
    ran = run(
        "from helper import double\nimport os\n"
        + EXIT.format("[double(4), open('note.txt').read(), os.path.basename(os.getcwd())]"),
        files={"work/helper.py": "def double(x): return 2 * x", "work/note.txt": "ünicode ✓"},
    )

    assert ran.value == [8, "ünicode ✓", "work"]


def test_an_error_shows_the_notebooks_lines_and_none_of_the_runners(run: Runs) -> None:
    ran = run(
        "ok = 1",
        "def broken():\n    raise ValueError('zwölf\\nmore')\n",
        "\n\ntry:\n    broken()\nexcept ValueError as error:\n    raise RuntimeError('as well') from error",
        "print('never')",
    )

    assert ran.error == "RuntimeError: as well"
    trace = ran.result.error_trace or ""
    assert 'File "/work/main, cell 3", line 2, in <module>\n    broken()' in trace
    assert "raise ValueError('zwölf" in trace
    assert "compute/notebook/" not in trace
    assert [cell["state"] for cell in ran.cells] == ["SUCCESS", "SUCCESS", "FAILED", "SKIPPED"]
    assert ran.cells[2]["error"] == trace


def test_a_syntax_error_is_shown_when_its_cell_runs(run: Runs) -> None:
    ran = run("print('first')", "def f(:\n    pass")

    assert ran.error == "SyntaxError: invalid syntax (main, cell 2, line 1)"
    assert ran.stdout == "first\n"
    assert "def f(:" in (ran.result.error_trace or "")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("exit()", "SystemExit: None"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("await something()", "UnsupportedError: the rehearsal does not know `await` outside of a function"),
        ("spark.range(1)", "UnsupportedError: this run has no Spark: its task names no cluster"),
    ],
)
def test_what_ends_a_cell_fails_the_run_and_is_named(run: Runs, code: str, message: str) -> None:
    ran = run(code, "print('never')")

    assert ran.error == message
    assert "never" not in ran.stdout


def test_a_notebook_that_ends_the_interpreter_leaves_its_exit_code_and_no_result(run: Runs) -> None:
    ran = run("print('still here')", "import os; os._exit(7)")

    assert ran.code == 7
    assert not (ran.directory / "result.json").exists()
    assert ran.stdout == "still here\n"
    assert [cell["state"] for cell in ran.cells] == ["SUCCESS", "RUNNING"]


def test_a_run_that_its_caller_kills_shows_which_cell_ran(run: Runs) -> None:
    process = run.start("print('one')", "import sys; print('ready'); sys.stdout.flush()\nwhile True: pass")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["one\n", "ready\n"]
    process.kill()
    process.communicate()
    ran = run.ended(process)

    assert not (ran.directory / "result.json").exists()
    assert [cell["state"] for cell in ran.cells] == ["SUCCESS", "RUNNING"]
    page.write(ran.directory, Result(state="FAILED", error="The run took too long"))
    assert 'The run took too long (<a href="#cell-2">cell 2</a>)' in ran.page


def test_threads_and_programs_that_a_notebook_leaves_behind_do_not_hold_the_run(run: Runs) -> None:
    ran = run(
        "import subprocess, threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "import multiprocessing; multiprocessing.Process(target=time.sleep, args=(600,)).start()\n"
        "left = subprocess.Popen(['sleep', '5'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    )

    assert ran.result.state == "SUCCESS"


def test_what_other_programs_print_stands_in_the_cell_that_started_them(run: Runs) -> None:
    ran = run(
        "import os\nprint('before')\nos.system('echo inside; echo wrong >&2')\nos.write(1, b'raw\\n');",
        "pid = os.fork()\nif pid == 0:\n    print('forked', flush=True); os._exit(0)\nos.waitpid(pid, 0);",
    )

    printed = ["".join(each["text"] for each in ran.outputs(1) if each["stream"] == name) for name in NAMES]
    assert printed == ["before\ninside\nraw\n", "wrong\n"]
    assert ran.text(2) == "forked\n"
    assert ran.stdout == "before\ninside\nraw\nforked\n"


def test_fifty_megabytes_of_output_are_cut_in_the_cell_and_passed_on(run: Runs) -> None:
    ran = run("for _ in range(500):\n    print('x' * 99_999)", "print('after')")

    assert ran.result.state == "SUCCESS"
    assert len(ran.stdout) == 50_000_000 + len("after\n")
    text, note = ran.outputs(1)
    assert len(text["text"]) == 10 * 1024 * 1024
    assert note == {"type": "note", "text": "The cell shows more than 10 MB; the rest is left out."}
    assert ran.text(2) == "after\n"


def test_a_notebook_of_five_megabytes_runs(run: Runs) -> None:
    line = "value = 'äöü' # " + "x" * 80 + "\n"
    cells = [line * 100 for _ in range(480)]

    ran = run(*cells, "value")

    assert ran.result.state == "SUCCESS"
    assert ran.text(481) == "'äöü'"
    assert len(ran.page) > 4_500_000


def test_frames_plots_and_html_are_shown(run: Runs) -> None:
    ran = run(
        "import pandas as pd\nframe = pd.DataFrame({'n': [1.5, None], 't': ['<b>', 'ü']})\ndisplay(frame)\nframe",
        "displayHTML('<h1>Hi</h1>')\ndisplay('text')",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('plotted')",
        "figure, axes = plt.subplots()\ndisplay(figure)",
        "display(pd.DataFrame({'n': range(10_001)}))",
        "display(frame, processingTime='1 second')",
    )

    assert ran.outputs(1)[0] == {
        "type": "table",
        "columns": [{"name": "n", "type": "float64"}, {"name": "t", "type": "object"}],
        "rows": [["1.5", "<b>"], [None, "ü"]],
        "note": None,
    }
    assert "<td>&lt;b&gt;</td>" in ran.outputs(1)[1]["html"]
    assert ran.outputs(2) == [{"type": "html", "html": "<h1>Hi</h1>"}, {"type": "value", "text": "'text'"}]
    assert [output["type"] for output in ran.outputs(3)] == ["text", "image"]
    assert base64.b64decode(ran.outputs(3)[1]["png"]).startswith(b"\x89PNG")
    assert [output["type"] for output in ran.outputs(4)] == ["image"]
    assert len(ran.outputs(5)[0]["rows"]) == 10_000
    assert ran.outputs(5)[0]["note"] == "The first 10000 rows: a table shows 10,000 rows or 2 MB."
    assert ran.error == "UnsupportedError: the rehearsal does not know display(..., processingTime=...)"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("open('/Volumes/main/s/v/x.csv')", "/Volumes/main/s/v/x.csv"),
        ("open('/dbfs/tmp/x')", "dbfs:/"),
        ("import pathlib; pathlib.Path('/Workspace/Users/x').exists()", "working folder"),
        ("import os; os.makedirs('/Volumes/main/s/v/new')", "dbutils.fs or Spark"),
        ("import os; os.listdir('/dbfs')", "/dbfs"),
    ],
)
def test_folders_that_only_databricks_mounts_are_refused_by_name(run: Runs, code: str, named: str) -> None:
    ran = run(code)

    assert ran.error.startswith("UnsupportedError: the rehearsal has no /")
    assert named in ran.error


def test_packages_get_the_notebooks_names_from_the_sdk(run: Runs) -> None:
    ran = run(
        "import helper\n" + EXIT.format("[helper.dbutils is dbutils, helper.display is display, helper.get('x')]"),
        files={
            "work/helper.py": "from databricks.sdk.runtime import dbutils, display\n"
            "def get(name): return dbutils.widgets.get(name)"
        },
        parameters={"x": "5"},
    )

    assert ran.value == [True, True, "5"]


def test_a_jupyter_notebook_runs_with_its_magics_and_markdown(run: Runs) -> None:
    ran = run(
        files={
            "work/main.ipynb": jupyter(
                ("markdown", "# Title ü"),
                "x = 2\nx * 21",
                "%%python\nx += 1",
                "%md *also*",
                ("raw", "not run"),
                "%run ./other",
                EXIT.format("[x, y]"),
            ),
            "work/other.py": "# Databricks notebook source\ny = x + 1",
        }
    )

    assert ran.value == [3, 4]
    assert ran.text(2) == "42"
    assert "<h1>Title ü</h1>" in ran.page
    assert "<em>also</em>" in ran.page


def test_the_token_of_the_run_is_not_for_the_notebook(run: Runs) -> None:
    ran = run("import os\nprint(os.environ.get('DATABRICKS_TOKEN'))", token="dapi-very-secret")

    assert ran.stdout == "None\n"


def test_pytest_runs_in_a_notebook_and_its_report_goes_to_a_volume(run: Runs) -> None:
    ran = run(
        "import tempfile, pytest\n"
        "report = tempfile.gettempdir() + '/junit.xml'\n"
        "code = pytest.main(['suite', '-q', '-p', 'no:cacheprovider', '--junit-xml', report])\n"
        "dbutils.fs.cp('file:' + report, '/Volumes/main/tests/results/junit.xml')\n"
        "print(int(code))",
        files={
            "work/suite/test_it.py": "import os\n"
            "def test_good(capfd, tmp_path):\n"
            "    print('hi'); os.system('echo yo')\n"
            "    assert capfd.readouterr().out == 'hi\\nyo\\n'\n"
            "def test_bad():\n    assert 1 == 2\n"
        },
    )

    assert "1 failed, 1 passed" in ran.text()
    assert ran.text().endswith("\n1\n")
    assert 'failures="1"' in (run.data / "volumes/main/tests/results/junit.xml").read_text()


def test_a_task_that_is_wrong_is_a_crash_and_no_failed_notebook(run: Runs) -> None:
    ran = run("x = 1", kind="gpu")

    assert ran.code == 2
    assert "kind is classic or serverless, not 'gpu'" in ran.stderr
    assert "unknown: nonsense" in run("x = 1", nonsense=1).stderr
