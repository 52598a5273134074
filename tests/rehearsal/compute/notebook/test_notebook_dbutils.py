"""dbutils: each call of it, and each refusal."""

from functools import reduce
from pathlib import Path

import pytest

from rehearsal.compute.notebook.dbutils import DBUtils
from rehearsal.compute.notebook.dbutils.files import Files
from rehearsal.compute.notebook.dbutils.secrets import Secrets
from rehearsal.compute.notebook.dbutils.widgets import Widgets
from rehearsal.compute.notebook.dbutils.workflow import Jobs, Library, Notebooks, TaskValues
from rehearsal.compute.notebook.errors import InputWidgetNotDefined, UnsupportedError
from rehearsal.compute.notebook.redaction import Redactor
from rehearsal.compute.notebook.task import Task
from rehearsal.databricks import create_app
from rehearsal.service import Background
from tests.rehearsal.compute.notebook.tasks import Runs, source
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

SECRET = 's3cr3t-"quoted"\nsecond-line'


def test_widgets_have_their_defaults_unless_the_run_has_a_parameter() -> None:
    widgets = Widgets({"schema": "given", "extra": "e"})
    widgets.text("schema", "default", "Label")
    widgets.dropdown("choice", "b", ["a", "b"])
    widgets.combobox("typed", "other", ["a"], label="Typed")
    widgets.multiselect("many", "a", ["a", "b"])

    assert widgets.getAll() == {"schema": "given", "extra": "e", "choice": "b", "typed": "other", "many": "a"}
    assert (widgets.get("choice"), widgets.getArgument("schema"), widgets.getArgument("none", "d")) == (
        "b",
        "given",
        "d",
    )

    widgets.remove("choice")
    with pytest.raises(InputWidgetNotDefined, match="No input widget named choice is defined"):
        widgets.get("choice")
    with pytest.raises(InputWidgetNotDefined):
        widgets.remove("choice")
    with pytest.raises(ValueError, match="is not one of its choices"):
        widgets.dropdown("wrong", "c", ["a", "b"])
    with pytest.raises(TypeError, match="are strings"):
        widgets.text("number", 5)  # type: ignore[arg-type]
    widgets.removeAll()
    assert widgets.getAll() == {}
    widgets.text("schema", "default")
    assert widgets.get("schema") == "given"


def test_a_missing_widget_fails_the_notebook_by_its_name(run: Runs) -> None:
    assert run("dbutils.widgets.get('nope')").error == "InputWidgetNotDefined: No input widget named nope is defined"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    dbutils.notebook.exit('value ü')\nexcept Exception:\n    print('caught')",
        "import helper\nhelper.leave(dbutils)",
        "try:\n    dbutils.notebook.exit('value ü')\nexcept:\n    pass",
    ],
)
def test_exit_ends_the_notebook_at_once_from_wherever_it_is_called(run: Runs, code: str) -> None:
    ran = run(code, "print('never')", files={"work/helper.py": "def leave(utils): utils.notebook.exit('value ü')"})

    assert (ran.code, ran.result.result, ran.result.truncated, ran.stdout) == (0, "value ü", False, "")
    assert [cell["state"] for cell in ran.cells] == ["SUCCESS", "SKIPPED"]


