"""What becomes of runs when the server is killed, stopped and started again."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehearsal.databricks import processes
from rehearsal.databricks.compute import MARKER
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

SERVER = """
import json, signal, sys
from dataclasses import replace
from pathlib import Path
from rehearsal.databricks import create_app
from rehearsal.databricks.compute import Compute
from rehearsal.service import listen, server
given = json.load(sys.stdin)
state = Path(given["state"])
compute = replace(Compute.below(state), runner=tuple(given["runner"]), cluster=(), grace_seconds=0.5)
app = create_app(state, control_token=given["control"], credentials=given["credentials"], compute=compute)
listener = listen(given["port"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(listener.getsockname()[1], flush=True)
try:
    server(app).run(sockets=[listener])
finally:
    app.close()
"""


@contextmanager
def server(
    state: Path, port: int = 0, runner: tuple[str, ...] = jobs.FAKE_RUNNER
) -> Iterator[tuple[Workspace, "subprocess.Popen[str]"]]:
    """A stand-in in a process of its own."""
    given = {"state": str(state), "control": CONTROL_TOKEN, "credentials": CREDENTIALS, "port": port, "runner": runner}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=processes.CHECKOUT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        with Workspace(f"http://127.0.0.1:{int(process.stdout.readline())}", state) as workspace:
            try:
                yield workspace, process
            finally:
                process.kill()


def left(state: Path) -> list[int]:
    return [each.pid for each in processes.marked(MARKER, str(state / "runs"))]


def test_a_killed_server_finds_its_runs_again(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with server(tmp_path) as (workspace, process):
        orders = {"a": f"wait {gate};exit 1", "b": ""}
        goes_on = jobs.start(workspace, jobs.graph(workspace, orders, {"b": {"after": ["a"]}}))
        jobs.running(workspace, goes_on, "a")
        dies = jobs.start(workspace, jobs.graph(workspace, {"dies": "sleep 300"}, {}))
        jobs.running(workspace, dies, "dies")
        waits = jobs.start(workspace, jobs.graph(workspace, {"waits": ""}, {}))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        port = int(workspace.url.rpartition(":")[2])
    [lost] = processes.marked(processes.TASK, str(tmp_path / "runs" / str(dies) / "dies-0"))
    lost.kill()
    with server(tmp_path, port) as (workspace, process):
        assert jobs.result(jobs.finished(workspace, waits)) == "SUCCESS"
        run = jobs.finished(workspace, dies)
        assert jobs.result(run) == "FAILED"
        assert run.state is not None
        assert "ended without a result while the workspace was not running" in (run.state.state_message or "")
        assert jobs.state(workspace.sdk().jobs.get_run(goes_on)) == "RUNNING"
        gate.touch()
        run = jobs.finished(workspace, goes_on)
        assert jobs.results(run) == {"a": "SUCCESS", "b": "SUCCESS"}
        assert len(run.tasks or []) == 2  # nothing was started twice
        process.terminate()
        process.wait(20)
    assert left(tmp_path) == []


def test_a_task_that_ended_while_the_server_was_away_has_its_result(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with server(tmp_path) as (workspace, process):
        run_id = jobs.start(workspace, jobs.graph(workspace, {"a": f"wait {gate};exit alone"}, {}))
        jobs.running(workspace, run_id, "a")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    gate.touch()
    jobs.until(lambda: not left(tmp_path), "end of the task")
    with server(tmp_path) as (workspace, process):
        run = jobs.finished(workspace, run_id)
        assert jobs.result(run) == "SUCCESS"
        assert jobs.output(workspace, run, "a").notebook_output.result == "alone"
        process.terminate()
        process.wait(20)


def test_a_stop_ends_what_runs_and_says_so(tmp_path: Path) -> None:
    with server(tmp_path) as (workspace, process):
        run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "deaf;child 300;sleep 300"}, {}))
        jobs.until(lambda: len(left(tmp_path)) == 2, "the task's child")
        process.terminate()
        assert process.wait(20) == 0
    assert left(tmp_path) == []
    with server(tmp_path) as (workspace, process):
        run = jobs.finished(workspace, run_id)
        assert jobs.result(run) == "CANCELED"
        assert run.state is not None
        assert "The rehearsal was stopped" in (run.state.state_message or "")
        process.terminate()
        process.wait(20)


def test_what_a_killed_server_left_is_ended_by_the_folder_of_its_runs(tmp_path: Path) -> None:
    with server(tmp_path) as (workspace, process):
        jobs.start(workspace, jobs.graph(workspace, {"a": "child 300;sleep 300"}, {}))
        jobs.until(lambda: len(left(tmp_path)) == 2, "the task's child")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert len(left(tmp_path)) == 2
    assert processes.end_all(tmp_path / "runs", grace_seconds=0.2) == 2
    assert left(tmp_path) == []


def test_a_task_gets_a_token_of_its_own_that_ends_with_it_and_none_of_the_servers_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_PASSWORD", "canary-77")
    run_id = jobs.start(workspace, jobs.graph(workspace, {"a": "sleep 300"}, {}))
    jobs.running(workspace, run_id, "a")
    folder = workspace.state / "runs" / str(run_id) / "a-0"
    [process] = processes.marked(processes.TASK, str(folder))
    environment = process.environ()
    assert "canary-77" not in str(environment)
    assert environment["DATABRICKS_TOKEN"] not in CREDENTIALS.values()
    assert environment["DATABRICKS_TOKEN"] not in " ".join(process.cmdline())
    for file in folder.rglob("*"):
        assert file.is_dir() or environment["DATABRICKS_TOKEN"].encode() not in file.read_bytes()
    workspace.sdk().jobs.cancel_run(run_id)
    jobs.finished(workspace, run_id)
    scopes = workspace.plain(
        "GET", "/api/2.0/secrets/scopes/list", headers={"Authorization": f"Bearer {environment['DATABRICKS_TOKEN']}"}
    )
    assert scopes.status_code == 403
