"""What a run of a notebook is given, and what it leaves.

The caller makes a folder with `task.json`; the runner adds `cells.json` (as cells finish), `page.html` and, last,
`result.json`. Exit code 0: the notebook succeeded, 1: it failed; any other, or no `result.json`: the process crashed or
was ended, and the caller says so.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["classic", "serverless"]
State: TypeAlias = Literal["SUCCESS", "FAILED", "TIMEDOUT", "CANCELED"]
"""The runner says the first two; the others are for the page of a run that its caller has ended."""

RESULT_LIMIT = 5 * 1024 * 1024
"""Bytes of an exit value that are kept: docs.databricks.com/api/workspace/jobs/getrunoutput."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A notebook to run.

    Args:
        directory: the run's own folder.
        notebook: absolute path in the workspace.
        workspace: folder with the exported tree and its `.workspace.json`.
        parameters: values for the notebook's widgets.
        data: the folder that stands for cloud storage.
        cluster: folder of the Spark process; None: none is there, and a notebook that wants `spark` fails.
        kind: classic compute has `sc`, serverless doesn't.
        shell: whether `%sh` runs.
        user: whose run it is.
        host: address of the workspace's API, for secrets.
        context: ids of the job, the run and the task, if a job runs it.
        task_values: values that earlier tasks of the job have set, by task and key.
    """

    directory: Path
    notebook: str
    workspace: Path
    data: Path
    parameters: dict[str, str] = field(default_factory=dict)
    cluster: Path | None = None
    kind: Kind = "serverless"
    shell: bool = False
    user: str = ""
    host: str = ""
    context: dict[str, str] = field(default_factory=dict)
    task_values: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "Task":
        """Reads `task.json`.

        Raises:
            ValueError: a setting is missing, unknown or wrong.
        """
        directory = directory.absolute()
        given = json.loads((directory / "task.json").read_text())
        unknown = given.keys() - cls.__dataclass_fields__.keys() | (given.keys() & {"directory"})
        if unknown:
            raise ValueError(f"task.json: unknown: {', '.join(sorted(unknown))}")
        if given.get("kind", "serverless") not in ("classic", "serverless"):
            raise ValueError(f"task.json: kind is classic or serverless, not {given['kind']!r}")
        for name in ("workspace", "data", "cluster"):
            if given.get(name) is not None:
                given[name] = Path(given[name]).absolute()
        try:
            return cls(directory=directory, **given)
        except TypeError as error:
            raise ValueError(f"task.json: {error}") from None

    def write(self) -> None:
        """Writes `task.json` into the run's folder."""
        given = asdict(self)
        del given["directory"]
        self.directory.mkdir(parents=True)
        (self.directory / "task.json").write_text(json.dumps(given, default=str))


@dataclass(kw_only=True)
class Result:
    """How the notebook ended.

    Args:
        state: whether it succeeded, or who ended it.
        result: what `dbutils.notebook.exit` was given, at most `RESULT_LIMIT` bytes of it.
        truncated: whether that is not all of it.
        error: the error in one line.
        error_trace: the error with the notebook's lines.
        values: what `dbutils.jobs.taskValues.set` was given.
    """

    state: State
    result: str | None = None
    truncated: bool = False
    error: str | None = None
    error_trace: str | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "Result | None":
        """The result in a run's folder, if the run has come to one."""
        try:
            return cls(**json.loads((directory / "result.json").read_text()))
        except FileNotFoundError:
            return None


def write_json(path: Path, content: Any) -> int:
    """Writes a file so that readers see it whole or not at all; gives how many characters it has."""
    text = json.dumps(content, ensure_ascii=False)
    write_text(path, text)
    return len(text)


def write_text(path: Path, text: str) -> None:
    """Likewise; half of a surrogate pair, which UTF-8 can't hold, becomes `?`."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", errors="replace")
    fresh.replace(path)
