"""`delivery deploy` to production, cut off: the record is true at that moment, and a repetition finishes.

Killed at any request to Databricks, without Databricks for a while or for good, and by an agent that is killed.
`tests/delivery/test_deploy_flow.py` does the same at every request of its own, with an engine that only pretends.
"""

import gc
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehearsal.azuredevops.users import AGENT
from tests.engine.releases import (
    command,
    content_of,
    delivery,
    deploy,
    read_json,
    record,
    release_of,
    said,
    there,
)
from tests.engine.shelf import Shelf
from tests.engine.system import System
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.killable import process
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, orchestrated_organization
from tests.running import begin, killed, wait_until

pytestmark = [pytest.mark.engine, SOCKETS_LEFT_OPEN]

# When a deployment is killed: at which of its requests to Databricks, of which there are a few more than thirty; and
# whether that one is done, and nobody hears of it.
MOMENTS = [(number, done) for number in range(36) for done in (False, True)]
HANDFUL = sorted(random.Random("killed deployments").sample(MOMENTS[:60], 3))  # noqa: S311 - a choice of moments


@pytest.fixture(scope="module")
def shared(shelf: Shelf) -> Iterator[System]:
    """Both stacks brought up by an administrator, with a small release."""
    with shelf.system("small") as system:
        yield system
    gc.collect()  # what Microsoft's client left open is collected here, where there is a filter for it


@pytest.fixture
def site(shared: System) -> Iterator["Site"]:
    """The shared system with an old release in production, and a new one packaged."""
    commit = shared.project.git("rev-parse", "HEAD")
    yield Site(shared)
    shared.workspace.forget()
    shared.project.git("reset", "--quiet", "--hard", commit)


class Site:
    """Production with an old release, which took `requests` requests to Databricks, and a new one to be deployed."""

    def __init__(self, system: System) -> None:
        self.system = system
        number = sum(1 for _ in system.home.glob("old-*"))
        old = release_of(system, f"old {number}", f"old-{number}")
        # One notebook is changed, one is moved, which is a create and a delete.
        (system.project.path / "sample/plan_vans.py").rename(system.project.path / "sample/reports/vans.py")
        self.new = release_of(system, f"new {number}", f"new-{number}")
        self.says = {content_of(each): each.name.replace("-", " ") for each in (old, self.new)}
        self._holds: dict[str, dict[str, bytes]] = {}
        self.requests = self.finish(old)

    def finish(self, artifact: Path) -> int:
        """Deploys; asserts that the release is there and recorded. Gives the number of requests to Databricks."""
        self.system.workspace.forget()
        outcome = deploy(self.system, artifact, "prod")
        assert outcome, outcome.text
        number = len(self.system.workspace.requests())
        assert self.has(artifact)
        self.system.workspace.forget()
        return number

    def has(self, artifact: Path) -> bool:
        """Whether this release is deployed and recorded, and nobody has the turn any more."""
        is_over = read_json(self.system, "prod", "lock.json") is None
        is_there = self.state() == "deployed"
        return is_there and is_over and record(self.system, "prod")["current"]["content"] == content_of(artifact)

    def state(self) -> str:
        """The recorded state; asserts that it is true."""
        found = record(self.system, "prod")
        current, text = found["current"]["content"], said(self.system, "prod")
        if found["state"] == "deployed":
            assert found["attempt"] is None
            assert text == self.says[current]
            # Whenever a release is said to be there, all of it is: the same files as at any other such time.
            holds = there(self.system, "prod")
            assert holds == self._holds.setdefault(current, holds)
        else:
            assert found["state"] in ("deploying", "failed")
            assert text in (self.says[current], self.says[found["attempt"]["content"]])
        return str(found["state"])

    def kill(self, number: int, done: bool) -> bool:
        """Deploys the new release and kills that at a moment, see `MOMENTS`; gives whether it wasn't over before."""
        service = self.system.workspace
        if done:
            service.fault("reset-after", skip=number)
        service.fault("reset-before", skip=number, count=1_000_000)
        cut = killed(
            command("deploy", "--artifact", str(self.new), "--stack", "prod"),
            self.new,
            self.system.project.environment,
            lambda: any(each["fault"] for each in service.requests()),
        )
        service.forget()
        return cut


