"""The rehearsal's command line: the life of the two services, and the environment for a shell."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from rehearsal import doctor
from rehearsal.home import CHECKOUT, SERVICES, Home
from rehearsal.processes import find
from rehearsal.service import listen


class CommandLine:
    """`python -m rehearsal` with a home of the test's own."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.environment = {**os.environ, "REHEARSAL_HOME": str(path)}

    def __call__(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "rehearsal", *arguments],
            cwd=CHECKOUT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def pids(self) -> dict[str, int]:
        """The processes that serve."""
        found = {service: find(self.home, service) for service in SERVICES}
        return {service: process.pid for service, process in found.items() if process}


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[CommandLine]:
    """A rehearsal that was never started."""
    # A blank in the path: everything that a shell sees must be quoted.
    line = CommandLine(tmp_path / "a home")
    yield line
    line("stop")


def test_starting_twice_leaves_the_first_processes_alone(rehearsal: CommandLine) -> None:
    first = rehearsal("start")
    assert first.returncode == 0, first.stderr
    before = rehearsal.pids()

    assert rehearsal("start").returncode == 0

    assert set(before) == set(SERVICES)
    assert rehearsal.pids() == before


def test_a_restart_keeps_ports_credentials_and_state(rehearsal: CommandLine) -> None:
    rehearsal("start")
    token = rehearsal.home.credentials.users["databricks"]["administrator"]
    workspace = httpx.Client(
        base_url=rehearsal.home.workspace_host, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    with workspace:
        workspace.post("/api/2.0/workspace/mkdirs", json={"path": "/kept"}).raise_for_status()
        stopped = rehearsal("stop")
        assert rehearsal.pids() == {}
        assert "azuredevops" in stopped.stdout

        rehearsal("start")

        assert workspace.get("/api/2.0/workspace/get-status", params={"path": "/kept"}).status_code == 200


def test_services_that_were_killed_start_again_with_their_state(rehearsal: CommandLine) -> None:
    rehearsal("start")
    address = rehearsal.home.workspace_host
    for pid in rehearsal.pids().values():
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [])
    assert rehearsal("status").returncode == 1

    assert rehearsal("start").returncode == 0

    assert rehearsal.home.workspace_host == address
    assert rehearsal("status").returncode == 0


def test_a_process_that_only_has_the_noted_number_is_left_alone(rehearsal: CommandLine) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        rehearsal.home.credentials  # noqa: B018 - makes the folder
        rehearsal.home.process_file("databricks").write_text(json.dumps({"pid": other.pid, "created": 1.0}))

        assert rehearsal("stop").returncode == 0

        assert other.poll() is None
        other.kill()


def test_a_port_that_somebody_else_has_is_named_with_the_remedy(rehearsal: CommandLine) -> None:
    with listen() as taken:
        port = taken.getsockname()[1]
        refused = rehearsal("start", "--databricks-port", str(port))

    assert refused.returncode == 1
    assert f"databricks can't have port {port}" in refused.stderr
    assert "rehearsal-clean" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_is_private_is_readable_by_its_owner_alone(rehearsal: CommandLine) -> None:
    rehearsal("start")
    home = rehearsal.home

    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    for file in (home.path / "credentials.json", home.passphrase):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_token_stands_on_a_command_line_or_in_a_log(rehearsal: CommandLine) -> None:
    rehearsal("start")
    credentials = rehearsal.home.credentials
    tokens = [credentials.control, *(token for users in credentials.users.values() for token in users.values())]

    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in rehearsal.pids().values()]
    logs = [rehearsal.home.log(service).read_text() for service in SERVICES]

    assert len(lines) == 2
    assert not [token for token in tokens for text in (*lines, *logs) if token in text]


