"""Programs under the language host, by the real engine: errors, exit codes, secrets, signals, hooks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rehearsal.toolchain import Toolchain, ensure
from tests.running import begin, run, wait_until

pytestmark = pytest.mark.engine

CANARY = "canary-of-the-settings"


class Project:
    """A Pulumi project with a program of a few lines."""

    def __init__(self, folder: Path, toolchain: Toolchain) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        (folder / "state").mkdir()
        self.environment = {
            **os.environ,
            **toolchain.environment(folder / "home"),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
        }
        (self.folder / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        self.pulumi("stack", "init", "here")

    def write(self, program: str) -> None:
        (self.folder / "__main__.py").write_text(program)

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", *arguments, "--non-interactive", "--color", "never"]

    def pulumi(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run(self.command(*arguments), self.folder, self.environment, seconds=120)

    def up(self) -> "subprocess.CompletedProcess[str]":
        return self.pulumi("up", "--yes", "--skip-preview")

    def begin_up(self) -> "subprocess.Popen[str]":
        return begin(self.command("up", "--yes", "--skip-preview"), self.folder, self.environment)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing is deployed."""
    return Project(tmp_path, ensure(report=lambda line: print(line, file=sys.stderr)))


def test_a_program_is_run_in_its_folder_with_its_settings(project: Project) -> None:
    project.pulumi("config", "set", "greeting", "hello")
    project.write("import pulumi, os\npulumi.export('said', [pulumi.Config().require('greeting'), os.getcwd()])\n")

    done = project.up()

    assert done.returncode == 0, done.stdout
    said = project.pulumi("stack", "output", "said").stdout
    assert "hello" in said
    assert str(project.folder) in said
    assert "warning" not in done.stdout


def test_an_error_that_the_program_words_itself_is_shown_without_a_traceback(project: Project) -> None:
    project.write("import pulumi\nraise pulumi.RunError('the folder is relative\\nallowed: an absolute one')\n")

    done = project.up()

    assert done.returncode != 0
    assert "error: the folder is relative\n    allowed: an absolute one" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_exception_is_shown_with_the_program_s_part_of_the_traceback(project: Project) -> None:
    project.write("def fail():\n    raise ValueError('out of range')\n\nfail()\n")

    done = project.up()

    assert done.returncode != 0
    assert "ValueError: out of range" in done.stdout
    assert "in fail" in done.stdout
    assert "language_program" not in done.stdout
    assert "runpy" not in done.stdout


def test_the_exit_code_of_a_program_that_ends_itself_is_told(project: Project) -> None:
    project.write("import sys\nsys.exit(3)\n")

    done = project.up()

    assert done.returncode != 0
    assert "non-zero exit code: 3" in done.stdout


def test_a_project_without_a_program_gets_a_sentence(project: Project) -> None:
    done = project.up()

    assert done.returncode != 0
    assert f"{project.folder / '__main__.py'} doesn't exist" in done.stdout


def test_no_process_has_a_setting_on_its_command_line(project: Project) -> None:
    # From standard input: as an argument it would be on the command line of `pulumi config set` itself.
    subprocess.run(
        ["pulumi", "config", "set", "plain"],
        cwd=project.folder,
        env=project.environment,
        input=CANARY,
        text=True,
        check=True,
        capture_output=True,
    )
    project.write(
        "import psutil, pulumi\n"
        f"assert pulumi.Config().require('plain') == {CANARY!r}\n"
        "lines = [' '.join(p.info['cmdline'] or []) for p in psutil.process_iter(['cmdline'])]\n"
        "pulumi.export('seen', [line for line in lines if pulumi.Config().require('plain') in line])\n"
        "pulumi.export('hosts', len([line for line in lines if 'language_program' in line]))\n"
    )

    done = project.up()

    assert done.returncode == 0, done.stdout
    assert project.pulumi("stack", "output", "seen").stdout.strip() == "[]"
    assert int(project.pulumi("stack", "output", "hosts").stdout) >= 1


def test_ctrl_c_ends_the_program_without_a_traceback_and_frees_the_stack(project: Project) -> None:
    project.write("import pathlib, time\npathlib.Path('running').touch()\ntime.sleep(600)\n")
    running = project.begin_up()
    wait_until((project.folder / "running").exists)

    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=60)

    assert running.returncode != 0
    assert "Traceback" not in told
    project.write("")
    assert project.up().returncode == 0


def test_a_killed_engine_leaves_no_program_running(project: Project) -> None:
    project.write(
        "import os, pathlib, time\npathlib.Path('pid.new').write_text(str(os.getpid()))\n"
        "os.rename('pid.new', 'pid')\ntime.sleep(600)\n"
    )
    running = project.begin_up()
    wait_until((project.folder / "pid").exists)
    program = psutil.Process(int((project.folder / "pid").read_text()))
    host = program.parent()
    assert host is not None

    running.kill()
    running.communicate()

    _, alive = psutil.wait_procs([program, host], timeout=30)
    assert alive == []


def test_hooks_that_take_threads_do_not_wait_for_registrations_to_end(project: Project) -> None:
    # More registrations at once than asyncio has threads by default on a small machine, fewer than the executor gives.
    project.write(
        "import asyncio, pulumi\n"
        "async def look(args):\n    await asyncio.to_thread(lambda: None)\n"
        "hook = pulumi.ResourceHook('look', look)\n"
        "for number in range(20):\n"
        "    options = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook]))\n"
        "    pulumi.Stash(f'stash-{number}', input=number, opts=options)\n"
    )

    done = project.pulumi("up", "--yes", "--skip-preview", "--parallel", "10")

    assert done.returncode == 0, done.stdout
    assert "21 created" in done.stdout


def test_about_names_interpreter_and_plugins(project: Project) -> None:
    project.write("")

    told = project.pulumi("about").stdout

    assert sys.executable in told
    assert "databricks" in told
