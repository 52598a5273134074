"""The cluster processes: shared, for one run, and those that don't start."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rehearsal.databricks import create_app, processes
from rehearsal.databricks.compute import MARKER
from rehearsal.service import Background
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

CLUSTER = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "new").write_text(json.dumps({"pid": os.getpid(), "options": sys.argv[2:]}))
(folder / "new").rename(folder / "cluster.json")
time.sleep(300)
"""
JOB_CLUSTER = {"job_cluster_key": "small", "new_cluster": {"spark_version": "16.4.x", "num_workers": 1}}


@contextmanager
def stand_in(state: Path, program: str = CLUSTER, **changes: Any) -> Iterator[Workspace]:
    compute = jobs.fake_compute(state, cluster=(sys.executable, "-S", "-c", program), **changes)
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, compute=compute)
    try:
        with Background(app) as url, Workspace(url, state) as workspace:
            yield workspace
    finally:
        app.close()
    assert processes.marked(MARKER, str(state / "runs")) == []


def names(state: Path) -> list[str]:
    return sorted(each.name for each in (state / "clusters").iterdir())


def test_serverless_tasks_share_a_cluster_and_a_runs_own_ends_with_it(tmp_path: Path) -> None:
    with stand_in(tmp_path) as workspace:
        orders = {"one": "show", "two": "show", "own": "show"}
        edges = {"own": {"job_cluster_key": "small"}, "two": {"job_cluster_key": "small"}}
        job_id = jobs.graph(workspace, orders, edges, job_clusters=[JOB_CLUSTER])
        run = jobs.run(workspace, job_id)
        shown = {key: jobs.printed(workspace, run, key) for key in orders}
        assert {key: each["kind"] for key, each in shown.items()} == {
            "one": "serverless",
            "two": "classic",
            "own": "classic",
        }
        assert shown["two"]["cluster"] == shown["own"]["cluster"] != shown["one"]["cluster"]
        jobs.until(lambda: names(tmp_path) == ["serverless-1"] or names(tmp_path) == ["serverless-2"], "the end")
        again = jobs.run(workspace, job_id)
        assert jobs.printed(workspace, again, "one")["cluster"] == shown["one"]["cluster"]
        assert jobs.printed(workspace, again, "own")["cluster"] != shown["own"]["cluster"]


def test_the_shared_cluster_ends_when_nobody_needs_it(tmp_path: Path) -> None:
    with stand_in(tmp_path, idle_seconds=0.3) as workspace:
        jobs.run(workspace, jobs.graph(workspace, {"a": ""}, {}))
        jobs.until(lambda: names(tmp_path) == [], "the cluster's end")
        jobs.until(lambda: processes.marked(MARKER, str(tmp_path / "runs")) == [], "its process's end")
        assert jobs.result(jobs.run(workspace, jobs.graph(workspace, {"a": ""}, {}))) == "SUCCESS"


def test_a_cluster_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with stand_in(tmp_path) as workspace:
        job_id = jobs.graph(workspace, {"a": "show"}, {})
        folder = Path(jobs.printed(workspace, jobs.run(workspace, job_id), "a")["cluster"])
        pid = json.loads((folder / "cluster.json").read_text())["pid"]
        [cluster] = [each for each in processes.marked(MARKER, str(tmp_path / "runs")) if each.pid == pid]
        cluster.kill()
        # It has got its signal, and ends as soon as it gets to run.
        jobs.until(lambda: cluster not in processes.marked(MARKER, str(tmp_path / "runs")), "the cluster's end")
        run = jobs.run(workspace, job_id)
        assert jobs.result(run) == "SUCCESS"
        assert jobs.printed(workspace, run, "a")["cluster"] != str(folder)


def test_a_cluster_that_does_not_start_fails_the_task_with_what_it_said(tmp_path: Path) -> None:
    broken = "import sys; sys.exit('no java here')"
    with stand_in(tmp_path, broken) as workspace:
        run = jobs.run(workspace, jobs.graph(workspace, {"a": ""}, {}))
        task = jobs.attempt_of(run, "a")
        assert jobs.result(run) == "FAILED"
        assert task.status is not None
        assert task.status.termination_details is not None
        details = task.status.termination_details
        assert details.code is not None
        assert (details.code.value, "no java here" in (details.message or "")) == ("CLUSTER_ERROR", True)


def test_a_cluster_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with stand_in(tmp_path, "import time; time.sleep(300)", start_seconds=0.5) as workspace:
        run = jobs.run(workspace, jobs.graph(workspace, {"a": ""}, {}))
        assert "was not ready within" in (jobs.output(workspace, run, "a").error or "")


def test_a_cancel_does_not_wait_for_the_cluster(tmp_path: Path) -> None:
    with stand_in(tmp_path, "import time; time.sleep(300)") as workspace:
        run_id = jobs.start(workspace, jobs.graph(workspace, {"a": ""}, {}))
        jobs.until((tmp_path / "clusters").exists, "the cluster's start")
        workspace.sdk().jobs.cancel_run(run_id)
        assert jobs.result(jobs.finished(workspace, run_id)) == "CANCELED"
