"""From a pull request to production by clicks alone: pages, triggers, policies, gates and the agent together."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.azuredevops.users import AGENT
from rehearsal.home import CHECKOUT
from tests.pages.browsing import Person
from tests.pages.conftest import Project, SignIn
from tests.pages.organisation_with_policies import BUILD, MERGE, MINIMUM_REVIEWERS, Team
from tests.rehearsal.azuredevops.organization import CREDENTIALS, Organization

BUILD_YAML = """trigger: [main]
pool: { name: Default }
steps:
  - script: 'python3 rides.py > result.txt; echo "##vso[task.uploadsummary]$PWD/result.txt"'
    displayName: Count rides
  - publish: result.txt
    artifact: release
"""
RELEASE_YAML = """trigger: none
resources:
  pipelines:
    - { pipeline: build, source: build, trigger: { branches: [main] } }
pool: { name: Default }
stages:
  - stage: Production
    lockBehavior: sequential
    jobs:
      - deployment: deploy
        displayName: Deploy
        environment: production
        strategy:
          runOnce:
            deploy:
              steps:
                - download: build
                - script: cat "$(Pipeline.Workspace)/build/release/result.txt"
                  displayName: Put it there
"""


@pytest.fixture
def team(organization: Organization, project: Project, tmp_path: Path) -> Team:
    """The product's chain with the smallest pipelines: reviewed, built, released after an approval."""
    team = Team(organization, project, tmp_path / "tree")
    team.start({"build.yml": BUILD_YAML, "release.yml": RELEASE_YAML, "rides.py": "print('7 rides')\n"})
    build, release = team.pipeline("build", "build.yml"), team.pipeline("release", "release.yml")
    team.permit_queues(build, release)
    team.permit("environment", team.environment("production", "avery"), release)
    team.policy(BUILD, {"buildDefinitionId": build, "displayName": "Check and test", "queueOnSourceUpdateOnly": True})
    team.policy(MINIMUM_REVIEWERS, {"minimumApproverCount": 1, "creatorVoteCounts": False, "resetOnSourcePush": True})
    team.policy(MERGE, {"allowSquash": True})
    return team


@pytest.fixture
def _an_agent_is_at_work(organization: Organization, tmp_path: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "rehearsal.agent", "--server", organization.root, "--name", "clicks"]
    process = subprocess.Popen(
        [*command, "--work", str(tmp_path / "work")],
        cwd=CHECKOUT,
        env={**os.environ, "REHEARSAL_AGENT_TOKEN": CREDENTIALS[AGENT]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    process.terminate()
    process.wait(30)


def _see(team: Team, person: Person, path: str, words: str) -> None:
    """Opens the page until these words stand there."""
    team.until(lambda: person.open(path) and words in person.text(), f"{path} never said: {words}")


@pytest.mark.usefixtures("_an_agent_is_at_work")
def test_a_change_goes_from_a_pull_request_to_production_by_clicks(team: Team, at_azure_devops: SignIn) -> None:
    home = f"/rehearsal/{team.project.name}"
    team.push("more", "rides.py", "print('8 rides')\n")
    dana, devin, avery = (at_azure_devops(name) for name in ("Dana", "Devin", "Avery"))

    dana.open(f"{team.address}/branches")
    dana.follow("New pull request")
    dana.page.get_by_label("Title").fill("Count one more")
    dana.press("Create")
    pull = dana.page.url.removeprefix(dana.root)
    assert "Not yet: Minimum number of reviewers" in dana.text() or "Check and test" in dana.text()

    devin.open(f"{team.address}/pullrequests")
    devin.follow("Count one more")
    devin.press("Approve")
    team.until(
        lambda: devin.page.reload() and "Not yet" not in devin.text(), "the pull request's build did not come to an end"
    )
    dana.open(pull)
    dana.press("Complete")
    assert "Dana Developer completed it" in dana.text()

    _see(team, avery, f"{home}/_build?definitionId={team.definitions['release']}", "build completed")
    run = avery.page.locator("tbody a").first.get_attribute("href") or ""
    _see(team, avery, run, "Production waits for an approval")
    avery.follow("Review")
    assert "It is the first release on production" in avery.text()
    avery.press("Approve")
    _see(team, avery, run, "Succeeded")
    avery.follow("Jobs and logs")
    avery.follow("Put it there")
    assert "8 rides" in avery.page.locator(".log").inner_text()
    avery.open(f"{home}/_environments")
    assert "Succeeded" in avery.page.locator("section.panel").inner_text()
    dana.open(f"{home}/_build?definitionId={team.definitions['build']}")
    for reason in ("pull request Dana Developer", "push Dana Developer"):
        assert reason in dana.page.locator("tbody").inner_text()

    phone = at_azure_devops("Ari", viewport={"width": 360, "height": 740}, color_scheme="dark")
    tabs = [f"{run}&view={view}" for view in ("logs", "tests", "artifacts")]
    lists = [f"{home}{path}" for path in ("", "/_build", "/_environments", "/_pullrequests")]
    for path in ("/rehearsal", *lists, pull, f"{pull}?_a=files", run, *tabs):
        assert phone.open(path).ok, path
        assert phone.width == 360, path
