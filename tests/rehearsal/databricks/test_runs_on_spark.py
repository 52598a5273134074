"""Runs of real notebooks on real Spark: what the tests with a fake runner take for granted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.databricks import create_app, processes
from rehearsal.databricks.compute import MARKER, Compute
from rehearsal.service import Background
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import CONTROL_TOKEN, CREDENTIALS, Workspace

HEADER = "# Databricks notebook source\n"
WRITE = """spark.sql("CREATE SCHEMA IF NOT EXISTS test.bikes")
rows = int(dbutils.widgets.get("rows"))
spark.range(rows).write.mode("overwrite").saveAsTable("test.bikes.trips")
display(spark.table("test.bikes.trips").limit(3))
dbutils.jobs.taskValues.set("rows", rows)
dbutils.fs.put("/Volumes/test/bikes/results/1/summary.json", '{"rows": %d}' % rows, True)
"""
READ = """import helper
count = helper.total(spark, "test.bikes.trips")
assert count == int(dbutils.widgets.get("expected")), count
print("key", dbutils.secrets.get("ops", "key"))
dbutils.notebook.exit(str(count))
"""
FAIL = """print("before")
# COMMAND ----------
spark.table("test.bikes.missing").count()
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    state = tmp_path_factory.mktemp("spark")
    app = create_app(
        state,
        control_token=CONTROL_TOKEN,
        credentials=CREDENTIALS,
        compute=replace(Compute.below(state), memory="768m"),
    )
    with Background(app) as url, Workspace(url, state) as clients:
        yield clients
    app.close()
    assert processes.marked(MARKER, str(state / "runs")) == []


def source(workspace: Workspace, name: str, text: str) -> str:
    workspace.notebook(f"/Shared/{name}", (HEADER + text).encode())
    return f"/Shared/{name}"


def test_a_chain_of_notebooks_hands_on_tables_values_and_files(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    sdk.secrets.create_scope("ops")
    sdk.secrets.put_secret("ops", "key", string_value="canary-5512")
    module = b"def total(spark, name):\n    return spark.table(name).count()\n"
    workspace.call("POST", "2.0/workspace-files/import-file/Shared/helper.py?overwrite=true", content=module)
    tasks = [
        jobs.task("write", source(workspace, "write", WRITE), parameters={"rows": "1"}),
        jobs.task(
            "read",
            source(workspace, "read", READ),
            after=["write"],
            parameters={"expected": "{{tasks.write.values.rows}}"},
        ),
    ]
    job_id = jobs.create(workspace, tasks, parameters=[{"name": "rows", "default": "7"}])
    run = jobs.run(workspace, job_id)
    output = jobs.output(workspace, run, "read")
    assert (jobs.results(run), output.error) == ({"write": "SUCCESS", "read": "SUCCESS"}, None)
    assert output.notebook_output.result == "7"
    assert "canary-5512" not in output.logs
    contents = sdk.files.download("/Volumes/test/bikes/results/1/summary.json").contents
    assert contents is not None
    assert contents.read() == b'{"rows": 7}'
    task_run_id = jobs.attempt_of(run, "write").run_id
    assert task_run_id is not None
    [view] = sdk.jobs.export_run(task_run_id).views or []
    assert "saveAsTable" in (view.content or "")


def test_an_error_in_a_notebook_is_what_get_output_says(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.create(workspace, [jobs.task("a", source(workspace, "fail", FAIL))]))
    assert jobs.results(run) == {"a": "FAILED"}
    output = jobs.output(workspace, run, "a")
    assert "test.bikes.missing" in output.error.replace("`", "")
    assert "before" in workspace.sdk().jobs.export_run(output.metadata.run_id).views[0].content  # type: ignore[index,operator]  # it has one


def test_a_job_cluster_has_sc_and_ends_with_its_run(workspace: Workspace) -> None:
    path = source(workspace, "classic", "dbutils.notebook.exit(str(sc.parallelize([1, 2]).sum()))\n")
    clusters = [{"job_cluster_key": "small", "new_cluster": {"spark_version": "16.4.x", "num_workers": 1}}]
    tasks = [jobs.task("a", path, job_cluster_key="small")]
    run = jobs.run(workspace, jobs.create(workspace, tasks, job_clusters=clusters))
    output = jobs.output(workspace, run, "a")
    assert (output.error, output.notebook_output.result) == (None, "3")
    assert jobs.attempt_of(run, "a").cluster_instance is not None
    folder = Path(workspace.state / "clusters")
    jobs.until(lambda: all(each.name.startswith("serverless") for each in folder.iterdir()), "the cluster's end")
