"""Notebooks that don't come to their end, in the real runner: limits, cancellation, crash, a killed server.

They want no Spark, so none is there.
"""

import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from rehearsal.databricks import processes, run_documents
from rehearsal.databricks.compute import MARKER, Compute
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.databricks.test_run_durability import left, server

HOUR = 3600
BEGIN = """# Databricks notebook source
print("<b>one</b>")

# COMMAND ----------

"""
# What a careless notebook catches doesn't save it.
ENDLESS = (
    BEGIN
    + """import subprocess, sys
displayHTML("<i>a table of its own</i>")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("child", child.pid, "dbutils", dbutils.secrets.get("ops", "key"))
while True:
    try:
        while True: pass
    except Exception: pass

# COMMAND ----------

print("never")
"""
)
CRASH = BEGIN + "import os\nprint('two')\nos._exit(3)\n"
WAIT = BEGIN + "import os, time\nprint('two')\nwhile not os.path.exists('{gate}'): time.sleep(0.02)\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A stand-in with the real runner, and without clusters."""
    state = tmp_path_factory.mktemp("unfinished")
    with jobs.served(state, runner=Compute.runner) as clients:
        clients.sdk().secrets.create_scope("ops")
        clients.sdk().secrets.put_secret("ops", "key", string_value="canary-2207")
        yield clients
    assert processes.marked(MARKER, str(state / "runs")) == []


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """For stand-ins of the test's own. A test that fails half way leaves no notebook that waits for ever."""
    yield tmp_path
    processes.end_all(tmp_path / "runs", grace_seconds=0)


def job(workspace: Workspace, source: str, **task: int) -> int:
    """A job with the one task `a`; gives its id."""
    # Of its own: a run may read it after the next one is written.
    path = f"/Shared/unfinished-{sha256(source.encode()).hexdigest()[:8]}"
    workspace.notebook(path, source.encode())
    return jobs.create(workspace, [jobs.task("a", path, **task)])


def printed(workspace: Workspace, run_id: int, word: str) -> str:
    """What the notebook has printed, once the word is in it."""
    stdout = workspace.state / "runs" / str(run_id) / "a-0" / "stdout"
    jobs.until(lambda: stdout.exists() and word in stdout.read_text(), f"the word {word}")
    return stdout.read_text()


def page(workspace: Workspace, run_id: int) -> str:
    [view] = workspace.sdk().jobs.export_run(run_id).views or []
    assert view.content is not None
    return view.content


def assert_shows_all_until_its_end(shown: str, state: str, error: str) -> None:
    """State and error, the cells with what they printed and showed, once, and how far the run came."""
    assert f'<span class="state {state}">' in shown
    assert f'{error} (<a href="#cell-2">cell 2</a>)' in shown
    assert shown.count("&lt;b&gt;one&lt;/b&gt;\n</pre>") == 1
    assert '<section class="cell failed" id="cell-2">' in shown


@pytest.mark.parametrize("ended_by", ["limit of the task", "cancellation"])
def test_an_endless_notebook_is_ended_with_its_children_and_has_a_page(
    served: Workspace, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    run_id = jobs.start(served, job(served, ENDLESS, timeout_seconds=HOUR))
    child = int(printed(served, run_id, "dbutils").partition("child ")[2].split()[0])
    assert jobs.alive(child)
    if ended_by == "cancellation":
        served.sdk().jobs.cancel_run(run_id)
        result, words = "CANCELED", "Run cancelled."
    else:
        now = run_documents.now
        monkeypatch.setattr(run_documents, "now", lambda: now() + HOUR * 1000)
        result, words = "TIMEDOUT", f"Task timed out after {HOUR} seconds."
    run = jobs.finished(served, run_id)
    assert jobs.results(run) == {"a": result}
    assert not jobs.alive(child)
    assert jobs.output(served, run, "a").error == words
    shown = page(served, run_id)
    assert_shows_all_until_its_end(shown, result, words)
    assert f"child {child} dbutils [REDACTED]" in shown
    assert "canary-2207" not in shown
    assert "a table of its own" in shown
    assert "never" in shown
    assert "Not begun" in shown


def test_a_notebook_that_ends_its_interpreter_fails_and_has_a_page(served: Workspace) -> None:
    run = jobs.run(served, job(served, CRASH))
    assert jobs.results(run) == {"a": "FAILED"}
    assert run.run_id is not None
    shown = page(served, run.run_id)
    assert_shows_all_until_its_end(shown, "FAILED", "The Python process exited unexpectedly, without a result.")
    assert "two\n</pre>" in shown


def test_a_killed_server_finds_its_notebooks_again_and_marks_the_one_that_died(state: Path) -> None:
    gate = state / "gate"
    with server(state, runner=Compute.runner) as (workspace, process):
        source = WAIT.format(gate=gate)
        runs = [
            jobs.start(workspace, job(workspace, each)) for each in (source + "dbutils.notebook.exit('on')", source)
        ]
        goes_on, dies = runs
        for each in runs:
            printed(workspace, each, "two")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    lost = processes.marked(processes.TASK, str(state / "runs" / str(dies) / "a-0"))
    for found in lost:
        found.kill()
    psutil.wait_procs(lost)
    with server(state, runner=Compute.runner) as (workspace, process):
        error = "The task's process ended without a result while the workspace was not running."
        assert jobs.result(jobs.finished(workspace, dies)) == "FAILED"
        assert_shows_all_until_its_end(page(workspace, dies), "FAILED", error.replace("'", "&#39;"))
        assert jobs.state(workspace.sdk().jobs.get_run(goes_on)) == "RUNNING"
        gate.touch()
        run = jobs.finished(workspace, goes_on)
        told = jobs.output(workspace, run, "a")
        assert (told.notebook_output.result, told.error) == ("on", None)
        process.terminate()
        process.wait(20)
    assert left(state) == []


def test_a_stop_leaves_a_page_of_what_it_ended(state: Path) -> None:
    with jobs.served(state, runner=Compute.runner) as workspace:
        run_id = jobs.start(workspace, job(workspace, WAIT.format(gate=state / "never")))
        printed(workspace, run_id, "two")
    with jobs.served(state, runner=Compute.runner) as workspace:
        words = "The rehearsal was stopped while this ran; it ended the run."
        assert_shows_all_until_its_end(page(workspace, run_id), "CANCELED", words)