def test_an_exit_value_is_made_text_and_cut_at_five_megabytes(run: Runs) -> None:
    assert run("dbutils.notebook.exit(42)").result.result == "42"

    result = run("dbutils.notebook.exit('ü' * 3_000_000)").result
    assert (len(result.result or ""), result.truncated) == (5 * 1024 * 1024 // 2, True)


def test_a_notebook_runs_another_and_gets_its_value(run: Runs) -> None:
    ran = run(
        "answer = dbutils.notebook.run('lib/child', 60, {'n': '20'})",
        "dbutils.notebook.exit(answer + '!')",
        files={
            "work/lib/child.py": source(
                "dbutils.widgets.text('n', '0')\nprint('in the child')",
                "dbutils.notebook.exit(dbutils.notebook.run('../grandchild') + dbutils.widgets.get('n'))",
            ),
            "work/grandchild.py": source("x = 1"),
        },
        parameters={"own": "1"},
    )

    assert ran.result.result == "20!"
    assert ran.stdout == "in the child\n"
    (output,) = ran.outputs(1)
    assert (output["path"], output["state"], output["result"]) == ("/work/lib/child", "SUCCESS", "20")
    assert (ran.directory / output["directory"] / "notebooks" / "1" / "result.json").exists()
    assert "in the child" in ran.page


@pytest.mark.parametrize(
    ("child", "timeout", "message"),
    [
        ("raise ValueError('in the child')", 60, "/work/child failed: ValueError: in the child"),
        ("import os; os._exit(9)", 60, "/work/child crashed: its process ended with 9"),
        (
            "import subprocess; subprocess.run(['sleep', '600'])",
            1.5,
            "/work/child did not end within 1.5 s and was ended",
        ),
    ],
)
def test_a_called_notebook_that_fails_crashes_or_hangs_fails_the_call(
    run: Runs, child: str, timeout: float, message: str
) -> None:
    ran = run(
        f"try:\n    dbutils.notebook.run('child', {timeout})\nexcept Exception as error:\n    print(error)",
        f"dbutils.notebook.run('child', {timeout})",
        files={"work/child.py": source(child)},
    )

    assert ran.stdout == f"{message}\n"
    assert ran.error == f"WorkflowException: {message}"
    assert ran.outputs(1)[0]["state"] == "FAILED"


def test_task_values_are_set_for_later_tasks_and_read_of_earlier_ones(run: Runs) -> None:
    ran = run(
        "values = dbutils.jobs.taskValues\nvalues.set('rows', 5); values.set(key='list', value=[1, 'ü'])",
        "print(values.get('ingest', 'day'), values.get('ingest', 'none', default=7), values.get(taskKey='x', key='y',"
        " default='d', debugValue=0))",
        "values.get('ingest', 'none')",
        context={"jobId": "1", "runId": "2", "taskKey": "here"},
        task_values={"ingest": {"day": "2024-10-21"}},
    )

    assert ran.stdout == "2024-10-21 7 d\n"
    assert ran.result.values == {"rows": 5, "list": [1, "ü"]}
    assert ran.error == "ValueError: No task value with the key none of the task ingest, and no default."


def test_task_values_outside_of_a_job_and_beyond_their_limits() -> None:
    values = TaskValues(Task(directory=Path(), notebook="/x", workspace=Path(), data=Path()))

    assert values.get("a", "b", debugValue=3) == 3
    with pytest.raises(TypeError, match="outside of a job context"):
        values.get("a", "b")
    with pytest.raises(ValueError, match="48 KiB"):
        values.set("large", "x" * 49_152)
    with pytest.raises(TypeError, match="not JSON serializable"):
        values.set("object", object())
    for number in range(250):
        values.set(str(number), number)
    values.set("0", "again")
    with pytest.raises(ValueError, match="at most 250"):
        values.set("more", 1)


def test_restarting_python_forgets_the_names_and_goes_on_with_the_next_cell(run: Runs) -> None:
    ran = run("x = 1\ndbutils.library.restartPython()\nprint('never')", "print('x' in globals(), dbutils is not None)")

    assert ran.result.state == "SUCCESS"
    assert ran.stdout == "False True\n"


@pytest.mark.parametrize(
    "call",
    [
        "fs.mount",
        "fs.unmount",
        "fs.mounts",
        "fs.refreshMounts",
        "fs.cacheTable",
        "credentials",
        "data",
        "meta",
        "preview",
        "api",
        "notebook.getContext",
        "notebook.entry_point",
        "library.installPyPI",
        "widgets.help2",
        "jobs.anything",
        "jobs.taskValues.anything",
        "secrets.put",
    ],
)
def test_calls_that_are_not_known_are_refused_by_name(call: str) -> None:
    utilities = DBUtils(
        fs=Files(Path(), Path()),
        jobs=Jobs(Task(directory=Path(), notebook="/x", workspace=Path(), data=Path())),
        library=Library(),
        notebook=Notebooks(lambda *_: ""),
        secrets=Secrets("", "", Redactor()),
        widgets=Widgets({}),
    )

    with pytest.raises(UnsupportedError, match=f"does not know dbutils.{call}$"):
        reduce(getattr, call.split("."), utilities)


def test_help_lists_what_there_is(run: Runs) -> None:
    ran = run("dbutils.help()", "dbutils.fs.help()", "dbutils.widgets.help('text')")

    assert "fs: Manipulates the Databricks filesystem" in ran.text(1)
    assert "cp(source: str, dest: str, recurse: bool = False)" in ran.text(2)
    assert "text(" in ran.text(3)
    assert "dropdown(" not in ran.text(3)


def test_secrets_come_from_the_workspace_and_are_redacted_wherever_they_appear(run: Runs) -> None:
    app = create_app(run.data.parent / "databricks", control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as url, Workspace(url) as workspace:
        secrets = workspace.sdk().secrets
        secrets.create_scope("scope")
        secrets.put_secret("scope", "key", string_value=SECRET)
        ran = run(
            "value = dbutils.secrets.get('scope', 'key')\nassert len(value) == 27, len(value)\nprint(value)",
            "value",
            "import json, os, subprocess, sys\nprint(json.dumps({'v': value}), file=sys.stderr)\n"
            "for character in value: print(character, end='')\nprint()",
            "subprocess.run(['printf', '%s', value]);",
            "displayHTML('<b>' + value + '</b>'); display(value)\n"
            "import pandas as pd; display(pd.DataFrame({'v': [value]}))",
            "print(dbutils.secrets.list('scope'), dbutils.secrets.listScopes())\n"
            "assert dbutils.secrets.getBytes('scope', 'key') == value.encode()",
            "dbutils.jobs.taskValues.set('v', ['x' + value])",
            "dbutils.notebook.run('child', 60, {'given': value})",
            "print(dbutils.secrets._token)",
            "print('only the beginning: s3cr', end='')",
            "raise ValueError('it is ' + value)",
            files={
                "work/child.py": source(
                    "given = dbutils.widgets.get('given')\nassert len(given) == 27\nprint(given)",
                    "dbutils.notebook.exit(given)",
                )
            },
            host=url,
            token=CREDENTIALS["administrator"],
        )

        assert run("dbutils.secrets.get('scope', 'other')", host=url, token=CREDENTIALS["administrator"]).error == (
            "SecretError: Secret does not exist with scope: scope and key: other"
        )

    assert ran.error == "ValueError: it is [REDACTED]"
    assert ran.stdout.count("[REDACTED]") == 5
    assert ran.text(10) == "only the beginning: s3cr"
    assert "SecretMetadata(key='key')" in ran.text(6)
    assert "SecretScope(name='scope')" in ran.text(6)
    assert ran.result.values == {"v": ["x[REDACTED]"]}
    left = ran.everything()
    assert "s3cr3t" not in left
    assert "second-line" not in left
    assert CREDENTIALS["administrator"] not in left


def test_without_a_workspace_there_are_no_secrets(run: Runs) -> None:
    ran = run("dbutils.secrets.get('scope', 'key')")

    assert ran.error == "SecretError: this run has no workspace to read secrets from"
