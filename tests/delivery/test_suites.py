"""`test`: the suites' jobs are followed to their end, their results fetched, and their failures named."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery.__main__ import main
from delivery.console import Progress, RefusedError, UnusableError
from delivery.stack import Stack
from delivery.suites import SUITES, Outcome, run_suites
from tests.rehearsal.databricks import run_helpers
from tests.rehearsal.databricks.clients import CREDENTIALS, Workspace
from tests.rehearsal.databricks.run_helpers import until

ROOT = Path(__file__).parents[2]
STACK = Stack(
    name="test",
    environment="test",
    folder="/bike-sharing-test",
    workspace_host=None,
    organization_url=None,
    project="Databricks CI-CD",
    approvers=(),
)
JUNIT = b"<testsuites/>"
PASSED = {"passed": 3, "failed": 0, "skipped": 1, "seconds": 4.5, "failures": [], "figures": {"rows": 7}}
FAILED = {
    "passed": 2,
    "failed": 1,
    "seconds": 4.5,
    "failures": [{"test": "test_trips_are_counted", "message": "AssertionError: 3\nassert 3 == 4"}],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with run_helpers.served(tmp_path_factory.mktemp("databricks")) as clients:
        yield clients


@pytest.fixture
def workspace(running: Workspace) -> Workspace:
    running.control("POST", "reset")
    return running


class Suites(Progress):
    """Jobs whose notebooks are ordered to end in some way, after their results stand in the volume."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        super().__init__()
        self.workspace = workspace
        self.folder = folder
        self.heard: list[str] = []
        self._results: dict[str, Any] = {}

    def add(self, suite: str, end: str = "exit done", results: Any = PASSED, name: str | None = None) -> int:
        """A suite whose notebook ends so; gives the job's id."""
        self._results[suite] = results
        path = run_helpers.notebook(self.workspace, suite, f"wait {self._go(suite)}; {end}")
        told = {"catalog": "test", "schema": "bike_sharing", "volume": ""}
        parameters = [{"name": key, "default": value} for key, value in told.items()]
        tasks = [run_helpers.task("it", path)]
        return run_helpers.create(self.workspace, tasks, name=name or f"{suite} (test)", parameters=parameters)

    def run(self, *suites: str) -> list[Outcome]:
        client = self.workspace.sdk()
        return run_suites(client, STACK, suites, self.folder / "results", self, pause=0.05)

    def step(self, text: str) -> None:
        """Hears that a run was started, and lets its results arrive and the run end."""
        self.heard.append(text)
        suite, _, rest = text.partition(": run ")
        if rest.endswith("is started"):
            self.let(suite, rest.split()[0])

    def let(self, suite: str, run_id: str) -> None:
        results = self._results[suite]
        if results is not None:
            folder = f"/Volumes/test/bike_sharing/results/{suite}/{run_id}"
            files = self.workspace.sdk().files
            summary = results if isinstance(results, bytes) else json.dumps(results).encode()
            for name, content in (("junit.xml", JUNIT), ("summary.json", summary)):
                assert self.workspace.call("PUT", f"2.0/fs/files{folder}/{name}", content=content).status_code == 204
            assert files.get_metadata(f"{folder}/junit.xml").content_length == len(JUNIT)
        self._go(suite).touch()

    def _go(self, suite: str) -> Path:
        return self.folder / f"{suite}.go"


@pytest.fixture
def suites(workspace: Workspace, tmp_path: Path) -> Suites:
    return Suites(workspace, tmp_path)


def test_suites_run_together_and_leave_their_results_where_they_are_published_from(
    suites: Suites, tmp_path: Path
) -> None:
    for suite in SUITES:
        suites.add(suite)
    outcomes = suites.run(*SUITES)
    assert [(each.suite, each.succeeded, each.passed, each.skipped) for each in outcomes] == [
        (suite, True, 3, 1) for suite in SUITES
    ]
    assert outcomes[0].figures == {"rows": 7}
    files = {each.name: each.read_bytes() for each in (tmp_path / "results").iterdir()}
    assert {name for name, content in files.items() if content == JUNIT} == {f"TEST-{suite}.xml" for suite in SUITES}
    assert json.loads(files["performance.json"]) == PASSED
    # All were started before the first was asked for.
    assert all(text.endswith("is started") for text in suites.heard[:3])
    page = next(text for text in suites.heard if text.startswith("functional: ") and "http" in text)
    assert str(outcomes[0].run_id) in page


def test_failed_tests_are_named_in_the_first_line(suites: Suites) -> None:
    suites.add("functional", "fail functional: 1 of 3 tests failed", FAILED)
    suites.add("integration")
    functional, integration = suites.run("functional", "integration")
    assert not functional.succeeded
    assert functional.line == "functional: 1 of 3 tests failed: test_trips_are_counted"
    assert functional.failures[0].message == "AssertionError: 3\nassert 3 == 4"
    assert "TEST-functional.xml" in functional.files
    assert integration.succeeded


@pytest.mark.parametrize(
    ("end", "results", "told"),
    [
        ("fail the schema is missing", None, "the run ended with FAILED: ValueError: the schema is missing"),
        ("crash 9", PASSED, "the run ended with FAILED"),
        ("exit done", None, "there are no results in /Volumes/test/bike_sharing/results/functional/"),
        ("exit done", b'{"passed": 3', "there are no results in /Volumes/test/bike_sharing/results/functional/"),
        ("exit done", PASSED | {"passed": 0}, "no test was run"),
        ("exit done", FAILED, "functional: 1 of 3 tests failed"),
    ],
)
def test_a_suite_that_shows_no_success_has_failed(suites: Suites, end: str, results: Any, told: str) -> None:
    suites.add("functional", end, results)
    [outcome] = suites.run("functional")
    assert not outcome.succeeded
    assert told in outcome.line


