"""The component `BranchPolicies`: what a pull request into the default branch must satisfy."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.branch_policies import BranchPolicies, BranchPoliciesArgs
from components.settings_model import RequiredReviewers, Review
from tests.components.conftest import Program
from tests.components.recording import Recording

REVIEW = Review(
    minimum_reviewers=2,
    requester_vote_counts=False,
    reset_votes_on_push=True,
    resolve_comments=True,
    merge_types=("squash",),
    linked_work_item="off",
    required_reviewers=(),
)


def made(program: Program, branch: str = "main", **changed: Any) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        args = BranchPoliciesArgs(
            project_id="p",
            repository_id="r",
            default_branch=branch,
            review=replace(REVIEW, **changed),
            build_pipeline_id=7,
        )
        BranchPolicies("review", args, opts)

    return program.part(make)


def settings(recorded: Recording, kind: str) -> dict[str, Any]:
    """The settings of a policy, without its scope."""
    return {key: value for key, value in recorded.one(kind).inputs["settings"].items() if key != "scopes"}


def test_so_many_others_must_approve_as_the_settings_say(program: Program) -> None:
    assert settings(made(program), "BranchPolicyMinReviewers")["reviewerCount"] == 2


def test_the_own_vote_does_not_count_and_neither_does_that_of_who_pushed_last(program: Program) -> None:
    votes = settings(made(program), "BranchPolicyMinReviewers")

    assert votes["submitterCanVote"] is False
    assert votes["lastPusherCannotApprove"] is True


def test_the_own_vote_counts_where_the_settings_say_so(program: Program) -> None:
    votes = settings(made(program, requester_vote_counts=True), "BranchPolicyMinReviewers")

    assert votes["submitterCanVote"] is True
    assert votes["lastPusherCannotApprove"] is False


@pytest.mark.parametrize("reset", [True, False])
def test_a_push_takes_the_votes_back_if_the_settings_say_so(program: Program, reset: bool) -> None:
    votes = settings(made(program, reset_votes_on_push=reset), "BranchPolicyMinReviewers")

    assert votes["onPushResetAllVotes"] is reset


def test_nobody_merges_over_a_rejection(program: Program) -> None:
    assert settings(made(program), "BranchPolicyMinReviewers")["allowCompletionWithRejectsOrWaits"] is False


def test_comments_must_be_resolved_unless_the_settings_say_otherwise(program: Program) -> None:
    made(program).one("BranchPolicyCommentResolution")
    assert made(program, resolve_comments=False).all("BranchPolicyCommentResolution") == []


def test_only_a_squash_merge_is_allowed(program: Program) -> None:
    assert settings(made(program), "BranchPolicyMergeTypes") == {
        "allowSquash": True,
        "allowRebaseAndFastForward": False,
        "allowRebaseWithMerge": False,
        "allowBasicNoFastForward": False,
    }


@pytest.mark.parametrize(
    ("merge_type", "allowed"),
    [
        ("squash", "allowSquash"),
        ("rebase", "allowRebaseAndFastForward"),
        ("rebaseMerge", "allowRebaseWithMerge"),
        ("merge", "allowBasicNoFastForward"),
    ],
)
def test_each_kind_of_merge_can_be_allowed(program: Program, merge_type: str, allowed: str) -> None:
    types = settings(made(program, merge_types=(merge_type,)), "BranchPolicyMergeTypes")

    assert [key for key, value in types.items() if value] == [allowed]


def test_a_pull_request_starts_the_build_by_itself_and_its_success_never_expires(program: Program) -> None:
    assert settings(made(program), "BranchPolicyBuildValidation") == {
        "buildDefinitionId": 7,
        "displayName": "build",
        "manualQueueOnly": False,
        "queueOnSourceUpdateOnly": False,
        "validDuration": 0,
    }


@pytest.mark.parametrize(("setting", "blocking"), [("required", True), ("optional", False)])
def test_a_linked_work_item_can_be_required_or_recommended(program: Program, setting: str, blocking: bool) -> None:
    assert made(program, linked_work_item=setting).one("BranchPolicyWorkItemLinking").inputs["blocking"] is blocking


def test_no_linked_work_item_is_asked_for_when_it_is_off(program: Program) -> None:
    assert made(program).all("BranchPolicyWorkItemLinking") == []


def test_reviewers_of_paths_are_named_by_their_ids(program: Program) -> None:
    required = (
        RequiredReviewers(paths=("/pipelines/*",), reviewers=("ann@example.com",), minimum=1, message="Ask Ann"),
        RequiredReviewers(paths=("/a", "!/b"), reviewers=("Release managers", "BO@example.com"), minimum=2, message=""),
    )
    first, second = made(program, required_reviewers=required).all("BranchPolicyAutoReviewers")

    assert (first.name, second.name) == ("review-required-reviewers-1", "review-required-reviewers-2")
    assert first.inputs["settings"]["autoReviewerIds"] == ["id of Ann"]
    assert first.inputs["settings"]["pathFilters"] == ["/pipelines/*"]
    assert first.inputs["settings"]["minimumNumberOfReviewers"] == 1
    assert first.inputs["settings"]["message"] == "Ask Ann"
    assert first.inputs["settings"]["submitterCanVote"] is False
    assert second.inputs["settings"]["autoReviewerIds"] == ["id of Release managers", "id of Bo"]
    assert second.inputs["settings"]["pathFilters"] == ["/a", "!/b"]
    assert second.inputs["settings"]["minimumNumberOfReviewers"] == 2


@pytest.mark.parametrize("branch", ["main", "release/1"])
def test_every_policy_holds_for_exactly_the_default_branch_of_this_repository(program: Program, branch: str) -> None:
    everything = RequiredReviewers(paths=("/x",), reviewers=("ann@example.com",), minimum=1, message="")
    recorded = made(program, branch, linked_work_item="required", required_reviewers=(everything,))

    policies = [each for each in recorded.resources if each.kind.startswith("BranchPolicy")]
    assert len(policies) == 6
    for policy in (each for each in policies if each.custom):
        assert policy.inputs["projectId"] == "p"
        assert policy.inputs["settings"]["scopes"] == [
            {"repositoryId": "r", "repositoryRef": f"refs/heads/{branch}", "matchType": "Exact"}
        ]


def test_all_policies_block_but_a_recommended_work_item(program: Program) -> None:
    recorded = made(program, linked_work_item="optional")

    policies = [each for each in recorded.resources if "BranchPolicy" in each.kind]
    blocking = {each.kind: each.inputs.get("blocking", True) for each in policies}
    assert [kind for kind, blocks in blocking.items() if not blocks] == ["BranchPolicyWorkItemLinking"]
    assert not any(each.inputs.get("enabled") is False for each in recorded.resources)
