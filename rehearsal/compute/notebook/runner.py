"""Runs the cells of a notebook, one after the other."""

import os
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

from rehearsal.compute.notebook import guard, pip
from rehearsal.compute.notebook.calls import Calls
from rehearsal.compute.notebook.dbutils import DBUtils
from rehearsal.compute.notebook.dbutils.files import Files
from rehearsal.compute.notebook.dbutils.secrets import Secrets
from rehearsal.compute.notebook.dbutils.widgets import Widgets
from rehearsal.compute.notebook.dbutils.workflow import Jobs, Library, Notebooks
from rehearsal.compute.notebook.display import Display, table
from rehearsal.compute.notebook.errors import NotebookExit, PythonRestart, UnsupportedError, WorkflowException
from rehearsal.compute.notebook.python import Python, one_line, trace
from rehearsal.compute.notebook.record import CellRecord, Output, Record
from rehearsal.compute.notebook.redaction import Redactor
from rehearsal.compute.notebook.sql import Sql
from rehearsal.compute.notebook.streams import Streams
from rehearsal.compute.notebook.task import RESULT_LIMIT, Result, Task
from rehearsal.compute.notebook.workspace import Notebook, Workspace, resolve, run_arguments

_NO_SC = (
    "Serverless compute has no Spark context (`sc`): docs.databricks.com/compute/serverless/limitations. "
    "Use `spark`, or run the task on a job cluster."
)


