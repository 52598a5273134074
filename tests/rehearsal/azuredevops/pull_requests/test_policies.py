"""What the branch policies want of a pull request, and what is refused until they have it."""

from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops import policy
from rehearsal.azuredevops.users import ADMINISTRATOR, ARI, AVERY, DANA, DEVIN
from tests.rehearsal.azuredevops.organization import GIT_NAMESPACE, SOCKETS_LEFT_OPEN, git

pytestmark = SOCKETS_LEFT_OPEN

REVIEWERS = "Minimum number of reviewers"
BYPASS = 1 << 15  # PullRequestBypassPolicy


def test_too_few_votes_hold_the_merge_and_enough_let_it_through(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 2})
    place.push()
    pull = place.open()
    place.vote(pull, DEVIN)
    assert place.states(pull) == {REVIEWERS: "queued"}
    before = place.main()
    with pytest.raises(AzureDevOpsServiceError, match="At least 2 reviewers must approve; 1 did"):
        place.complete(pull)
    last = place.get(pull).last_merge_source_commit.commit_id
    body = {"status": "completed", "lastMergeSourceCommit": {"commitId": last}}
    refused = place.http("PATCH", f"pullRequests/{pull.pull_request_id}", json=body)
    assert (refused.status_code, refused.json()["typeKey"]) == (403, "GitPullRequestUpdateRejectedByPolicyException")
    assert (place.get(pull).status, place.main()) == ("active", before)
    place.vote(pull, AVERY, 5)
    assert place.states(pull) == {REVIEWERS: "approved"}
    assert place.complete(pull).status == "completed"
    assert place.states(pull) == {REVIEWERS: "approved"}


def test_the_authors_own_vote_counts_only_where_the_policy_says_so(place: Any) -> None:
    made = place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1, "creatorVoteCounts": False})
    place.push()
    pull = place.open()
    place.vote(pull, DANA)
    with pytest.raises(AzureDevOpsServiceError, match="The vote of Dana Developer does not count"):
        place.complete(pull)
    settings = {**made.settings, "creatorVoteCounts": True}
    body = {"type": {"id": policy.MINIMUM_REVIEWERS}, "isEnabled": True, "isBlocking": True, "settings": settings}
    place.organization.clients().get_policy_client().update_policy_configuration(body, place.project.id, made.id)
    assert place.complete(pull).status == "completed"


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"resetOnSourcePush": True}, {DEVIN: 0, AVERY: -5}),
        ({"resetOnSourcePush": True, "resetRejectionsOnSourcePush": True}, {DEVIN: 0, AVERY: 0}),
        ({}, {DEVIN: 10, AVERY: -5}),
    ],
)
def test_votes_from_before_the_last_push_are_taken_back(place: Any, settings: dict[str, Any], left: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1, **settings})
    place.push()
    pull = place.open()
    place.vote(pull, DEVIN)
    place.vote(pull, AVERY, -5)
    place.push(content="3\n")
    votes = {each.id: each.vote for each in place.get(pull).reviewers}
    assert votes == {place.user(name): vote for name, vote in left.items()}


def test_who_pushed_last_cannot_approve(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1, "blockLastPusherVote": True})
    place.push()
    pull = place.open()
    place.vote(pull, DEVIN)
    assert place.states(pull)[REVIEWERS] == "approved"
    place.push(content="3\n", user=DEVIN)
    assert place.states(pull)[REVIEWERS] == "queued"
    place.vote(pull, AVERY)
    assert place.states(pull)[REVIEWERS] == "approved"


def test_a_vote_may_be_needed_on_the_last_changes(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1, "requireVoteOnLastIteration": True})
    place.push()
    pull = place.open()
    place.vote(pull, DEVIN)
    assert place.states(pull)[REVIEWERS] == "approved"
    place.push(content="3\n")
    assert place.states(pull)[REVIEWERS] == "queued"
    place.vote(pull, DEVIN)
    assert place.states(pull)[REVIEWERS] == "approved"


@pytest.mark.parametrize(("vote", "words"), [(-10, "has rejected"), (-5, "waits for the author")])
def test_an_objection_holds_the_merge(place: Any, vote: int, words: str) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1, "allowDownvotes": False})
    place.push()
    pull = place.open()
    place.vote(pull, DEVIN)
    place.vote(pull, AVERY, vote)
    assert place.states(pull)[REVIEWERS] == "rejected"
    with pytest.raises(AzureDevOpsServiceError, match=f"Avery Approver {words}"):
        place.complete(pull)


