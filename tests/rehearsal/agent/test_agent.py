"""The agent as a process: it takes jobs, keeps its token to itself, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rehearsal.agent.listener import TOKEN_VARIABLE, Agent
from rehearsal.service import Background

from .fake_service import AGENT_TOKEN, FakeService
from .jobs import job_of

_ROOT = Path(__file__).resolve().parents[3]


class Running:
    """Agents in a process of their own."""

    def __init__(self, url: str, work: Path, parallel: int = 1) -> None:
        command = [sys.executable, "-m", "rehearsal.agent", "--server", url, "--name", "box", "--work", str(work)]
        self.process = subprocess.Popen(
            [*command, "--parallel", str(parallel)],
            cwd=_ROOT,
            env={**os.environ, TOKEN_VARIABLE: AGENT_TOKEN, "TEST_MARK": str(work)},
            stdout=subprocess.DEVNULL,
        )

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def url(service: FakeService) -> Iterator[str]:
    with Background(service.app) as url:
        yield url


def _of(work: Path, name: str) -> list[psutil.Process]:
    """The processes of this name that steps below this folder have started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == name and process.environ().get("TEST_MARK") == str(work):
                found.append(process)
        except psutil.Error:
            continue
    return found


_LONG = "steps:\n- checkout: none\n- bash: |\n    setsid sleep 323 &\n    sleep 323\n"


def test_an_agent_runs_jobs_one_after_the_other_and_no_step_gets_its_token(
    service: FakeService, url: str, tmp_path: Path
) -> None:
    agent = Running(url, tmp_path)
    try:
        for number in range(2):
            yaml = "steps:\n- checkout: none\n- bash: env\n"
            service.jobs.put(job_of(yaml, id=f"job-{number}"))
        service.wait_for(lambda: len(service.finished) == 2)
    finally:
        agent.end(signal.SIGTERM)
    assert agent.process.returncode == 0
    assert {each["result"] for each in service.finished.values()} == {"Succeeded"}
    everything = service.everything()
    assert "TF_BUILD=True" in everything
    assert AGENT_TOKEN not in everything
    assert TOKEN_VARIABLE not in everything
    assert (tmp_path / "box" / "_work" / "1" / "s").is_dir()


def test_an_agent_keeps_its_token_back_from_an_environment_that_has_it(
    service: FakeService, url: str, tmp_path: Path
) -> None:
    environment = {**os.environ, TOKEN_VARIABLE: AGENT_TOKEN}
    agent = Agent(server=url, token=AGENT_TOKEN, name="box", home=tmp_path, environment=environment)
    agent.start()
    try:
        service.jobs.put(job_of("steps:\n- checkout: none\n- bash: env\n", id="job-0"))
        service.wait_for(lambda: "job-0" in service.finished)
    finally:
        agent.stop()
    assert "TF_BUILD=True" in service.everything()
    assert AGENT_TOKEN not in service.everything()


def test_agents_of_one_process_run_jobs_at_the_same_time(service: FakeService, url: str, tmp_path: Path) -> None:
    agent = Running(url, tmp_path, parallel=2)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    try:
        for number in range(2):
            wait = f"touch {meeting}/{number}; while [ $(ls {meeting} | wc -l) -lt 2 ]; do sleep 0.1; done"
            yaml = f"steps:\n- checkout: none\n- bash: {wait}\n"
            service.jobs.put(job_of(yaml, id=f"job-{number}"))
        service.wait_for(lambda: len(service.finished) == 2)
    finally:
        agent.end(signal.SIGTERM)
    assert {each["result"] for each in service.finished.values()} == {"Succeeded"}


def test_what_a_killed_agent_left_behind_is_ended_by_the_next_one(
    service: FakeService, url: str, tmp_path: Path
) -> None:
    agent = Running(url, tmp_path)
    service.jobs.put(job_of(_LONG, id="job-0"))
    service.wait_for(lambda: len(_of(tmp_path, "sleep")) == 2)
    agent.end(signal.SIGKILL)
    assert len(_of(tmp_path, "sleep")) == 2
    left = _of(tmp_path, "sleep")
    beats = service.heartbeats["job-0"]
    assert beats >= 1
    agent = Running(url, tmp_path)
    try:
        service.wait_for(lambda: not any(process.is_running() and process.status() != "zombie" for process in left))
        service.jobs.put(job_of("steps:\n- checkout: none\n- bash: echo\n", id="job-1"))
        service.wait_for(lambda: "job-1" in service.finished)
    finally:
        agent.end(signal.SIGTERM)
    assert service.heartbeats["job-0"] == beats
    assert service.finished["job-1"]["result"] == "Succeeded"


def test_an_agent_that_is_stopped_ends_its_job_and_all_its_processes(
    service: FakeService, url: str, tmp_path: Path
) -> None:
    agent = Running(url, tmp_path)
    service.jobs.put(job_of(_LONG, id="job-0"))
    service.wait_for(lambda: len(_of(tmp_path, "sleep")) == 2)
    agent.end(signal.SIGTERM)
    assert service.finished["job-0"]["result"] == "Canceled"
    assert not _of(tmp_path, "sleep")
    assert "The agent has received a shutdown signal." in service.everything()


def test_two_agents_do_not_share_a_folder(url: str, tmp_path: Path) -> None:
    first = Running(url, tmp_path)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "box" / "agent.lock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = Running(url, tmp_path)
        assert second.process.wait(20) == 2
    finally:
        first.end(signal.SIGTERM)


def test_a_job_goes_on_while_the_service_is_away(service: FakeService, tmp_path: Path) -> None:
    background = Background(service.app)
    with background as url:
        agent = Running(url, tmp_path)
        script = f"touch {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
        yaml = f"steps:\n- checkout: none\n- bash: {script}\n"
        service.jobs.put(job_of(yaml, id="job-0"))
        service.wait_for((tmp_path / "up").exists)
    (tmp_path / "go").touch()
    time.sleep(1)
    with Background(service.app, int(url.rpartition(":")[2])):
        try:
            service.wait_for(lambda: "job-0" in service.finished)
        finally:
            agent.end(signal.SIGTERM)
    assert service.finished["job-0"]["result"] == "Succeeded"
