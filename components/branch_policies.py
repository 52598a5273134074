"""What a pull request into the default branch must satisfy."""

from dataclasses import dataclass
from typing import TypedDict

import pulumi

from components import identities, naming
from components.sdk import azuredevops
from components.settings_model import RequiredReviewers, Review


class _Scope(TypedDict):
    repository_id: pulumi.Input[str]
    repository_ref: str
    match_type: str


@dataclass(frozen=True, kw_only=True)
class BranchPoliciesArgs:
    """Arguments of `BranchPolicies`.

    Args:
        project_id: the project's id.
        repository_id: the repository's id, known only after the first push: a policy would refuse it.
        default_branch: the short name of the branch.
        review: what the settings ask of a pull request.
        build_pipeline_id: the pipeline that must succeed.
    """

    project_id: pulumi.Input[str]
    repository_id: pulumi.Input[str]
    default_branch: str
    review: Review
    build_pipeline_id: pulumi.Input[int]


class BranchPolicies(pulumi.ComponentResource):
    """The policies on the default branch. All that are made block; with any of them nobody pushes to the branch.

    Deliberately not managed: policies on other branches, who may bypass policies (nobody is given that), and status
    checks of other tools.

    Source: https://learn.microsoft.com/azure/devops/repos/git/branch-policies
    """

    def __init__(self, name: str, args: BranchPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:BranchPolicies", name, None, opts)
        self._name, self._args = name, args
        self._scope: _Scope = {
            "repository_id": args.repository_id,
            "repository_ref": naming.branch_ref(args.default_branch),
            "match_type": "Exact",
        }
        self._child = pulumi.ResourceOptions(parent=self)
        self._votes()
        self._merge()
        self._build()
        for number, required in enumerate(args.review.required_reviewers, start=1):
            self._required_reviewers(number, required)
        self.register_outputs({})

    def _votes(self) -> None:
        review = self._args.review
        azuredevops.BranchPolicyMinReviewers(
            f"{self._name}-minimum-reviewers",
            project_id=self._args.project_id,
            settings=azuredevops.BranchPolicyMinReviewersSettingsArgs(
                reviewer_count=review.minimum_reviewers,
                submitter_can_vote=review.requester_vote_counts,
                last_pusher_cannot_approve=not review.requester_vote_counts,
                # All votes include the approvals: the service says both, and a preview would take one back for ever.
                on_push_reset_all_votes=review.reset_votes_on_push,
                on_push_reset_approved_votes=review.reset_votes_on_push,
                allow_completion_with_rejects_or_waits=False,
                scopes=[azuredevops.BranchPolicyMinReviewersSettingsScopeArgs(**self._scope)],
            ),
            opts=self._child,
        )
        if review.resolve_comments:
            azuredevops.BranchPolicyCommentResolution(
                f"{self._name}-resolved-comments",
                project_id=self._args.project_id,
                settings=azuredevops.BranchPolicyCommentResolutionSettingsArgs(
                    scopes=[azuredevops.BranchPolicyCommentResolutionSettingsScopeArgs(**self._scope)]
                ),
                opts=self._child,
            )
        if review.linked_work_item != "off":
            azuredevops.BranchPolicyWorkItemLinking(
                f"{self._name}-linked-work-item",
                project_id=self._args.project_id,
                blocking=review.linked_work_item == "required",
                settings=azuredevops.BranchPolicyWorkItemLinkingSettingsArgs(
                    scopes=[azuredevops.BranchPolicyWorkItemLinkingSettingsScopeArgs(**self._scope)]
                ),
                opts=self._child,
            )

    def _merge(self) -> None:
        types = self._args.review.merge_types
        azuredevops.BranchPolicyMergeTypes(
            f"{self._name}-merge-types",
            project_id=self._args.project_id,
            settings=azuredevops.BranchPolicyMergeTypesSettingsArgs(
                allow_squash="squash" in types,
                allow_rebase_and_fast_forward="rebase" in types,
                allow_rebase_with_merge="rebaseMerge" in types,
                allow_basic_no_fast_forward="merge" in types,
                scopes=[azuredevops.BranchPolicyMergeTypesSettingsScopeArgs(**self._scope)],
            ),
            opts=self._child,
        )

    def _build(self) -> None:
        """A pull request starts the build because of this: Azure Repos ignores `pr:` in the YAML.

        A build counts until the source or the target branch changes, not for a number of minutes.
        """
        azuredevops.BranchPolicyBuildValidation(
            f"{self._name}-build",
            project_id=self._args.project_id,
            settings=azuredevops.BranchPolicyBuildValidationSettingsArgs(
                build_definition_id=self._args.build_pipeline_id,
                display_name=naming.BUILD_PIPELINE,
                manual_queue_only=False,
                queue_on_source_update_only=False,
                valid_duration=0,
                scopes=[azuredevops.BranchPolicyBuildValidationSettingsScopeArgs(**self._scope)],
            ),
            opts=self._child,
        )

    def _required_reviewers(self, number: int, required: RequiredReviewers) -> None:
        found = [identities.find(name, self._args.project_id, self) for name in required.reviewers]
        azuredevops.BranchPolicyAutoReviewers(
            f"{self._name}-required-reviewers-{number}",
            project_id=self._args.project_id,
            settings=azuredevops.BranchPolicyAutoReviewersSettingsArgs(
                auto_reviewer_ids=[each.id for each in found],
                path_filters=list(required.paths),
                minimum_number_of_reviewers=required.minimum,
                submitter_can_vote=False,
                message=required.message,
                scopes=[azuredevops.BranchPolicyAutoReviewersSettingsScopeArgs(**self._scope)],
            ),
            opts=self._child,
        )
