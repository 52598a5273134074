"""Pull requests in the browser: made, read, discussed, refused with their reasons, and completed."""

from pathlib import Path

import pytest

from tests.pages.conftest import Project, SignIn
from tests.pages.organisation_with_policies import BUILD, COMMENTS, MERGE, MINIMUM_REVIEWERS, Agent, Team
from tests.rehearsal.azuredevops.organization import Organization

RIDES = "# Databricks notebook source\nprint('rides')\n"


@pytest.fixture
def team(organization: Organization, project: Project, tmp_path: Path) -> Team:
    """A project whose main wants a review by somebody else, resolved comments and squashed merges."""
    team = Team(organization, project, tmp_path / "tree")
    team.start({"notebooks/rides.py": RIDES})
    review = {"minimumApproverCount": 1, "creatorVoteCounts": False, "resetOnSourcePush": True}
    team.policy(MINIMUM_REVIEWERS, review)
    team.policy(COMMENTS, {})
    team.policy(MERGE, {"allowSquash": True})
    return team


def test_a_pull_request_is_made_from_a_branch_with_its_changes_in_view(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES.replace("rides", "all rides"))
    dana = at_azure_devops("Dana")
    dana.open(f"{team.address}/branches")
    dana.follow("New pull request")
    assert "+print('all rides')" in dana.text()
    dana.page.get_by_label("Title").fill("Count <b>all</b> rides")
    dana.page.get_by_label("Description (markdown)").fill("For *everybody*.\n<script>alert(1)</script>")
    dana.press("Create")
    assert dana.page.locator("h1").inner_text() == "Count <b>all</b> rides"
    assert dana.page.locator("em").inner_text() == "everybody"
    assert "<script>alert(1)</script>" in dana.text()
    dana.open(f"{team.address}/pullrequests")
    dana.follow("Count <b>all</b> rides")
    assert "/pullrequest/" in dana.page.url
    assert dana.page.locator("nav [aria-current]").first.inner_text() == "Pull requests"