def kill_and_repeat(site: Site, number: int, done: bool) -> None:
    cut = site.kill(number, done)
    assert cut or number >= site.requests - 3, "the deployment was over before it was killed"
    assert site.state() in (("deploying", "deployed") if cut else ("deployed",))
    site.finish(site.new)
    nothing = delivery(site.system, "drift", "--stack", "prod")
    assert nothing, nothing.text


@pytest.mark.parametrize(("number", "done"), HANDFUL)
def test_killed_at_a_moment_the_record_is_true_and_a_repetition_finishes(site: Site, number: int, done: bool) -> None:
    kill_and_repeat(site, number, done)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "done"), [each for each in MOMENTS if each not in HANDFUL])
def test_killed_at_any_moment_the_record_is_true_and_a_repetition_finishes(site: Site, number: int, done: bool) -> None:
    kill_and_repeat(site, number, done)


@pytest.mark.slow
def test_killed_and_killed_again_the_record_is_true_and_the_third_finishes(site: Site) -> None:
    for number in (20, 24):
        assert site.kill(number, done=True)
        assert site.state() == "deploying"
    site.finish(site.new)


def test_with_databricks_away_for_some_seconds_a_deployment_goes_on_by_itself(site: Site) -> None:
    arguments = command("deploy", "--artifact", str(site.new), "--stack", "prod")
    with begin(arguments, site.new, site.system.project.environment) as running:
        wait_until(lambda: record(site.system, "prod")["state"] == "deploying")
        site.system.workspace.stop()
        time.sleep(3)
        site.system.workspace.start()
        told, _ = running.communicate()
    assert running.returncode == 0, told
    assert site.has(site.new)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_with_databricks_down_for_good_a_deployment_fails_and_a_repetition_finishes(site: Site) -> None:
    arguments = command("deploy", "--artifact", str(site.new), "--stack", "prod")
    with begin(arguments, site.new, site.system.project.environment) as running:
        wait_until(lambda: record(site.system, "prod")["state"] == "deploying")
        site.system.workspace.stop()
        told, _ = running.communicate()  # the clients repeat for minutes before they give up
    assert running.returncode in (1, 2)
    assert "Traceback" not in told
    site.system.workspace.start()
    assert site.state() == "deploying"
    site.finish(site.new)


PIPELINE = """
trigger: none
stages:
  - stage: Production
    jobs:
      - deployment: to_production
        environment: production
        strategy:
          runOnce:
            deploy:
              steps:
                - script: {python} -B -m delivery deploy --artifact . --stack prod --approver Avery
                  displayName: Deploy
                  workingDirectory: {artifact}
"""


@contextmanager
def agent(system: System, work: Path, server: str) -> Iterator[int]:
    """An agent, which hands the project's credentials on to steps; gives its process."""
    variables = system.project.environment | {"REHEARSAL_AGENT_TOKEN": CREDENTIALS[AGENT]}
    with process("-m", "rehearsal.agent", "--server", server, "--name", "A1", "--work", str(work), **variables) as made:
        yield made.pid


def test_an_agent_killed_in_the_middle_of_the_deployment_and_started_again_finishes_it(
    site: Site, tmp_path: Path
) -> None:
    with (
        orchestrated_organization(tmp_path / "state", agent_timeout=5.0) as organization,
        Pipelines.begun(organization, tmp_path / "clone") as pipelines,
    ):
        release = pipelines.define("release", PIPELINE.format(python=sys.executable, artifact=site.new))
        pipelines.environment("production", release)
        with agent(site.system, tmp_path / "agent", organization.root) as first:
            # From two thirds of its requests on nothing comes through: there it is when its agent dies.
            service = site.system.workspace
            service.fault("reset-before", skip=site.requests * 2 // 3, count=1_000_000)
            run = pipelines.run(release)
            wait_until(lambda: any(each["fault"] for each in service.requests()))
            os.kill(first, signal.SIGKILL)
        with agent(site.system, tmp_path / "agent", organization.root):
            assert pipelines.result(run) == "failed"
            [job] = pipelines.records(run, "Job").values()
            assert "We stopped hearing from agent A1" in job["issues"][0]["message"]
            service.forget()
            # What the dead agent has left behind has been ended: nothing goes on by itself.
            assert site.state() == "deploying"
            retry = {"state": "retry", "forceRetryAllJobs": False}
            pipelines.http().patch(f"build/builds/{run}/stages/Production", json=retry).raise_for_status()
            assert pipelines.result(run) == "succeeded"
        assert site.has(site.new)
        assert record(site.system, "prod")["current"]["run"]["id"] == run
