"""The tour, step by step, as README tells it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import processes, shell, toolchain
from rehearsal.home import CHECKOUT, HOME_VARIABLE, Home
from rehearsal.tour import project
from rehearsal.tour.people import Hands
from rehearsal.tour.team import Team, TourError, until

NOTEBOOK = "publish.py"
OLD = "# MAGIC Brings the gold tables"
NEW = "# MAGIC Every day: brings the gold tables"
BY_HAND = "\n# A change by hand, which nobody has reviewed.\n"
PRODUCTION = "/bike-sharing-production"


@dataclass
class Tour:
    """One tour. Its methods are its steps, in their order.

    Args:
        folder: an empty folder for the project, the clone and the rehearsal.
        say: is told what goes on.
        act: who does by hand what people do; without, the team itself, by the REST interface.
        seconds: how long each step took, by its title.
    """

    folder: Path
    say: Callable[[str], None]
    act: Callable[[Team], Hands] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "rehearsal")
        self.project = self.folder / "project"
        self.clone = self.folder / "clone"
        self.team = Team(self.home, self.say)
        self.hands: Hands = self.act(self.team) if self.act else self.team
        self.first = self.pull_request = self.build = self.release = 0

    def whole(self) -> None:
        """Everything.

        Raises:
            TourError: something went another way than it should.
        """
        self.bring_up()
        self.first_release()
        self.change_a_notebook()
        self.review()
        self.merge()
        self.approve()
        self.look()
        self.drift_and_repair()
        self.roll_back()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Names what is done, and how long it took."""
        self.say(f"\n== {title}")
        begun = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - begun
        self.say(f"   ({self.seconds[title]:.0f} s)")

    def bring_up(self) -> None:
        """Both stacks, on stand-ins of their own."""
        with self.step("make rehearsal: the project, its pipelines, its gates and both folders"):
            project.make(self.project)
            (self.project / ".venv").symlink_to(sys.prefix)
            processes.start(self.home)
            self.team.start_compute()  # Pulumi mostly waits; Spark starts meanwhile
            self.python("-m", "rehearsal", "up", "--project", str(self.project))
            self.say(f"   Azure DevOps {self.home.organization_url}\n   Databricks   {self.home.workspace_host}")

    def first_release(self) -> None:
        """What `main` holds goes to production, to have something to roll back to."""
        with self.step("The first release: what main holds is built, tested, approved and deployed"):
            self.first = self.hands.queue("dana", "build")
            self.hands.finished(self.first)
            self.release = self._release_after(0)
            approval = self.team.approval(self.release)
            self.hands.decide("avery", approval, "approved", "The first one.")
            self.hands.finished(self.release)

    def change_a_notebook(self) -> None:
        """Dana changes a notebook and opens a pull request; its build comments on it."""
        with self.step("Dana clones, changes a notebook, pushes a branch and opens a pull request"):
            self.team.clone("dana", self.clone)
            file = self.clone / "notebooks" / NOTEBOOK
            text = file.read_text(encoding="utf-8")
            if OLD not in text:
                raise TourError(f"notebooks/{NOTEBOOK} has no heading to change")
            file.write_text(text.replace(OLD, NEW), encoding="utf-8")
            project.git(self.clone, "switch", "--quiet", "--create", "say-when")
            project.commit(self.clone, "Say when demand is published", "Dana Developer", "dana@rehearsal.example")
            self.team.push("dana", self.clone, "refs/heads/say-when")
            self.pull_request = self.hands.open_pull_request("dana", "say-when", "Say when demand is published")
        with self.step("The pull request is built: checked, tested, packaged; a comment says what it would change"):
            self.hands.finished(self.team.build_of(self.pull_request))
            for thread in self.team.threads(self.pull_request):
                self.say("\n".join(f"   | {line}" for line in thread["comments"][0]["content"].splitlines()[:25]))
            self.policies()

    def policies(self) -> None:
        """Says how the branch's policies stand."""
        for name, status in self.team.evaluations(self.pull_request).items():
            self.say(f"   {status:<10} {name}")

    def review(self) -> None:
        """Devin reads the comment, resolves what is open and approves."""
        with self.step("Devin reads it, resolves what is open and approves"):
            for thread in self.team.threads(self.pull_request):
                if thread.get("status") == "active":
                    self.hands.resolve("devin", self.pull_request, thread["id"])
            self.hands.vote("devin", self.pull_request)
            self.policies()

    def merge(self) -> None:
        """Dana merges; `main` is built, released to test, and tested there."""
        with self.step("Dana merges; main is built"):
            before = max(self.team.runs_after("build", 0))
            self.hands.complete("dana", self.pull_request)
            self.build = self._after("build", before)
            self.hands.finished(self.build)
        with self.step("The release deploys to test, runs the suites there, and waits for an approval"):
            self.release = self._release_after(self.release)
            self.team.approval(self.release)
            for run in self._tests(self.release):
                self.say(f"   {run['passedTests']} tests passed, {run['unanalyzedTests']} failed: {run['name']}")

    def approve(self) -> None:
        """Avery approves; the release goes to production."""
        with self.step("Avery approves; the same artifact goes to production"):
            approval = self.team.approval(self.release)
            self.say(f"   {approval.get('instructions') or ''}")
            self.hands.decide("avery", approval, "approved", "The tests' results are good.")
            self.hands.finished(self.release)

    def look(self) -> None:
        """Both environments, side by side."""
        with self.step("python -m delivery status"):
            self.say(self.delivery("status"))

    def drift_and_repair(self) -> None:
        """Somebody edits a production notebook by hand; `drift` finds it and puts the release back."""
        with self.step("Somebody edits a notebook of production by hand; drift finds it, and puts the release back"):
            self.edit_by_hand()
            found = self.delivery("drift", "--stack", "prod", code=1)
            self.say(found)
            self.say(self.delivery("drift", "--stack", "prod", "--repair"))

    def edit_by_hand(self) -> None:
        """What a person does in the workspace's editor."""
        self.hands.add_to_notebook(f"{PRODUCTION}/{NOTEBOOK.removesuffix('.py')}", BY_HAND)

    def roll_back(self) -> None:
        """The first release again, through the same gates."""
        with self.step(f"Roll back: the artifact of build {self.first} again, through the same gates"):
            self.say(self.delivery("rollback", "--to", str(self.first)))
            self.release = self._release_after(self.release)
            self.hands.decide("avery", self.team.approval(self.release), "approved", "Back to what was there.")
            self.hands.finished(self.release)
            self.say(self.delivery("status"))

    def delivery(self, *arguments: str, code: int = 0) -> str:
        """Runs `python -m delivery` in the project as the administrator; gives what it printed.

        Raises:
            TourError: it ended with another code.
        """
        return self.python("-m", "delivery", *arguments, folder=self.project, code=code)

    def python(self, *arguments: str, folder: Path = CHECKOUT, code: int = 0) -> str:
        """Runs Python with the rehearsal's environment.

        Raises:
            TourError: it ended with another code.
        """
        environment = dict(os.environ) | {HOME_VARIABLE: str(self.home.path)}
        engine = toolchain.locate()
        if engine is not None and self.home.exists and self.home.port("databricks"):
            environment = shell.merged(self.home, engine)
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            words = " ".join(arguments)
            raise TourError(f"python {words} ended with {done.returncode}, and not {code}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _after(self, name: str, number: int) -> int:
        return until(lambda: next(iter(self.team.runs_after(name, number)), None), f"a run of {name}")

    def _release_after(self, number: int) -> int:
        return self._after("release", number)

    def _tests(self, number: int) -> list[Any]:
        dana = self.team.person("dana")
        found = dana.ask("GET", "_apis/test/runs", buildUri=f"vstfs:///Build/Build/{number}", includeRunDetails="true")
        return list(found["value"])
