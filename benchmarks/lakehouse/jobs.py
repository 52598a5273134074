"""How long a job's run takes to start, cold and warm: from the call to its end, of a notebook that asks Spark for 1."""

import base64
import secrets
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import compute, jobs, workspace

from rehearsal.databricks import create_app
from rehearsal.databricks.users import USER_KEYS
from rehearsal.service import Background

WARM_RUNS = 5
NOTEBOOK = b"# Databricks notebook source\nspark.range(1).count()\n"
CLUSTER = compute.ClusterSpec(spark_version="16.4.x-scala2.12", node_type_id="Standard_D4ds_v5", num_workers=1)


def measure(path: Path) -> None:
    """Measures and prints; there are no targets."""
    path.mkdir()
    tokens = {user: secrets.token_hex(16) for user in USER_KEYS}
    app = create_app(path / "state", control_token=secrets.token_hex(16), credentials=tokens)
    try:
        with Background(app) as address:
            client = WorkspaceClient(host=address, token=tokens["administrator"], auth_type="pat")
            content = base64.b64encode(NOTEBOOK).decode()
            client.workspace.import_(
                "/one", content=content, format=workspace.ImportFormat.SOURCE, language=workspace.Language.PYTHON
            )
            serverless = [_seconds(lambda: _run(client)) for _ in range(WARM_RUNS + 1)]
            own = _seconds(lambda: _run(client, CLUSTER))
    finally:
        app.close()
    warm = statistics.median(serverless[1:])
    print(f"\nRun of a job, from the call to its end: serverless cold {serverless[0]:.1f} s, warm {warm:.1f} s")
    print(f"  with a cluster of its own, which is always cold: {own:.1f} s")


def _run(client: WorkspaceClient, cluster: compute.ClusterSpec | None = None) -> None:
    task = jobs.SubmitTask(task_key="one", notebook_task=jobs.NotebookTask("/one"), new_cluster=cluster)
    client.jobs.submit_and_wait(tasks=[task])


def _seconds(call: Callable[[], None]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started