class Runner:
    """One run.

    Args:
        task: the run.
        token: for the workspace's API.
        redactor: takes secrets out of what the run leaves; the runner tells it more.
    """

    def __init__(self, task: Task, token: str, redactor: Redactor) -> None:
        self._task = task
        self._redactor = redactor
        self._redactor.add(token)
        self._record = Record(task, redactor)
        self._cell: CellRecord | None = None
        self._notebook = task.notebook
        self._streams = Streams(
            redactor, lambda stream, text: self._add({"type": "text", "stream": stream, "text": text})
        )
        self._session: Any = None
        temporary = Path(os.path.realpath(task.directory)) / "tmp"
        temporary.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        os.environ.setdefault("MPLBACKEND", "Agg")
        self._calls = Calls(task, token, redactor, self._streams.originals)
        self._display = Display(self._add)
        self._widgets = Widgets(task.parameters)
        self._jobs = Jobs(task)
        self._notebooks = Notebooks(self._call)
        dbutils = DBUtils(
            fs=Files(task.data, temporary),
            jobs=self._jobs,
            library=Library(),
            notebook=self._notebooks,
            secrets=Secrets(task.host, token, redactor),
            widgets=self._widgets,
        )
        names = {
            "dbutils": dbutils,
            "display": self._display.display,
            "displayHTML": self._display.display_html,
            "getArgument": self._widgets.getArgument,
        }
        self._dbutils = dbutils
        self._sql = Sql(self._widgets, self._spark)
        self._python = Python(names, self._attach, self._display.value)
        _offer_runtime(names, self._attach)

    def run(self) -> Result:
        """Runs the notebook; whatever happens in it is in the result."""
        try:
            self._workspace = Workspace(self._task.workspace)
            self._workspace.check(self._task.notebook)
            notebook = self._workspace.notebook(self._task.notebook)
        except (UnsupportedError, ValueError, OSError) as error:
            self._record.write(now=True)
            return self._result(Result(state="FAILED", error=one_line(error), error_trace=trace(error)))
        self._record.cells = [CellRecord(cell) for cell in notebook.cells]
        sys.argv = [notebook.path]
        path = list(sys.path)
        sys.path[0] = str(notebook.file.parent)
        os.chdir(notebook.file.parent)
        guard.install()
        self._streams.start()
        try:
            result = self._run(notebook)
        finally:
            self._streams.stop()
            # What is imported from now on is the runner's own.
            sys.path[:] = path
        self._record.write(now=True)
        return self._result(result)

    def _run(self, notebook: Notebook) -> Result:
        try:
            self._run_cells(notebook, self._record.cells)
        except NotebookExit as ended:
            value = self._redactor.text(str(ended)).encode("utf-8", "replace")
            text = value[:RESULT_LIMIT].decode("utf-8", "ignore")
            return Result(state="SUCCESS", result=text, truncated=len(value) > RESULT_LIMIT)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are failures of the notebook, too
            return Result(state="FAILED", error=one_line(error, self._redactor.text), error_trace=trace(error))
        return Result(state="SUCCESS")

    def _result(self, result: Result) -> Result:
        result.error = result.error and self._redactor.text(result.error)
        result.error_trace = result.error_trace and self._redactor.text(result.error_trace)
        result.values = self._redactor.content(self._jobs.taskValues._values())
        return result

    def _run_cells(self, notebook: Notebook, records: list[CellRecord]) -> None:
        caller, self._notebook = self._notebook, notebook.path
        try:
            for number, record in enumerate(records, 1):
                try:
                    self._run_one(record, f"{notebook.path}, cell {number}")
                except PythonRestart:
                    self._python.clear()
                if self._notebooks._exited is not None:
                    # The cell has caught what should have ended it.
                    raise NotebookExit(self._notebooks._exited)
        finally:
            self._notebook = caller
            for record in records:
                if record.state == "WAITING":
                    record.state = "SKIPPED"

    def _run_one(self, record: CellRecord, name: str) -> None:
        outer, self._cell = self._cell, record
        record.state = "RUNNING"
        self._record.write()
        begin = time.monotonic()
        try:
            self._execute(record, name)
            record.state = "SUCCESS"
        except (NotebookExit, PythonRestart):
            record.state = "SUCCESS"
            raise
        except BaseException as error:
            if isinstance(error, NameError) and error.name == "sc" and self._task.kind == "serverless":
                error.add_note(_NO_SC)
            if record.cell.kind not in ("python", "run"):
                error.add_note(f"In {name} (%{record.cell.kind})")
            record.state = "FAILED"
            record.error = trace(error)
            raise
        finally:
            self._streams.sync()
            record.seconds = time.monotonic() - begin
            self._cell = outer
            self._record.write()

    def _execute(self, record: CellRecord, name: str) -> None:
        cell = record.cell
        match cell.kind:
            case "python":
                try:
                    self._python.run(cell.body, name)
                finally:
                    self._display.figures()
            case "sql":
                self._run_sql(cell.body)
            case "run":
                path, parameters = run_arguments(cell.options, self._notebook, name)
                notebook = self._workspace.notebook(path)
                self._widgets.bind(parameters)
                record.cells = [CellRecord(each) for each in notebook.cells]
                self._run_cells(notebook, record.cells)
            case "sh":
                self._run_shell(cell.options, cell.body)
            case "pip":
                for line in cell.body.splitlines():
                    print(pip.run(line))
            case "fs":
                self._run_fs(cell.options)

    def _run_sql(self, text: str) -> None:
        frame = self._sql.run(text)
        if frame is None:
            return
        # Of statements that give nothing there is nothing to show.
        if frame.columns:
            self._add(table(frame))
        self._python.add({"_sqldf": frame})

    def _run_shell(self, options: str, script: str) -> None:
        """Without `-e` a failing command doesn't fail the cell: docs.databricks.com/notebooks/notebooks-code."""
        if not self._task.shell:
            raise UnsupportedError("the rehearsal runs %sh only when the task's setting `shell` is on")
        strict = options.split()[:1] == ["-e"]
        first = options.removeprefix("-e").strip() if strict else options
        command = ["/bin/bash", *(["-e"] if strict else []), "-c", f"{first}\n{script}"]
        code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        if code and strict:
            raise subprocess.CalledProcessError(code, "%sh -e")

    def _run_fs(self, options: str) -> None:
        method, *arguments = options.split()
        result = getattr(self._dbutils.fs, method)(*arguments)
        if method == "ls":
            columns = [{"name": name, "type": "string"} for name in ("path", "name", "size", "modificationTime")]
            rows = [[str(value) for value in each] for each in result]
            self._add({"type": "table", "columns": columns, "rows": rows, "note": None})
        else:
            self._display.value(result)

    def _add(self, output: Output) -> None:
        if self._cell is not None:
            self._cell.add(output)
            # Should the cell never end: what it prints is in the process's streams, what it shows nowhere else.
            if output["type"] != "text":
                self._record.write()

    def _call(self, path: str, timeout: float, parameters: dict[str, str]) -> str:
        try:
            output, value = self._calls.run(resolve(path, self._notebook), timeout, parameters)
        except WorkflowException as error:
            self._add(error.output)
            raise
        self._add(output)
        return value

    def _attach(self) -> dict[str, Any]:
        spark = self._spark()
        return {"spark": spark} if self._task.kind == "serverless" else {"spark": spark, "sc": spark.sparkContext}

    def _spark(self) -> Any:
        if self._session is None:
            if self._task.cluster is None:
                raise UnsupportedError("this run has no Spark: its task names no cluster")
            from rehearsal.compute.spark.session import attach  # noqa: PLC0415 - half a second that few cells need

            self._session = attach(self._task.cluster, kind=self._task.kind)
        return self._session


def _offer_runtime(names: dict[str, Any], attach: Any) -> None:
    """`from databricks.sdk.runtime import dbutils, spark` in a package gives what the notebook has."""
    module = types.ModuleType("databricks.sdk.runtime", "What a notebook finds among its names.")

    def missing(name: str) -> Any:
        if name in ("spark", "sc", "sql", "table"):
            session = attach()
            found = session | {"sql": session["spark"].sql, "table": session["spark"].table}
            if name in found:
                return found[name]
        raise AttributeError(f"the rehearsal's databricks.sdk.runtime has no {name}")

    module.__dict__.update(names, __getattr__=missing)
    sys.modules[module.__name__] = module