def test_nobody_votes_for_somebody_else(place: Any) -> None:
    place.push()
    pull = place.open()
    avery = place.user(AVERY)
    refused = place.http("PUT", f"pullRequests/{pull.pull_request_id}/reviewers/{avery}", json={"vote": 10})
    assert (refused.status_code, "their own vote" in refused.json()["message"]) == (403, True)
    asked = place.http("PUT", f"pullRequests/{pull.pull_request_id}/reviewers/{avery}", json={"vote": 0})
    assert (asked.status_code, asked.json()["vote"]) == (200, 0)
    assert [each.vote for each in place.get(pull).reviewers] == [0]


def test_reviewers_are_asked_and_let_go(place: Any) -> None:
    place.protect(policy.REQUIRED_REVIEWERS, {"requiredReviewerIds": [place.user(ARI)]})
    place.push()
    pull = place.open(reviewers=[{"id": place.user(AVERY), "isRequired": True}])
    where = f"pullRequests/{pull.pull_request_id}/reviewers"
    assert place.http("POST", where, json=[{"id": place.user(DEVIN)}]).status_code == 200
    named = {each["displayName"]: each.get("isRequired", False) for each in place.http("GET", where).json()["value"]}
    assert named == {"Avery Approver": True, "Ari Approver": True, "Devin Developer": False}
    for name in (AVERY, ARI):
        assert place.http("DELETE", f"{where}/{place.user(name)}").status_code == 204
    # Whom a policy requires can't be let go.
    assert {each.display_name for each in place.get(pull).reviewers} == {"Ari Approver", "Devin Developer"}
    assert place.http("PUT", f"{where}/{pull.pull_request_id}", json={"vote": 0}).status_code == 400
    place.vote(pull, DEVIN)
    given = [{"id": place.user(DEVIN), "vote": 0}]
    assert place.http("PATCH", where, user=AVERY, json=given).status_code == 403
    assert place.http("PATCH", where, json=given).status_code == 204
    assert {each.vote for each in place.get(pull).reviewers} == {0}


def test_required_reviewers_are_asked_for_the_paths_that_they_watch(place: Any) -> None:
    # As the provider sends it: a group, a path, and how many of the group.
    group = place.organization.new_group(place.project, "Platform")
    graph = place.organization.clients().get_graph_client()
    by_mail = {each.principal_name: each.descriptor for each in graph.list_users().graph_users}
    for name in (AVERY, ARI):
        graph.add_membership(by_mail[f"{name}@rehearsal.example"], group.descriptor)
    settings = {
        "requiredReviewerIds": [group.origin_id],
        "filenamePatterns": ["/infrastructure/*", "!/infrastructure/README.md"],
        "minimumApproverCount": 2,
        "message": "The platform team looks at the infrastructure.",
    }
    place.protect(policy.REQUIRED_REVIEWERS, settings)
    place.push("docs", path="infrastructure/README.md")
    harmless = place.open("docs")
    assert place.states(harmless) == {"Required reviewers": "notApplicable"}
    assert place.get(harmless).reviewers == []
    place.push(path="infrastructure/main.py")
    pull = place.open()
    (asked,) = place.get(pull).reviewers
    assert (asked.id, asked.is_required, asked.is_container) == (group.origin_id, True, True)
    place.vote(pull, DEVIN)
    place.vote(pull, AVERY)
    assert place.states(pull) == {"Required reviewers": "queued"}
    with pytest.raises(AzureDevOpsServiceError, match="Platform must approve"):
        place.complete(pull)
    place.vote(pull, ARI)
    assert place.complete(pull).status == "completed"


def test_an_active_comment_holds_the_merge_until_it_is_resolved(place: Any) -> None:
    place.protect(policy.COMMENTS, {})
    place.push()
    pull = place.open()
    assert place.states(pull) == {"Comment requirements": "approved"}
    thread = place.comment(pull, "why 2?", DEVIN)
    assert place.states(pull) == {"Comment requirements": "rejected"}
    with pytest.raises(AzureDevOpsServiceError, match="All comments must be resolved; 1 is active"):
        place.complete(pull)
    place.http("PATCH", f"pullRequests/{pull.pull_request_id}/threads/{thread.id}", json={"status": "fixed"})
    assert place.complete(pull).status == "completed"


def test_only_allowed_strategies_merge_and_the_first_one_is_the_default(place: Any) -> None:
    place.protect(policy.MERGE_STRATEGY, {"allowSquash": True})
    place.push()
    pull = place.open()
    with pytest.raises(AzureDevOpsServiceError, match="noFastForward is not allowed; allowed: squash"):
        place.complete(pull, strategy="noFastForward")
    assert place.complete(pull, strategy=None).status == "completed"
    place.fetch()
    assert len(git(place.tree, "log", "-1", "--format=%P", "origin/main").stdout.split()) == 1


