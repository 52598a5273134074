"""`make rehearsal` with a small project: both stacks, again without a change, and no trace in the checkout."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.home import CHECKOUT, Home
from tests.running import begin, run, wait_until

pytestmark = pytest.mark.engine

PROGRAM = """
import os, subprocess
import pulumi
config = pulumi.Config()
pulumi.Stash("greeting", input=config.require("greeting"))
pulumi.export("changed", subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True).stdout)
pulumi.export("organization_url", os.environ["AZDO_ORG_SERVICE_URL"])
"""
# As a person writes it; Pulumi would write the comment's blanks and the quotes in another way.
STACK_FILE = 'config:\n  tiny:greeting:   "hello"   # to {stack}\n'


class Checkout:
    """A committed project, and the rehearsal's commands for it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        self.home = Home(folder / "home")
        self.environment = {**os.environ, "REHEARSAL_HOME": str(self.home.path), "REHEARSAL_PROJECT": str(self.project)}
        (self.project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        for stack in ("test", "prod"):
            (self.project / f"Pulumi.{stack}.yaml").write_text(STACK_FILE.format(stack=stack))
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=Dana", "-c", "user.email=dana@rehearsal.example", "commit", "--quiet", "-m", "first")

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.project, capture_output=True, text=True, check=True
        ).stdout.strip()

    def rehearsal(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run([sys.executable, "-m", "rehearsal", *arguments], CHECKOUT, self.environment)

    def begin_up(self) -> "subprocess.Popen[str]":
        """With a program that says when it runs, and then doesn't end; goes on when it runs."""
        (self.project / "__main__.py").write_text(
            "import pathlib, time\npathlib.Path('../running').touch()\ntime.sleep(600)\n"
        )
        begun = begin([sys.executable, "-m", "rehearsal", "up"], CHECKOUT, self.environment)
        wait_until((self.project.parent / "running").exists)
        return begun

    def shell(self, script: str) -> "subprocess.CompletedProcess[str]":
        """In a shell that has evaluated the environment's lines."""
        lines = self.rehearsal("env").stdout
        return run(["bash", "-c", f"{lines}\n{script}"], self.project, self.environment, seconds=120)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout whose rehearsal ends with the test."""
    made = Checkout(tmp_path)
    yield made
    made.rehearsal("clean")


def test_up_twice_then_by_hand_leaves_the_checkout_as_it_was(checkout: Checkout) -> None:
    first = checkout.rehearsal("up")
    assert first.returncode == 0, first.stdout
    assert first.stdout.count("1 created") + first.stdout.count("2 created") == 2
    assert checkout.home.organization_url in first.stdout
    assert "pulumi stack output" in first.stdout
    assert checkout.git("status", "--porcelain") == ""

    second = checkout.rehearsal("up")
    assert second.returncode == 0, second.stdout
    assert "created" not in second.stdout.split("The whole system stands")[0]
    assert checkout.git("status", "--porcelain") == ""

    by_hand = checkout.shell("pulumi preview --expect-no-changes --stack test && pulumi stack output --json")
    assert by_hand.returncode == 0, by_hand.stdout
    # While the program ran, too: what isn't committed isn't pushed to the new repository, and the user is warned of it.
    assert json.loads(by_hand.stdout[by_hand.stdout.rindex("{") :])["changed"] == ""
    assert checkout.git("status", "--porcelain") == ""


def test_a_setting_changed_by_hand_stays_and_brings_no_salt(checkout: Checkout) -> None:
    assert checkout.rehearsal("up").returncode == 0

    done = checkout.shell(
        "pulumi config set greeting goodbye --stack prod && pulumi up --yes --skip-preview --stack prod"
    )

    assert done.returncode == 0, done.stdout
    assert "1 updated" in done.stdout
    text = (checkout.project / "Pulumi.prod.yaml").read_text()
    assert "goodbye" in text
    assert "encryptionsalt" not in text


def test_an_encrypted_setting_keeps_what_it_takes_to_read_it(checkout: Checkout) -> None:
    assert checkout.rehearsal("up").returncode == 0

    assert checkout.shell("echo hush | pulumi config set --secret password --stack test").returncode == 0

    assert "encryptionsalt" in (checkout.project / "Pulumi.test.yaml").read_text()
    assert checkout.shell("pulumi config get password --stack test").stdout.strip() == "hush"


def test_the_lock_of_a_killed_update_is_named_with_the_way_out(checkout: Checkout) -> None:
    assert checkout.rehearsal("up").returncode == 0
    with checkout.begin_up() as running:
        os.killpg(running.pid, signal.SIGKILL)
    checkout.git("checkout", "--", "__main__.py")

    refused = checkout.rehearsal("up")

    assert refused.returncode == 1
    assert "stack test is locked by an update that was killed" in refused.stdout
    assert "pulumi cancel --yes --stack test" in refused.stdout
    assert checkout.shell("pulumi cancel --yes --stack test").returncode == 0
    again = checkout.rehearsal("up")
    assert again.returncode == 0, again.stdout
    assert checkout.git("status", "--porcelain") == ""


def test_ctrl_c_reaches_pulumi_and_frees_the_stack(checkout: Checkout) -> None:
    with checkout.begin_up() as running:
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does it
        told, _ = running.communicate(timeout=60)

    assert running.returncode == 1
    assert "Traceback" not in told
    checkout.git("checkout", "--", "__main__.py")
    assert checkout.rehearsal("up").returncode == 0


def test_a_program_that_fails_fails_the_command(checkout: Checkout) -> None:
    (checkout.project / "__main__.py").write_text("import pulumi\nraise pulumi.RunError('no such folder')\n")

    done = checkout.rehearsal("up")

    assert done.returncode == 1
    assert "no such folder" in done.stdout
    assert "make rehearsal" in done.stdout
    assert "--stack prod" not in done.stdout
