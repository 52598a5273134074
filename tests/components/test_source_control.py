"""The component `SourceControl`: what is made, what is only looked up, and in which order."""

from dataclasses import replace
from pathlib import Path

import pulumi
import pytest

from components.settings_model import Project, Repository, Services
from components.source_control import SourceControl, SourceControlArgs
from tests.components.conftest import Program
from tests.components.recording import Recording
from tests.components.services import BUILD_SERVICE

SERVICES = Services(
    organization_url="https://dev.azure.com/contoso",
    organization="contoso",
    workspace_host="https://adb-1.7.azuredatabricks.net",
    databricks_requests_per_second=15,
    azure_devops_attempts=8,
)
PROJECT = Project(name="Databricks CI-CD", description="Notebooks", visibility="private", adopt=False)
REPOSITORY = Repository(name="notebooks", default_branch="main", adopt=False)
POLICIES = [
    "RepositoryPolicyCaseEnforcement",
    "RepositoryPolicyMaxFileSize",
    "RepositoryPolicyMaxPathLength",
    "RepositoryPolicyReservedNames",
]


def made(program: Program, project: Project = PROJECT, repository: Repository = REPOSITORY) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        args = SourceControlArgs(services=SERVICES, project=project, repository=repository, checkout=Path())
        source = SourceControl("source", args, opts)
        pulumi.export("project", source.project_id)
        pulumi.export("repository", source.repository_id)

    return program.part(make)


def test_a_project_is_made_as_the_settings_say(program: Program) -> None:
    assert made(program).one("Project").inputs == {
        "name": "Databricks CI-CD",
        "description": "Notebooks",
        "visibility": "private",
        "versionControl": "Git",
    }


def test_pipelines_of_a_new_project_get_every_limit(program: Program) -> None:
    limits = dict(made(program).one("ProjectPipelineSettings").inputs)

    assert limits.pop("projectId") == "id of source-project"
    assert limits.pop("publishPipelineMetadata") is False
    assert set(limits) == {
        "enforceJobScope",
        "enforceJobScopeForRelease",
        "enforceReferencedRepoScopedToken",
        "enforceSettableVar",
        "statusBadgesArePrivate",
    }
    assert all(limits.values())


def test_a_new_repository_is_empty_and_takes_the_first_branch_that_is_pushed_as_its_default(program: Program) -> None:
    repository = made(program).one("Git")

    assert repository.inputs == {
        "name": "notebooks",
        "projectId": "id of source-project",
        "initialization": {"initType": "Uninitialized"},
    }


def test_what_only_the_beginning_of_a_repository_decides_is_not_compared_again(program: Program) -> None:
    assert made(program).one("Git").ignore_changes == ("initialization",)


def test_the_repository_gets_the_policies_that_keep_it_usable(program: Program) -> None:
    recorded = made(program)

    policies = {kind: dict(recorded.one(kind).inputs) for kind in POLICIES}
    for inputs in policies.values():
        assert inputs.pop("projectId") == "id of source-project"
        assert inputs.pop("repositoryIds") == ["id of source-repository"]
    assert policies == {
        "RepositoryPolicyReservedNames": {},
        "RepositoryPolicyCaseEnforcement": {"enforceConsistentCase": True},
        "RepositoryPolicyMaxPathLength": {"maxPathLength": 250},
        "RepositoryPolicyMaxFileSize": {"maxFileSize": 10},
    }


def test_the_first_commit_is_pushed_before_any_policy_exists(program: Program) -> None:
    recorded = made(program)

    pushing = [each for each in recorded.resources if "first-push" in each.hooks.get("before_create", ())]
    (first,) = pushing
    others = [each for each in recorded.resources if each.kind in POLICIES and each is not first]
    assert len(others) == 3
    assert all(first.urn in each.dependencies for each in others)


def test_whoever_takes_the_repository_id_comes_after_the_first_push(program: Program) -> None:
    program.answers.users.append(BUILD_SERVICE)
    recorded = made(program)

    first = next(each for each in recorded.resources if each.hooks)
    assert first.urn in recorded.one("GitPermissions").dependencies
    assert recorded.exports["repository"] == "id of source-repository"


def test_the_build_identity_may_comment_on_pull_requests_and_see_what_drift_compares_and_nothing_else(
    program: Program,
) -> None:
    program.answers.users.append(BUILD_SERVICE)

    recorded = made(program)
    assert recorded.one("GitPermissions").inputs == {
        "projectId": "id of source-project",
        "repositoryId": "id of source-repository",
        "principal": BUILD_SERVICE.descriptor,
        "permissions": {"PullRequestContribute": "Allow"},
        "replace": False,
    }
    seeing = {"principal": BUILD_SERVICE.descriptor, "replace": False}
    assert recorded.one("LibraryPermissions").inputs == {
        "projectId": "id of source-project",
        "permissions": {"View": "Allow"},
        **seeing,
    }
    assert recorded.one("SecurityPermissions").inputs == {
        "namespaceId": "83d4c2e6-e57d-4d6e-892b-b87222b7ad20",
        "token": "Environments/id of source-project",
        "permissions": {"View": "allow"},
        **seeing,
    }


def test_without_a_build_identity_yet_the_program_says_what_to_do_later(program: Program) -> None:
    recorded = made(program)

    assert [recorded.all(kind) for kind in ("GitPermissions", "LibraryPermissions", "SecurityPermissions")] == [[]] * 3
    (message,) = recorded.messages("info")
    assert "'Databricks CI-CD Build Service (contoso)'" in message
    assert "Run `pulumi up` once more" in message


def test_another_identity_of_a_longer_name_does_not_get_the_permission(program: Program) -> None:
    program.answers.users.append(replace(BUILD_SERVICE, display_name=f"Copy of {BUILD_SERVICE.display_name}"))

    assert made(program).all("GitPermissions") == []


def test_an_adopted_project_is_looked_up_and_not_managed(program: Program) -> None:
    recorded = made(program, project=replace(PROJECT, adopt=True))

    assert recorded.kinds() == ["Git", *POLICIES]
    assert recorded.exports["project"] == "id of project Databricks CI-CD"
    assert recorded.one("Git").inputs["projectId"] == "id of project Databricks CI-CD"


def test_an_adopted_repository_is_looked_up_and_not_managed(program: Program) -> None:
    recorded = made(program, repository=replace(REPOSITORY, adopt=True))

    assert recorded.kinds() == ["Project", "ProjectPipelineSettings", *POLICIES]
    (asked,) = recorded.asked("getGitRepository")
    assert asked.inputs == {"name": "notebooks", "projectId": "id of source-project"}
    assert recorded.exports["repository"] == "id of repository notebooks"


def test_with_both_adopted_only_what_was_asked_is_managed_and_nothing_is_protected(program: Program) -> None:
    recorded = made(program, project=replace(PROJECT, adopt=True), repository=replace(REPOSITORY, adopt=True))

    assert recorded.kinds() == POLICIES
    assert not any(each.protect for each in recorded.resources)


def test_a_missing_project_to_adopt_ends_the_program(program: Program) -> None:
    program.answers.failures["getProject"] = "Project with name Databricks CI-CD does not exist"

    with pytest.raises(Exception, match="Project with name Databricks CI-CD does not exist"):
        made(program, project=replace(PROJECT, adopt=True))