def test_work_items_can_be_wanted(place: Any) -> None:
    place.protect(policy.WORK_ITEMS, {})
    place.push()
    place.push("linked")
    with pytest.raises(AzureDevOpsServiceError, match="Work items must be linked"):
        place.complete(place.open())
    assert place.complete(place.open("linked", workItemRefs=[{"id": "7"}])).status == "completed"


def test_a_status_of_somebody_else_can_be_wanted_anew_after_each_push(place: Any) -> None:
    settings = {"statusName": "scan", "statusGenre": "security", "invalidateOnSourceUpdate": True}
    place.protect(policy.STATUS, settings)
    place.push()
    pull = place.open()
    where = f"pullRequests/{pull.pull_request_id}"
    body = {"state": "succeeded", "context": {"name": "scan", "genre": "security"}, "description": "clean"}
    assert place.states(pull) == {"Status": "queued"}
    refused = place.http("POST", f"{where}/statuses", json=body)
    assert (refused.status_code, "to be posted on iteration" in refused.json()["message"]) == (403, True)
    assert place.http("POST", f"{where}/iterations/1/statuses", json=body | {"state": "failed"}).status_code == 200
    assert place.states(pull) == {"Status": "rejected"}
    place.http("POST", f"{where}/iterations/1/statuses", json=body)
    assert place.states(pull) == {"Status": "approved"}
    place.push(content="3\n")
    assert place.states(pull) == {"Status": "queued"}
    place.http("POST", f"{where}/statuses", json=body | {"iterationId": 2})
    assert place.complete(pull).status == "completed"
    assert [each["state"] for each in place.http("GET", f"{where}/statuses").json()["value"]] == [
        "failed",
        "succeeded",
        "succeeded",
    ]


def test_a_policy_that_only_advises_does_not_hold_the_merge(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1}, isBlocking=False)
    place.push()
    pull = place.open()
    assert place.states(pull) == {REVIEWERS: "queued"}
    assert place.complete(pull).status == "completed"


def test_policies_are_bypassed_only_with_the_right_to_do_so(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1})
    place.push()
    pull = place.open()
    # Not even an administrator has it by default.
    with pytest.raises(AzureDevOpsServiceError, match="You need the Git 'PullRequestBypassPolicy' permission"):
        place.complete(pull, ADMINISTRATOR, bypassPolicy=True, bypassReason="in a hurry")
    identities = place.organization.clients().get_identity_client()
    dana = identities.read_identities(search_filter="AccountName", filter_value="dana@rehearsal.example")[0]
    entry = {"descriptor": dana.descriptor, "allow": BYPASS, "deny": 0}
    body = {"token": f"repoV2/{place.project.id}", "merge": True, "accessControlEntries": [entry]}
    with place.organization.http() as http:
        http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=body).raise_for_status()
    with pytest.raises(AzureDevOpsServiceError, match="At least 1 reviewer must approve"):
        place.complete(pull)
    assert place.complete(pull, bypassPolicy=True, bypassReason="in a hurry").status == "completed"


def test_auto_complete_waits_for_the_policies(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1})
    place.protect(policy.COMMENTS, {})
    place.push()
    pull = place.open()
    thread = place.comment(pull, "why 2?", DEVIN)
    dana = place.user(DANA)
    place.update(pull, {"autoCompleteSetBy": {"id": dana}, "completionOptions": {"mergeStrategy": "squash"}})
    assert place.get(pull).auto_complete_set_by.id == dana
    place.vote(pull, DEVIN)
    assert place.get(pull).status == "active"
    place.http("PATCH", f"pullRequests/{pull.pull_request_id}/threads/{thread.id}", json={"status": "closed"})
    done = place.get(pull)
    assert (done.status, done.closed_by.id) == ("completed", dana)


def test_auto_complete_can_be_taken_back(place: Any) -> None:
    place.protect(policy.MINIMUM_REVIEWERS, {"minimumApproverCount": 1})
    place.push()
    pull = place.open()
    place.update(pull, {"autoCompleteSetBy": {"id": place.user(DANA)}})
    place.update(pull, {"autoCompleteSetBy": {"id": "00000000-0000-0000-0000-000000000000"}})
    place.vote(pull, DEVIN)
    assert (place.get(pull).status, place.get(pull).auto_complete_set_by) == ("active", None)