def test_the_environment_s_lines_work_in_a_shell(rehearsal: CommandLine) -> None:
    rehearsal("start")
    foreign = {
        "DATABRICKS_CONFIG_PROFILE": "company",
        "ARM_CLIENT_SECRET": "of a real tenant",
        "PULUMI_STACK": "other",
        "PULUMI_CONFIG_PASSPHRASE": "other",
        "PULUMI_ACCESS_TOKEN": "pul-real",
        "AZDO_USE_OIDC": "true",
    }
    told = rehearsal("env", **foreign)
    assert told.returncode == 0, told.stderr
    question = "import json, os; print(json.dumps(dict(os.environ)))"

    script = f"{told.stdout}\n{shlex.quote(sys.executable)} -c {shlex.quote(question)}"
    seen = json.loads(
        subprocess.run(
            ["sh", "-euc", script], env={**rehearsal.environment, **foreign}, capture_output=True, text=True, check=True
        ).stdout
    )

    assert not set(foreign) & set(seen)
    assert seen["AZDO_ORG_SERVICE_URL"] == rehearsal.home.organization_url
    assert seen["DATABRICKS_TOKEN"] == rehearsal.home.credentials.users["databricks"]["administrator"]
    assert Path(seen["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text()
    version = subprocess.run(["pulumi", "version"], env=seen, capture_output=True, text=True, check=True)
    assert version.stdout.startswith("v3.")
    again = rehearsal("env", **seen)
    assert seen["PATH"] in again.stdout.replace("'", "")


def test_plain_git_gets_the_password_for_the_rehearsal_and_for_nothing_else(rehearsal: CommandLine) -> None:
    rehearsal("start")
    lines = rehearsal("env").stdout

    def ask(url: str) -> str:
        git = f"export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1\nprintf 'url={url}\\n\\n' | git credential fill"
        script = f"{lines}\n{git}"
        environment = {**rehearsal.environment, "HOME": str(rehearsal.home.path)}
        return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False).stdout

    tokens = rehearsal.home.credentials.users["azuredevops"]
    address = rehearsal.home.address("azuredevops")
    assert f"password={tokens['administrator']}" in ask(f"{address}/rehearsal/p/_git/r")
    assert f"password={tokens['dana']}" in ask(address.replace("//", "//dana@"))
    assert "password=" not in ask("https://dev.azure.com/company")


def test_without_a_rehearsal_the_environment_says_what_to_do(rehearsal: CommandLine) -> None:
    told = rehearsal("env")

    assert told.returncode == 1
    assert told.stdout == ""
    assert "make rehearsal" in told.stderr


def test_serve_ends_both_services_with_itself(rehearsal: CommandLine) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rehearsal", "serve"],
        cwd=CHECKOUT,
        env=rehearsal.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        while "Ctrl-C" not in serving.stdout.readline():
            pass
        assert len(rehearsal.pids()) == 2
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0

    assert rehearsal.pids() == {}


def test_reset_forgets_what_the_services_hold(rehearsal: CommandLine) -> None:
    rehearsal("start")
    token = rehearsal.home.credentials.users["databricks"]["administrator"]
    with httpx.Client(
        base_url=rehearsal.home.workspace_host, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as workspace:
        workspace.post("/api/2.0/workspace/mkdirs", json={"path": "/gone"}).raise_for_status()

        assert rehearsal("reset").returncode == 0

        assert workspace.get("/api/2.0/workspace/get-status", params={"path": "/gone"}).status_code == 404


def test_clean_leaves_nothing_behind(rehearsal: CommandLine) -> None:
    rehearsal("start")
    pids = rehearsal.pids()

    assert rehearsal("clean").returncode == 0

    assert not rehearsal.home.path.exists()
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]


def test_clean_leaves_a_folder_alone_that_holds_no_rehearsal(rehearsal: CommandLine) -> None:
    rehearsal.home.path.mkdir()
    (rehearsal.home.path / "thesis.txt").write_text("five years of work")

    refused = rehearsal("clean")

    assert refused.returncode == 1
    assert (rehearsal.home.path / "thesis.txt").exists()


def test_doctor_tells_a_service_that_does_not_answer(rehearsal: CommandLine) -> None:
    rehearsal("start")
    pid = rehearsal.pids()["databricks"]
    os.kill(pid, signal.SIGSTOP)
    try:
        text, well = doctor.examine(rehearsal.home)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert not well
    assert "databricks: process" in text
    assert "does not answer" in text


def test_an_unknown_command_is_refused_with_the_list_of_commands(rehearsal: CommandLine) -> None:
    refused = rehearsal("strat")

    assert refused.returncode == 2
    assert "start" in refused.stderr
