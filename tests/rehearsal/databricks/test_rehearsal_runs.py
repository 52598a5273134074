"""Runs in a rehearsal that the command line starts and stops."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from rehearsal.databricks import processes
from rehearsal.databricks.compute import MARKER
from rehearsal.home import CHECKOUT, Home
from tests.rehearsal.databricks import run_helpers as jobs


class Line:
    """`python -m rehearsal` with a home of the test's own."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self._environment = {**os.environ, "REHEARSAL_HOME": str(path)}

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rehearsal", *arguments],
            cwd=CHECKOUT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path / "a home")
    yield line
    line("stop")


def left(home: Home) -> list[int]:
    return [each.pid for each in processes.marked(MARKER, str(home.runs))]


def start_run(home: Home, **settings: object) -> int:
    """Starts a job; gives the run."""
    headers = {"Authorization": f"Bearer {home.credentials.users['databricks']['administrator']}"}
    with httpx.Client(base_url=home.workspace_host, headers=headers, trust_env=False, timeout=20) as client:
        body: dict[str, object] = {"path": "/Shared/a", "format": "SOURCE", "language": "PYTHON", "overwrite": True}
        client.post("/api/2.0/workspace/import", json=body).raise_for_status()
        made = client.post("/api/2.2/jobs/create", json={"tasks": [jobs.task("a", "/Shared/a")], **settings})
        answer = client.post("/api/2.2/jobs/run-now", json=made.raise_for_status().json())
    return int(answer.raise_for_status().json()["run_id"])


def test_stop_leaves_no_process_even_after_a_kill_and_mail_is_listed(rehearsal: Line) -> None:
    rehearsal("start")
    home = rehearsal.home
    assert "no mail" in rehearsal("mail")
    start_run(home, email_notifications={"on_start": ["ops@city.example"]}, name="nightly")
    jobs.until(lambda: left(home), "the cluster's process")
    jobs.until(lambda: list(home.mail.glob("*.eml")), "the mail")
    listed = rehearsal("mail")
    assert "to ops@city.example: [Databricks] Job nightly started" in listed
    assert str(home.mail) in rehearsal("status")
    rehearsal("stop")
    assert left(home) == []

    rehearsal("start")
    start_run(home)
    jobs.until(lambda: left(home), "the cluster's process")
    service = next(each for each in _servers(home) if "databricks" in each.cmdline())
    service.kill()
    service.wait(10)
    assert left(home)
    rehearsal("stop")
    assert left(home) == []
    assert home.data.exists()
    rehearsal("reset")
    assert not any(each.exists() for each in (home.runs, home.data, home.clusters, home.mail))


def _servers(home: Home) -> list[psutil.Process]:
    return processes.marked("REHEARSAL_HOME", str(home.path))
