"""Build validation: the merge is built before it is made."""

from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.agent.messages import JobRequest
from rehearsal.azuredevops.users import DANA
from tests.rehearsal.azuredevops.organization import SOCKETS_LEFT_OPEN, git
from tests.rehearsal.azuredevops.runs.pipelines import Agent, until

pytestmark = SOCKETS_LEFT_OPEN


def end(place: Any, pull: Any, result: str = "Succeeded") -> JobRequest:
    """An agent takes the build of the pull request, and ends it so.

    Returns:
        Its job.
    """
    build = place.evaluations(pull)["Build"].context["buildId"]
    agent = Agent(place.organization)
    job = agent.next()
    assert job.run_id == build
    agent.finish(job, result)
    client = place.organization.clients().get_build_client()
    until(lambda: client.get_build(place.project.id, build).status == "completed", "the build's end")
    return job


def test_the_merge_waits_for_a_build_that_succeeds(place: Any) -> None:
    definition = place.validate()
    place.push()
    pull = place.open()
    found = place.evaluations(pull)["Build"]
    assert found.status in ("queued", "running")
    assert found.context["buildDefinitionId"] == definition.id
    build = place.organization.clients().get_build_client().get_build(place.project.id, found.context["buildId"])
    assert (build.reason, build.source_branch) == ("pullRequest", f"refs/pull/{pull.pull_request_id}/merge")
    assert build.source_version == pull.last_merge_commit.commit_id
    # The service's own words.
    with pytest.raises(AzureDevOpsServiceError, match=r"^build must succeed to update main\.$"):
        place.complete(pull)
    job = end(place, pull)
    told = {name: job.predefined[f"System.PullRequest.{name}"] for name in ("PullRequestId", "SourceBranch")}
    assert told == {"PullRequestId": str(pull.pull_request_id), "SourceBranch": "refs/heads/feature"}
    assert job.predefined["Build.SourceVersion"] == pull.last_merge_commit.commit_id
    assert place.states(pull) == {"Build": "approved"}
    assert place.complete(pull).status == "completed"


def test_a_build_that_failed_holds_the_merge_until_one_succeeds(place: Any) -> None:
    place.validate()
    place.push()
    pull = place.open()
    end(place, pull, "Failed")
    evaluation = place.evaluations(pull)["Build"]
    assert evaluation.status == "rejected"
    with pytest.raises(AzureDevOpsServiceError, match="build must succeed to update main"):
        place.complete(pull)
    policies = place.organization.clients(DANA).get_policy_client()
    again = policies.requeue_policy_evaluation(place.project.id, evaluation.evaluation_id)
    assert again.context["buildId"] > evaluation.context["buildId"]
    end(place, pull)
    assert place.complete(pull).status == "completed"


def test_a_push_needs_a_build_of_its_own(place: Any) -> None:
    place.validate()
    place.push()
    pull = place.open()
    end(place, pull)
    place.push(content="3\n")
    assert place.states(pull)["Build"] in ("queued", "running")
    with pytest.raises(AzureDevOpsServiceError, match="build must succeed"):
        place.complete(pull)
    end(place, pull)
    assert place.complete(pull).status == "completed"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"queueOnSourceUpdateOnly": False}, "queued"),
        ({"queueOnSourceUpdateOnly": True}, "approved"),
        ({"queueOnSourceUpdateOnly": True, "validDuration": 60}, "approved"),
        ({"queueOnSourceUpdateOnly": True, "validDuration": 0.0001}, "queued"),
    ],
)
def test_a_build_expires_when_the_target_moves_if_the_policy_says_so(
    place: Any, settings: dict[str, Any], state: str
) -> None:
    place.push()
    pull = place.open()
    place.push("other", path="c.py")
    other = place.open("other")
    place.validate(**settings)
    end(place, pull)
    end(place, other)
    place.complete(other)
    found = place.evaluations(pull)["Build"]
    expired = (state == "queued", True)
    assert (found.status, found.context["isExpired"], found.context["buildIsNotCurrent"]) == (state, *expired)
    # What is merged now isn't what was built.
    parents = place.client().get_commit(place.get(pull).last_merge_commit.commit_id, place.repository.id).parents
    assert parents[0] == place.main()


def test_an_expired_build_is_repeated_for_who_set_auto_complete(place: Any) -> None:
    place.push()
    pull = place.open()
    place.push("other", path="c.py")
    other = place.open("other")
    place.validate()
    end(place, pull, "Failed")
    end(place, other)
    place.update(
        pull, {"autoCompleteSetBy": {"id": place.user(DANA)}, "completionOptions": {"mergeStrategy": "squash"}}
    )
    assert place.get(pull).status == "active"
    place.complete(other)
    end(place, pull)
    until(lambda: place.get(pull).status == "completed", "the merge")
    place.fetch()
    assert set(git(place.tree, "ls-tree", "--name-only", "origin/main").stdout.split()) >= {"b.py", "c.py"}


def test_a_pipeline_that_cannot_be_started_counts_as_a_failed_build(place: Any) -> None:
    place.validate()
    place.push(path="pipelines/build.yml", content="steps:\n- task: Unknown@1\n")
    pull = place.open()
    found = place.evaluations(pull)["Build"]
    assert found.status == "rejected"
    build = place.organization.clients().get_build_client().get_build(place.project.id, found.context["buildId"])
    assert build.result == "failed"
    assert "Unknown" in build.validation_results[0].message


@pytest.mark.parametrize(
    ("settings", "more", "state"),
    [
        ({"manualQueueOnly": True}, {}, "queued"),
        ({"filenamePatterns": ["/docs/*"]}, {}, "notApplicable"),
        ({}, {"isDraft": True}, "queued"),
    ],
)
def test_some_pull_requests_are_not_built_by_themselves(
    place: Any, settings: dict[str, Any], more: dict[str, Any], state: str
) -> None:
    place.validate(**settings)
    place.push()
    pull = place.open(**more)
    found = place.evaluations(pull)["Build"]
    assert (found.status, found.context) == (state, None)
    assert place.organization.clients().get_build_client().get_builds(place.project.id) == []


def test_there_is_no_build_of_what_conflicts(place: Any) -> None:
    place.push(path="notebooks/a.py", content="dana\n")
    place.push("other", path="notebooks/a.py", content="devin\n")
    place.complete(place.open("other"))
    place.validate()
    pull = place.open()
    assert (pull.merge_status, place.evaluations(pull)["Build"].context) == ("conflicts", None)
