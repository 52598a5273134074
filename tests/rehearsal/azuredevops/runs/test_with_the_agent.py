"""Service and agent as processes of their own, and what happens when one of them is killed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehearsal.azuredevops.users import AGENT
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.killable import pipelines_of, process, service
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until

pytestmark = SOCKETS_LEFT_OPEN

YAML = """
trigger: none
stages:
  - stage: A
    jobs:
      - job: first
        steps:
          - checkout: none
          - script: |
              touch "$MARKS/begun"
              for number in 1 2 3 4 5 6 7 8 9; do echo "line $number"; sleep 0.3; done
              echo "##vso[task.setvariable variable=x;isOutput=true]hello"
            name: set
            displayName: Count
  - stage: B
    variables:
      taken: $[ stageDependencies.A.first.outputs['set.x'] ]
    jobs:
      - job: second
        steps:
          - checkout: none
          - script: echo "taken $(taken)" > "$MARKS/done"
"""


@contextmanager
def agent(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = ["-m", "rehearsal.agent", "--server", f"http://127.0.0.1:{port}", "--name", "A1", "--work", str(folder)]
    with process(*command, REHEARSAL_AGENT_TOKEN=CREDENTIALS[AGENT], MARKS=str(folder.parent)) as started:
        yield started


def _log(pipelines: Pipelines, run: int, task: str) -> str:
    record = pipelines.records(run, "Task")[task]
    headers = {"Accept": "text/plain"}
    return pipelines.http().get(f"build/builds/{run}/logs/{record['log']['id']}", headers=headers).text


def test_a_service_that_is_killed_while_a_job_runs_loses_nothing_of_it(tmp_path: Path, port: int) -> None:
    with service(tmp_path / "state", port, 8) as killed, agent(tmp_path / "agent", port):
        pipelines = pipelines_of(port, tmp_path / "work")
        run = pipelines.run(pipelines.define("two", YAML))
        until((tmp_path / "begun").exists, "the step")
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        with service(tmp_path / "state", port, 8):
            assert pipelines.result(run) == "succeeded"
            lines = [line.partition("Z ")[2] for line in _log(pipelines, run, "Count").splitlines()]
    assert (tmp_path / "done").read_text() == "taken hello\n"
    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(1, 10)]


def test_a_stage_whose_agent_was_killed_fails_and_succeeds_when_it_is_tried_again(tmp_path: Path, port: int) -> None:
    with service(tmp_path / "state", port, 8):
        pipelines = pipelines_of(port, tmp_path / "work")
        with agent(tmp_path / "agent", port) as killed:
            run = pipelines.run(pipelines.define("two", YAML))
            until((tmp_path / "begun").exists, "the step")
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
        with agent(tmp_path / "agent", port):
            assert pipelines.result(run) == "failed"
            (issue,) = pipelines.records(run, "Job")["first"]["issues"]
            assert "We stopped hearing from agent A1" in issue["message"]
            retry = {"state": "retry", "forceRetryAllJobs": False}
            pipelines.http().patch(f"build/builds/{run}/stages/A", json=retry).raise_for_status()
            assert pipelines.result(run) == "succeeded"
    assert (tmp_path / "done").read_text() == "taken hello\n"
