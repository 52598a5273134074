"""A project with a commit on main, a developer's branch, and the means to protect main."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.devops.v7_1.git import models
from msrest import Deserializer

from rehearsal.azuredevops import create_app, policy
from rehearsal.azuredevops.users import ADMINISTRATOR, DANA
from rehearsal.service import Background
from tests.rehearsal.azuredevops.organization import (
    CONTROL_TOKEN,
    CREDENTIALS,
    Organization,
    commit,
    git,
    policy_body,
    scope,
    work_tree,
)

PIPELINE = """
trigger: none
pool:
  vmImage: ubuntu-latest
jobs:
- job: check
  steps:
  - script: echo checked
"""


@dataclass(frozen=True)
class Place:
    """A repository, and what happens to it in a test."""

    organization: Organization
    project: Any
    repository: Any
    tree: Path

    def client(self, user: str = DANA) -> Any:
        """Microsoft's git client."""
        return self.organization.clients(user).get_git_client()

    def user(self, key: str) -> str:
        """The id of a user."""
        found = (
            self.organization.clients()
            .get_identity_client()
            .read_identities(search_filter="AccountName", filter_value=f"{key}@rehearsal.example")
        )
        return str(found[0].id)

    def push(self, branch: str = "feature", path: str = "b.py", content: str = "2\n", user: str = DANA) -> str:
        """Commits on a branch and pushes it; the branch begins at main.

        Returns:
            The commit's id.
        """
        known = git(self.tree, "rev-parse", "--verify", branch, check=False).returncode == 0
        git(self.tree, "checkout", "--quiet", *([branch] if known else ["-b", branch, "origin/main"]))
        made = commit(self.tree, path, content, f"change {path}")
        name = self.repository.name.replace(" ", "%20")
        git(self.tree, "push", "--quiet", self.organization.remote(self.project.name, name, user), branch)
        return made

    def fetch(self) -> None:
        git(self.tree, "fetch", "--quiet", "origin")

    def main(self) -> str:
        """Where main is, as git says."""
        return git(self.tree, "ls-remote", "origin", "refs/heads/main").stdout.split()[0]

    def open(self, source: str = "feature", user: str = DANA, **more: Any) -> Any:
        """Opens a pull request into main."""
        body = {
            "sourceRefName": f"refs/heads/{source}",
            "targetRefName": "refs/heads/main",
            "title": f"Bring {source}",
            "description": "for a test",
            **more,
        }
        made = self.client(user).create_pull_request(_model("GitPullRequest", body), self.repository.id)
        return self.get(made)

    def get(self, pull: Any) -> Any:
        return self.client().get_pull_request(self.repository.id, pull.pull_request_id)

    def update(self, pull: Any, body: dict[str, Any], user: str = DANA) -> Any:
        client = self.client(user)
        return client.update_pull_request(_model("GitPullRequest", body), self.repository.id, pull.pull_request_id)

    def complete(self, pull: Any, user: str = DANA, strategy: str | None = "squash", **options: Any) -> Any:
        """Asks for completion and looks what became of it."""
        if strategy:
            options["mergeStrategy"] = strategy
        last = self.get(pull).last_merge_source_commit.commit_id
        body = {"status": "completed", "lastMergeSourceCommit": {"commitId": last}, "completionOptions": options}
        self.update(pull, body, user)
        return self.get(pull)

    def vote(self, pull: Any, user: str, vote: int = 10) -> Any:
        id_ = self.user(user)
        body = _model("IdentityRefWithVote", {"id": id_, "vote": vote})
        client = self.client(user)
        return client.create_pull_request_reviewer(body, self.repository.id, pull.pull_request_id, id_)

    def comment(self, pull: Any, text: str, user: str = DANA, **more: Any) -> Any:
        body = {"comments": [{"parentCommentId": 0, "content": text, "commentType": "text"}], "status": "active"}
        thread = _model("GitPullRequestCommentThread", {**body, **more})
        return self.client(user).create_thread(thread, self.repository.id, pull.pull_request_id)

    def protect(self, type_id: str, settings: dict[str, Any], **more: Any) -> Any:
        """A policy on main."""
        body = policy_body(type_id, {**settings, "scope": scope(self.repository.id)}, **more)
        policies = self.organization.clients().get_policy_client()
        return policies.create_policy_configuration(body, self.project.id)

    def validate(self, **settings: Any) -> Any:
        """A pipeline, and the policy that wants its build."""
        pipeline = {
            "name": "build",
            "process": {"yamlFilename": "pipelines/build.yml", "type": 2},
            "repository": {"id": self.repository.id, "type": "TfsGit", "defaultBranch": "refs/heads/main"},
        }
        definition = self.organization.clients().get_build_client().create_definition(pipeline, self.project.id)
        wanted = {
            "buildDefinitionId": definition.id,
            "displayName": "build",
            "manualQueueOnly": False,
            "queueOnSourceUpdateOnly": False,
            "validDuration": 0,
            **settings,
        }
        self.protect(policy.BUILD_VALIDATION, wanted)
        return definition

    def evaluations(self, pull: Any) -> dict[str, Any]:
        """The policies by the name of their kind."""
        policies = self.organization.clients().get_policy_client()
        artifact = f"vstfs:///CodeReview/CodeReviewId/{self.project.id}/{pull.pull_request_id}"
        found = policies.get_policy_evaluations(self.project.id, artifact, include_not_applicable=True)
        return {each.configuration.type.display_name: each for each in found}

    def states(self, pull: Any) -> dict[str, str]:
        return {name: each.status for name, each in self.evaluations(pull).items()}

    def http(self, method: str, path: str, user: str = DANA, **more: Any) -> Any:
        """Plain HTTP below the repository."""
        with self.organization.http(user) as http:
            return http.request(
                method, f"/{self.project.id}/_apis/git/repositories/{self.repository.id}/{path}", **more
            )


def _model(name: str, body: dict[str, Any]) -> Any:
    """What Microsoft's client wants: it reads a body of plain names into its own classes."""
    classes = {key: value for key, value in vars(models).items() if isinstance(value, type)}
    read: Any = Deserializer
    return read(classes)(name, body)


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    """A service of its own, which carries builds out."""
    state = tmp_path_factory.mktemp("pull-requests")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS, orchestrate=True)
    with Background(app) as root:
        yield Organization(root)
    app.close()


@pytest.fixture
def place(organization: Organization, project: Any, repository: Any, folder: Path) -> Iterator[Place]:
    tree = work_tree(folder / "tree")
    commit(tree, "pipelines/build.yml", PIPELINE, "pipeline")
    remote = organization.remote(project.name, repository.name.replace(" ", "%20"), ADMINISTRATOR)
    git(tree, "remote", "add", "origin", remote)
    git(tree, "push", "--quiet", "origin", "main")
    git(tree, "fetch", "--quiet", "origin")
    yield Place(organization, project, repository, tree)
    # A job that still waits would go to another test's agent.
    core = organization.clients().get_core_client()
    if any(each.id == project.id for each in core.get_projects()):
        organization.wait(core.queue_delete_project(project.id))
