"""Pipelines, runs and approvals in the browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.conftest import Project, SignIn
from tests.pages.organisation_with_policies import Agent, Team
from tests.rehearsal.azuredevops.organization import Organization

BUILD = """trigger: none
parameters:
  - name: suite
    displayName: Suite
    default: quick
    values: [quick, full]
pool: { name: Default }
stages:
  - stage: Check
    jobs:
      - job: lint
        displayName: Lint
        steps: [{ script: echo lint }]
"""
RELEASE = """trigger: none
resources:
  pipelines: [{ pipeline: build, source: build }]
pool: { name: Default }
stages:
  - stage: Production
    lockBehavior: sequential
    jobs:
      - deployment: deploy
        environment: production
        strategy: { runOnce: { deploy: { steps: [{ script: echo deploy }] } } }
"""


@pytest.fixture
def team(organization: Organization, project: Project, tmp_path: Path) -> Team:
    """A project with a build and a release that waits for an approval."""
    team = Team(organization, project, tmp_path / "tree")
    team.start({"build.yml": BUILD, "release.yml": RELEASE, "notebooks/rides.py": "print(1)\n"})
    build, release = team.pipeline("build", "build.yml"), team.pipeline("release", "release.yml")
    team.permit_queues(build, release)
    team.permit("environment", team.environment("production", "avery", "dana"), release)
    return team


@pytest.fixture
def agent(organization: Organization, project: Project) -> Iterator[Agent]:
    found = Agent(organization.root, project)
    yield found
    found.close()


def _results(team: Team, run: int) -> str:
    return f"/rehearsal/{team.project.name}/_build/results?buildId={run}"


def _built(team: Team, agent: Agent) -> int:
    run = team.queue("build")
    job = agent.take()
    agent.step(job, "lint", "2026-11-24T01:00:00.0000000Z done\n")
    agent.finish(job)
    assert team.ended(run)["result"] == "succeeded"
    return run


def _released(team: Team, agent: Agent, *, user: str = "dana") -> int:
    """A release that waits for its approval."""
    run = team.queue("release", user=user)
    team.until(lambda: _approvals(team), "no approval came")
    return run


def _approvals(team: Team) -> list[dict[str, object]]:
    found: list[dict[str, object]] = team.call("GET", "pipelines/approvals?state=pending")["value"]
    return found


def test_a_run_is_queued_by_hand_and_watched_to_its_end(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    dana = at_azure_devops("Dana")
    dana.open(f"/rehearsal/{team.project.name}/_build")
    dana.follow("build")
    dana.page.get_by_text("Run pipeline").click()
    dana.page.get_by_label("Suite").select_option("full")
    dana.press("Run")
    assert "The run is queued." in dana.text()
    job = agent.take()
    agent.step(
        job, "Lint it", "2026-11-24T01:00:00.0000000Z ##[section]Starting\nplain <b>text</b>\n", state="inProgress"
    )
    dana.page.reload()
    assert "In progress" in dana.page.locator("h1").inner_text()
    assert dana.page.locator("meta[http-equiv=refresh]").count() == 1
    dana.follow("Lint")
    log = dana.page.locator(".log")
    assert "plain <b>text</b>" in log.inner_text()
    assert "01:00:00 Starting" in log.locator("tr.section").inner_text()
    run = int(dana.page.url.partition("buildId=")[2].partition("&")[0])
    assert team.run(run)["templateParameters"] == {"suite": "full"}
    agent.finish(job)
    team.ended(run)
    dana.open(_results(team, run))
    assert "Succeeded" in dana.page.locator("h1").inner_text()
    assert dana.page.locator("meta[http-equiv=refresh]").count() == 0
    assert "Succeeded" in dana.page.get_by_label("Stage Check").inner_text()


def test_a_failed_run_says_why_and_its_stage_runs_again(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    run = team.queue("build")
    job = agent.take()
    agent.step(job, "Lint it", "2026-11-24T01:00:00.0000000Z ##[error]no good\n", result="failed")
    agent.finish(job, "Failed")
    team.ended(run)
    dana = at_azure_devops("Dana")
    dana.open(_results(team, run))
    assert "Failed" in dana.page.locator("h1").inner_text()
    assert "Lint it went wrong" in dana.text()
    dana.follow("Jobs and logs")  # leads to what failed
    assert "no good" in dana.page.locator(".log tr.error").inner_text()
    dana.follow("Summary")
    dana.press("Run failed jobs again")
    assert dana.refusal == ""
    again = agent.take()
    agent.finish(again)
    assert team.ended(run)["result"] == "succeeded"
    dana.page.reload()
    assert "attempt 2" in dana.page.get_by_label("Stage Check").inner_text()


def test_a_run_is_cancelled(team: Team, at_azure_devops: SignIn) -> None:
    run = team.queue("build")
    dana = at_azure_devops("Dana")
    dana.open(_results(team, run))
    dana.press("Cancel")
    assert team.ended(run)["result"] == "canceled"
    dana.page.reload()
    assert "Canceled" in dana.page.locator("h1").inner_text()


def test_artifacts_and_summaries_are_shown_with_the_run(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    run = team.queue("build")
    job = agent.take()
    agent.publish(job, "release", {"manifest.json": "{}"})
    agent.summary(job, "Preview", "# 3 changes\n\n<script>alert(1)</script>")
    agent.finish(job)
    team.ended(run)
    dana = at_azure_devops("Dana")
    dana.open(_results(team, run))
    assert dana.page.locator(".text h1").inner_text() == "3 changes"
    assert "<script>alert(1)</script>" in dana.text()
    dana.follow("Artifacts")
    with dana.page.expect_download() as download:
        dana.page.get_by_role("link", name="release", exact=True).click()
    assert download.value.suggested_filename == "release.zip"


def test_the_tests_of_a_run_are_shown_the_failed_ones_first_with_their_reasons(
    team: Team, agent: Agent, at_azure_devops: SignIn
) -> None:
    run = _built(team, agent)
    made = team.call("POST", "test/runs", {"name": "unit", "build": {"id": run}, "automated": True})
    results = [{"testCaseTitle": f"test_{number}", "outcome": "Passed", "durationInMs": 12} for number in range(1200)]
    failed = {
        "testCaseTitle": "test_rides",
        "outcome": "Failed",
        "errorMessage": "1 is not <2>",
        "stackTrace": "line 7",
    }
    for part in (results[:600], [*results[600:], failed]):
        team.call("POST", f"test/runs/{made['id']}/results", part)
    dana = at_azure_devops("Dana")
    dana.open(_results(team, run))
    assert "1201 tests, 1200 passed, 1 failed" in dana.text()
    dana.open(made["webAccessUrl"].removeprefix(dana.root))
    assert "1 is not <2>\nline 7" in dana.text()


def test_the_approval_tells_who_what_and_on_which_conditions(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    _built(team, agent)
    run = _released(team, agent)
    avery = at_azure_devops("Avery")
    avery.open(_results(team, run))
    assert "Waiting" in avery.page.get_by_label("Stage Production").inner_text()
    avery.follow("Review")
    page = avery.text()
    for words in ("Look at the tests first.", "Avery Approver", "by Avery Approver, Dana Developer", "first release"):
        assert words in page
    avery.page.get_by_label("Comment").fill("All green.")
    avery.press("Approve")
    assert "Approved." in avery.text()
    job = agent.take()
    agent.finish(job)
    assert team.ended(run)["result"] == "succeeded"
    avery.open(f"/rehearsal/{team.project.name}/_environments")
    avery.follow("production")
    assert "Succeeded" in avery.page.locator("tbody").inner_text()


def test_the_next_approval_shows_the_commits_since_the_last_deployment(
    team: Team, agent: Agent, at_azure_devops: SignIn
) -> None:
    avery = at_azure_devops("Avery")
    for content in ("print(1)\n", "print(2)\n"):
        team.push("main", "notebooks/rides.py", content + "# more\n", user="administrator")
        _built(team, agent)
        run = _released(team, agent)
        avery.open(_results(team, run))
        avery.follow("Review")
        told = avery.text()
        avery.press("Approve")
        agent.finish(agent.take())
        team.ended(run)
    assert "production gets 1 commit" in told
    assert "Change notebooks/rides.py" in told
    assert "+print(2)" in told
    assert "-print(1)" in told


def test_an_earlier_release_says_that_it_takes_commits_back(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    avery = at_azure_devops("Avery")
    builds = []
    for content in ("print(1)\n", "print(2)\n"):
        team.push("main", "notebooks/rides.py", content + "# more\n", user="administrator")
        builds.append(_built(team, agent))
    number = team.run(builds[0])["buildNumber"]
    for version in (None, number):
        body = {"resources": {"pipelines": {"build": {"version": version}}}} if version else {}
        run = team.call("POST", f"pipelines/{team.definitions['release']}/runs", body, user="dana")["id"]
        team.until(lambda: _approvals(team), "no approval came")
        avery.open(_results(team, run))
        avery.follow("Review")
        told = avery.text()
        avery.press("Approve")
        agent.finish(agent.take())
        team.ended(run)
    assert "It goes back: production loses 1 commit" in told
    assert "-print(2)" in told
    assert "+print(1)" in told


def test_a_pipeline_that_cannot_start_says_why_where_it_was_started(team: Team, at_azure_devops: SignIn) -> None:
    team.push("main", "build.yml", BUILD + "  - stage: Check\n    jobs: []\n", user="administrator")
    dana = at_azure_devops("Dana")
    dana.open(f"/rehearsal/{team.project.name}/_build?definitionId={team.definitions['build']}")
    dana.page.get_by_text("Run pipeline").click()
    dana.press("Run")
    assert "build.yml" in dana.refusal
    assert "Check" in dana.refusal


def test_a_pipeline_that_no_push_starts_says_so(team: Team, at_azure_devops: SignIn) -> None:
    place = f"build/definitions/{team.definitions['release']}"
    words = "No push starts this pipeline"
    dana = at_azure_devops("Dana")
    dana.open(f"/rehearsal/{team.project.name}/_build?definitionId={team.definitions['release']}")
    assert words not in dana.text()
    team.call("PUT", place, team.call("GET", place) | {"triggers": []})
    dana.page.reload()
    assert words in dana.text()


def test_a_run_that_its_push_could_not_start_says_why(team: Team, at_azure_devops: SignIn) -> None:
    text = BUILD.replace("trigger: none", "trigger: [main]").replace("script: echo lint", "task: Nothing@9")
    team.push("main", "build.yml", text, user="administrator")
    runs = f"build/builds?definitions={team.definitions['build']}"
    found = team.until(lambda: team.call("GET", runs)["value"], "the push started nothing")
    dana = at_azure_devops("Dana")
    dana.open(_results(team, found[0]["id"]))
    assert "Failed" in dana.page.locator("h1").inner_text()
    assert "a task called 'Nothing'" in dana.page.locator(".told.bad").inner_text()


def test_who_asked_for_the_run_may_not_approve_it_and_is_told_why(
    team: Team, agent: Agent, at_azure_devops: SignIn
) -> None:
    _built(team, agent)
    run = _released(team, agent)
    dana = at_azure_devops("Dana")
    dana.open(_results(team, run))
    dana.follow("Review")
    dana.page.get_by_label("Comment").fill("Let me.")
    dana.press("Approve")
    assert "Dana Developer requested the run and may not approve it" in dana.refusal
    assert dana.page.get_by_label("Comment").input_value() == "Let me."
    assert _approvals(team)


def test_somebody_who_is_no_approver_is_refused(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    _built(team, agent)
    run = _released(team, agent)
    devin = at_azure_devops("Devin")
    devin.open(_results(team, run))
    devin.follow("Review")
    devin.press("Approve")
    assert "Devin Developer is not an approver" in devin.refusal
    assert team.run(run)["status"] != "completed"


def test_a_rejection_ends_the_release_with_its_reason(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    _built(team, agent)
    run = _released(team, agent)
    avery = at_azure_devops("Avery", viewport={"width": 360, "height": 740})
    avery.open(_results(team, run))
    assert avery.width == 360
    avery.follow("Review")
    assert avery.width == 360
    avery.page.get_by_label("Comment").fill("Not today.")
    avery.press("Reject")
    assert team.ended(run)["result"] == "failed"
    avery.page.reload()
    assert "rejected by Avery Approver: Not today." in avery.text()


def test_a_release_takes_the_artifact_of_a_chosen_build(team: Team, agent: Agent, at_azure_devops: SignIn) -> None:
    first = _built(team, agent)
    _built(team, agent)
    number = team.run(first)["buildNumber"]
    dana = at_azure_devops("Dana")
    dana.open(f"/rehearsal/{team.project.name}/_build?definitionId={team.definitions['release']}")
    dana.page.get_by_text("Run pipeline").click()
    dana.page.get_by_label("Artifact of build").select_option(number)
    dana.press("Run")
    assert f"build\nbuild {number}" in dana.text()


def test_a_pipeline_that_lacks_permission_says_for_what_and_gets_it(
    team: Team, organization: Organization, agent: Agent, at_azure_devops: SignIn
) -> None:
    other = team.pipeline("other release", "release.yml")
    _built(team, agent)
    run = team.queue("other release", user="administrator")
    admin = at_azure_devops("Ada")
    team.until(lambda: admin.open(_results(team, run)) and "needs permission" in admin.text(), "it waits for nothing")
    assert "environment production" in admin.text()
    admin.press("Permit")
    team.until(lambda: _approvals(team), f"pipeline {other} still waits")
