"""The comment in a pull request, against the stand-in's pull requests and its policy on comments."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from delivery.azure_devops import AzureDevOps, AzureDevOpsError
from delivery.comment import MARK, Comment, publish
from rehearsal.azuredevops import create_app, policy
from rehearsal.azuredevops.users import DANA, DEVIN, NOBODY
from rehearsal.service import Background
from tests.rehearsal.azuredevops.organization import (
    CONTROL_TOKEN,
    CREDENTIALS,
    SOCKETS_LEFT_OPEN,
    Organization,
    commit,
    git,
    policy_body,
    scope,
    work_tree,
)

pytestmark = SOCKETS_LEFT_OPEN

ORDINARY = Comment(text="### Preview\n\none notebook", flagged=False, empty=False)
FLAGGED = Comment(text="### Preview\n\nan approver is taken away", flagged=True, empty=False)
EMPTY = Comment(text="### Preview\n\nnothing to deploy", flagged=False, empty=True)


@dataclass(frozen=True)
class Pull:
    """A pull request, and what its readers see."""

    organization: Organization
    project: Any
    repository: Any
    number: int
    tree: Path

    def service(self, user: str = DEVIN) -> AzureDevOps:
        return AzureDevOps(self.organization.url, self.project.name, CREDENTIALS[user], attempts=1)

    def publish(self, comment: Comment, user: str = DEVIN, **more: Any) -> str:
        return publish(self.service(user), self.number, comment, **more)

    def threads(self) -> list[Any]:
        client = self.organization.clients(DANA).get_git_client()
        found = client.get_threads(self.repository.id, self.number, project=self.project.id)
        return [each for each in found if each.comments[0].comment_type != "system"]

    def said(self) -> list[tuple[str, str | None]]:
        """Text and status of each thread."""
        return [(each.comments[0].content, each.status) for each in self.threads()]

    def resolve(self, thread: int) -> None:
        client = self.organization.clients(DANA).get_git_client()
        client.update_thread({"status": "fixed"}, self.repository.id, self.number, thread, project=self.project.id)

    def waits_for_comments(self) -> bool:
        """Whether the policy on comments holds the pull request up."""
        client = self.organization.clients().get_policy_client()
        artifact = f"vstfs:///CodeReview/CodeReviewId/{self.project.id}/{self.number}"
        found = client.get_policy_evaluations(self.project.id, artifact)
        [only] = [each for each in found if each.configuration.type.id == policy.COMMENTS]
        return str(only.status) != "approved"


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    app = create_app(tmp_path_factory.mktemp("comments"), control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as root:
        yield Organization(root)
    gc.collect()


@pytest.fixture
def pull(organization: Organization, tmp_path: Path) -> Pull:
    project = organization.new_project()
    repository = organization.clients().get_git_client().get_repository(project.name, project=project.name)
    tree = work_tree(tmp_path / "tree")
    commit(tree, "a.py", "1\n")
    git(tree, "remote", "add", "origin", organization.remote(project.name, repository.name.replace(" ", "%20")))
    git(tree, "push", "--quiet", "origin", "main")
    git(tree, "checkout", "--quiet", "-b", "feature")
    commit(tree, "a.py", "2\n")
    git(tree, "push", "--quiet", "origin", "feature")
    policies = organization.clients().get_policy_client()
    policies.create_policy_configuration(policy_body(policy.COMMENTS, {"scope": scope(repository.id)}), project.id)
    body = {"sourceRefName": "refs/heads/feature", "targetRefName": "refs/heads/main", "title": "t"}
    made = organization.clients(DANA).get_git_client().create_pull_request(body, repository.id, project=project.id)
    return Pull(organization, project, repository, made.pull_request_id, tree)


def test_the_first_preview_makes_the_comment_and_a_later_one_edits_it_in_place(pull: Pull) -> None:
    assert pull.publish(ORDINARY) == "created"
    assert pull.publish(ORDINARY) == "unchanged"
    assert pull.publish(Comment(text="two notebooks", flagged=False, empty=False)) == "edited"
    assert [text for text, _ in pull.said()] == ["two notebooks"]
    assert pull.threads()[0].properties[MARK]["$value"] == "1"


def test_a_pull_request_waits_for_a_flagged_comment_and_not_for_an_ordinary_one(pull: Pull) -> None:
    pull.publish(ORDINARY)
    assert not pull.waits_for_comments()
    assert pull.publish(FLAGGED) == "edited"
    assert pull.said() == [(FLAGGED.text, "active")]
    assert pull.waits_for_comments()
    assert pull.publish(ORDINARY) == "edited"
    assert pull.said() == [(ORDINARY.text, "fixed")]
    assert not pull.waits_for_comments()


def test_what_a_person_has_resolved_stays_resolved_until_it_says_something_else(pull: Pull) -> None:
    pull.publish(FLAGGED)
    pull.resolve(pull.threads()[0].id)
    assert pull.publish(FLAGGED) == "unchanged"
    assert not pull.waits_for_comments()
    assert pull.publish(Comment(text="two approvers are taken away", flagged=True, empty=False)) == "edited"
    assert pull.waits_for_comments()


def test_the_comment_is_resolved_when_nothing_is_left_to_see(pull: Pull) -> None:
    pull.publish(FLAGGED)
    assert pull.publish(EMPTY) == "resolved"
    assert pull.said() == [(EMPTY.text, "fixed")]
    assert pull.publish(EMPTY) == "unchanged"


def test_a_pull_request_in_which_there_was_nothing_to_see_gets_no_comment(pull: Pull) -> None:
    assert pull.publish(EMPTY) == "nothing to say"
    assert pull.said() == []


def test_a_build_of_an_earlier_push_leaves_the_comment_to_the_later_one(pull: Pull) -> None:
    before = git(pull.tree, "rev-parse", "HEAD").stdout.strip()
    commit(pull.tree, "a.py", "3\n")
    git(pull.tree, "push", "--quiet", "origin", "feature")
    assert pull.publish(FLAGGED, source_commit=before) == "left to a later push"
    assert pull.said() == []
    assert pull.publish(FLAGGED, source_commit=git(pull.tree, "rev-parse", "HEAD").stdout.strip()) == "created"


def test_a_comment_of_somebody_else_with_our_mark_is_left_alone(pull: Pull) -> None:
    pull.publish(ORDINARY, DANA)
    assert pull.publish(FLAGGED, DEVIN) == "created"
    assert [text for text, _ in pull.said()] == [ORDINARY.text, FLAGGED.text]


def test_a_deleted_comment_is_made_anew(pull: Pull) -> None:
    pull.publish(ORDINARY)
    client = pull.organization.clients(DEVIN).get_git_client()
    client.delete_comment(pull.repository.id, pull.number, pull.threads()[0].id, 1, project=pull.project.id)
    assert pull.publish(FLAGGED) == "created"


def test_who_has_no_right_to_comment_is_told_so(pull: Pull) -> None:
    with pytest.raises(AzureDevOpsError) as refused:
        pull.publish(ORDINARY, NOBODY)
    assert refused.value.status in (401, 403, 404)
    assert pull.said() == []