def test_results_of_a_run_before_are_not_taken_for_this_ones(suites: Suites, tmp_path: Path) -> None:
    suites.add("functional", "fail it", None)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/TEST-functional.xml").write_bytes(JUNIT)
    (tmp_path / "results/functional.json").write_text(json.dumps(PASSED))
    [outcome] = suites.run("functional")
    assert (outcome.passed, outcome.files) == (0, ())
    assert list((tmp_path / "results").iterdir()) == []


def test_nothing_is_started_when_a_job_is_missing_or_there_twice(suites: Suites) -> None:
    suites.add("functional")
    suites.add("integration")
    suites.add("integration")
    with pytest.raises(RefusedError) as caught:
        suites.run(*SUITES)
    assert [mistake.key for mistake in caught.value.mistakes] == [
        "job 'integration (test)'",
        "job 'performance (test)'",
    ]
    assert list(suites.workspace.sdk().jobs.list_runs()) == []


@pytest.mark.parametrize(
    "order",
    [
        {"action": "status", "status": 429, "headers": {"Retry-After": "1"}},
        {"action": "status", "status": 503},
        {"action": "reset-before"},
        {"action": "reset-after"},
    ],
)
def test_one_run_is_started_and_followed_through_faults(suites: Suites, order: dict[str, Any]) -> None:
    suites.add("functional")
    for path in ("jobs/run-now", "jobs/runs/get", "jobs/list", "fs/files"):
        method = "*" if path != "fs/files" else "GET"
        suites.workspace.control("POST", "faults", json={"path": path, "method": method, **order})
    [outcome] = suites.run("functional")
    assert outcome.succeeded
    assert len(list(suites.workspace.sdk().jobs.list_runs())) == 1


def test_a_refusal_of_the_workspace_is_told_with_its_words(suites: Suites) -> None:
    job = suites.add("functional")
    seen = {"access_control_list": [{"user_name": "dana@rehearsal.example", "permission_level": "CAN_VIEW"}]}
    assert suites.workspace.call("PATCH", f"2.0/permissions/jobs/{job}", json=seen).status_code == 200
    with pytest.raises(UnusableError, match=r"does not have .* permission.*; .*CAN_MANAGE_RUN"):
        run_suites(suites.workspace.sdk("dana"), STACK, ["functional"], suites.folder, suites, pause=0.05)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a stack's file."""
    folder = tmp_path / "project"
    folder.mkdir()
    text = (
        "config:\n  databricks-cicd:environment: test\n  databricks-cicd:workspace:\n    folder: /bike-sharing-test\n"
    )
    (folder / "Pulumi.test.yaml").write_text(text)
    return folder


def begin(workspace: Workspace, project: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-B", "-m", "delivery", "test", "--suite", "functional", "--results", "results", *options],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(project),
            "PYTHONPATH": str(ROOT),
            "DATABRICKS_HOST": workspace.url,
            "DATABRICKS_TOKEN": CREDENTIALS["administrator"],
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(process: "subprocess.Popen[str]") -> str:
    """The id of the run that the command has started."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "is started" in line, line
    return line.split()[2]


def test_the_command_fails_as_the_suite_fails(suites: Suites, project: Path) -> None:
    suites.add("functional", "fail it", FAILED)
    with begin(suites.workspace, project) as process:
        suites.let("functional", started(process))
        out, _ = process.communicate()
    assert process.returncode == 1
    first, *rest = out.splitlines()
    assert first == "functional: 1 of 3 tests failed: test_trips_are_counted"
    assert "  assert 3 == 4" in rest
    assert rest[-1].startswith(f"functional: {suites.workspace.url}")
    assert (project / "results/TEST-functional.xml").read_bytes() == JUNIT


def test_the_command_tells_programs_every_figure(suites: Suites, project: Path) -> None:
    suites.add("functional")
    with begin(suites.workspace, project, "--json") as process:
        suites.let("functional", started(process))
        out, _ = process.communicate()
    assert process.returncode == 0
    told = json.loads(out)
    assert told["succeeded"] is True
    assert told["suites"][0]["figures"] == {"rows": 7}
    assert CREDENTIALS["administrator"] not in out


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_canceled_command_cancels_the_runs_that_it_started(
    suites: Suites, project: Path, sent: signal.Signals
) -> None:
    suites.add("functional")
    with begin(suites.workspace, project) as process:
        run_id = int(started(process))
        until(lambda: run_helpers.state(suites.workspace.sdk().jobs.get_run(run_id)) == "RUNNING")
        process.send_signal(sent)
        process.communicate()
    assert process.returncode == 130
    assert run_helpers.result(run_helpers.finished(suites.workspace, run_id)) == "CANCELED"


def test_two_addresses_are_refused_and_none_too(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["test", "--suite", "functional", "--results", str(project / "r"), "--project", str(project)]
    assert main(command) == 2
    assert "error: DATABRICKS_HOST: it isn't set" in capsys.readouterr().err
    with (project / "Pulumi.test.yaml").open("a") as file:
        file.write("  databricks-cicd:services:\n    workspaceHost: https://adb-1.azuredatabricks.net\n")
    monkeypatch.setenv("DATABRICKS_HOST", "https://adb-2.azuredatabricks.net")
    assert main(command) == 2
    assert "unset what is left over" in capsys.readouterr().err