def test_completing_too_early_is_refused_with_the_policies_that_wait(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    dana = at_azure_devops("Dana")
    dana.open(f"{team.address}/pullrequest/{number}")
    assert "Not yet: Minimum number of reviewers" in dana.page.locator(".told.wait").inner_text()
    dana.press("Complete")
    assert "At least 1 reviewer must approve; 0 did." in dana.refusal
    assert team.found(number)["status"] == "active"


def test_the_authors_own_vote_does_not_count_and_another_ones_does(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    dana = at_azure_devops("Dana")
    dana.open(f"{team.address}/pullrequest/{number}")
    dana.press("Approve")
    assert "Not yet" in dana.text()
    devin = at_azure_devops("Devin")
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Approve")
    assert "Devin Developer\nApproved" in devin.page.locator("#reviewers").inner_text()
    assert "Not yet" not in devin.text()
    dana.page.reload()
    dana.page.get_by_label("How").select_option("squash")
    dana.press("Complete")
    assert dana.refusal == ""
    assert "Dana Developer completed it" in dana.text()
    assert team.found(number)["status"] == "completed"
    dana.open(f"{team.address}/commits")
    assert f"Merged PR {number}: A change" in dana.page.locator("tbody").inner_text()


def test_a_new_push_takes_the_vote_back(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    devin = at_azure_devops("Devin")
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Approve")
    team.push("topic", "notebooks/rides.py", RIDES + "print(3)\n")
    devin.page.reload()
    assert "Not yet: Minimum number of reviewers" in devin.text()
    assert "Approved" not in devin.page.locator("#reviewers").inner_text()


def test_an_open_comment_holds_the_merge_until_it_is_resolved(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    devin = at_azure_devops("Devin")
    devin.open(f"{team.address}/pullrequest/{number}?_a=files")
    devin.follow("Comment on line 3 of /notebooks/rides.py")
    devin.page.get_by_role("textbox", name="Comment on line 3").fill("Why **two**?")
    devin.press("Comment")
    assert devin.page.locator("table.diff .comment strong").last.inner_text() == "two"
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Approve")
    assert "Not yet: Comment requirements." in devin.text()
    devin.press("Complete")
    assert "All comments must be resolved; 1 is active." in devin.refusal
    devin.page.get_by_text("Reply or resolve").click()
    devin.page.get_by_label("Reply").fill("It is right.")
    devin.press("Resolve")
    assert "It is right." in devin.text()
    assert "Not yet" not in devin.text()


def test_a_conflict_is_told(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    team.push("other", "notebooks/rides.py", RIDES + "print(3)\n")
    other = team.pull("other", "Another")
    devin = at_azure_devops("Devin")
    devin.open(f"{team.address}/pullrequest/{other}")
    devin.press("Approve")
    devin.press("Complete")
    devin.open(f"{team.address}/pullrequest/{number}")
    assert "The branch has conflicts with main" in devin.text()


def test_a_pull_request_is_abandoned_and_made_active_again(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n")
    number = team.pull("topic")
    dana = at_azure_devops("Dana")
    dana.open(f"{team.address}/pullrequest/{number}")
    dana.press("Abandon")
    assert "Abandoned" in dana.text()
    dana.open(f"{team.address}/pullrequests?_a=abandoned")
    assert "A change" in dana.text()
    dana.follow("A change")
    dana.press("Reactivate")
    assert team.found(number)["status"] == "active"


def test_a_pull_request_can_be_read_and_approved_on_a_phone(team: Team, at_azure_devops: SignIn) -> None:
    team.push("topic", "notebooks/rides.py", RIDES + f"print('{'long ' * 60}')\n")
    number = team.pull("topic")
    devin = at_azure_devops("Devin", viewport={"width": 360, "height": 740})
    for tab in ("overview", "files", "commits"):
        devin.open(f"{team.address}/pullrequest/{number}?_a={tab}")
        assert devin.width == 360
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Approve")
    assert "Your vote: Approved." in devin.text()


def test_a_failed_build_holds_the_merge_and_leads_to_its_log(
    team: Team, organization: Organization, at_azure_devops: SignIn
) -> None:
    team.push(
        "pipeline",
        "build.yml",
        "trigger: none\npool: { name: Default }\nsteps: [{ script: make test, displayName: Unit tests }]\n",
    )
    number = team.pull("pipeline")
    devin = at_azure_devops("Devin")
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Approve")
    devin.press("Complete")
    build = team.pipeline("build", "build.yml")
    team.permit_queues(build)
    team.policy(BUILD, {"buildDefinitionId": build, "displayName": "Check and test", "queueOnSourceUpdateOnly": True})
    team.push("topic", "notebooks/rides.py", RIDES + "print(2)\n", base="origin/main")
    number = team.pull("topic")
    agent = Agent(organization.root, team.project)
    job = agent.take()
    agent.step(job, "Unit tests", "2026-11-24T01:00:00.0000000Z ##[error]test_rides failed\n", result="failed")
    agent.finish(job, "Failed")
    devin.open(f"{team.address}/pullrequest/{number}")
    policies = devin.page.locator("#policies")
    team.until(lambda: devin.page.reload() and "Rejected" in policies.inner_text(), "the policy waits for the build")
    devin.press("Approve")
    devin.press("Complete")
    assert team.found(number)["status"] == "active"
    assert "Check and test" in devin.refusal
    with devin.page.expect_navigation():
        policies.get_by_role("link").click()
    devin.follow("Jobs and logs")
    assert "test_rides failed" in devin.page.locator(".log").inner_text()
    devin.open(f"{team.address}/pullrequest/{number}")
    devin.press("Queue again")
    assert devin.refusal == ""
    agent.finish(agent.take())
    team.until(lambda: devin.page.reload() and "Rejected" not in policies.inner_text(), "the policy stays as it was")
    devin.press("Complete")
    assert devin.refusal == ""
    assert team.found(number)["status"] == "completed"
    agent.close()
