"""The Azure DevOps project and the git repository that everything starts from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pulumi

from components import identities, naming
from components.errors import words_of
from components.first_push import first_push_hook
from components.sdk import azuredevops
from components.settings_model import Project, Repository, Services

_ENVIRONMENTS = "83d4c2e6-e57d-4d6e-892b-b87222b7ad20"
"""The security namespace of environments."""


@dataclass(frozen=True, kw_only=True)
class SourceControlArgs:
    """Arguments of `SourceControl`.

    Args:
        services: the organisation.
        project: the project, made or adopted.
        repository: the repository, made or adopted.
        checkout: the folder whose current commit a fresh repository begins with.
    """

    services: Services
    project: Project
    repository: Repository
    checkout: Path


class _Scope(TypedDict):
    project_id: pulumi.Output[str]
    repository_ids: list[pulumi.Input[str]]


class SourceControl(pulumi.ComponentResource):
    """Project, repository, the limits on what pipelines may do, the repository's policies and its first commit.

    An adopted project or repository is looked up and nothing else: its description, visibility, features and settings
    stay as they are, and `destroy` leaves it. The pipeline settings of an adopted project belong to all that lives in
    it and are left alone too; the policies below concern this repository only and are made in any case.

    Deliberately not managed: the default team and groups, boards, features, the empty repository that Azure DevOps
    makes with a project, and the policy that checks for credentials, which the service no longer lets anybody create.

    `project_id` is known as soon as there is a project. `repository_id` is known when the default branch has its
    first commit, so that whatever takes it (branch policies, pipelines) comes after the first push.

    Sources: https://learn.microsoft.com/azure/devops/repos/git/repository-settings,
    https://learn.microsoft.com/azure/devops/pipelines/security/misc
    """

    project_id: pulumi.Output[str]
    repository_id: pulumi.Output[str]

    def __init__(self, name: str, args: SourceControlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("databricks-cicd:azuredevops:SourceControl", name, None, opts)
        self._name, self._args = name, args
        self.project_id = self._project()
        repository_id = self._repository()
        first_policy = self._repository_policies(repository_id)
        self.repository_id = pulumi.Output.all(repository_id, first_policy.id).apply(lambda known: str(known[0]))
        self._let_build_identity()
        self.register_outputs({"project_id": self.project_id, "repository_id": self.repository_id})

    def _project(self) -> pulumi.Output[str]:
        wanted = self._args.project
        if wanted.adopt:
            return pulumi.Output.from_input(self._existing_project(wanted.name))
        project = azuredevops.Project(
            f"{self._name}-project",
            name=wanted.name,
            description=wanted.description,
            visibility=wanted.visibility,
            version_control="Git",
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Both scopes are limited to the project, a job reads the repositories it names and no other, and nobody sets a
        # variable at queue time that the pipeline doesn't offer. An organisation's stricter setting wins over these.
        azuredevops.ProjectPipelineSettings(
            f"{self._name}-pipeline-settings",
            project_id=project.id,
            enforce_job_scope=True,
            enforce_job_scope_for_release=True,
            enforce_referenced_repo_scoped_token=True,
            enforce_settable_var=True,
            status_badges_are_private=True,
            publish_pipeline_metadata=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return project.id

    def _existing_project(self, name: str) -> str:
        try:
            return azuredevops.get_project(name=name, opts=pulumi.InvokeOptions(parent=self)).id
        except Exception as error:  # noqa: BLE001 - an invoke fails with a bare Exception that carries the provider's words
            raise pulumi.RunError(
                f"databricks-cicd:controlPlane.project.adopt is true, and the project {name!r} can't be looked up. "
                f"The provider says: {words_of(error)}\n"
                "Write the name of a project that exists, or leave `adopt` out to have one made. Nothing was changed."
            ) from None

    def _repository(self) -> pulumi.Output[str]:
        wanted = self._args.repository
        if wanted.adopt:
            found = azuredevops.get_git_repository_output(
                name=wanted.name, project_id=self.project_id, opts=pulumi.InvokeOutputOptions(parent=self)
            )
            return found.id
        repository = azuredevops.Git(
            f"{self._name}-repository",
            name=wanted.name,
            project_id=self.project_id,
            initialization=azuredevops.GitInitializationArgs(init_type="Uninitialized"),
            # The provider can't read back how a repository began, and refuses a default branch for an empty one: the
            # service takes the first branch that is pushed.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialization"]),
        )
        return repository.id

    def _repository_policies(self, repository_id: pulumi.Output[str]) -> pulumi.CustomResource:
        """The first policy's hook pushes the first commit; the other policies come after it."""
        scope: _Scope = {"project_id": self.project_id, "repository_ids": [repository_id]}
        push = first_push_hook(
            self._args.services.organization_url, self._args.repository.default_branch, self._args.checkout
        )
        first = azuredevops.RepositoryPolicyReservedNames(
            f"{self._name}-reserved-names",
            **scope,
            opts=pulumi.ResourceOptions(parent=self, hooks=pulumi.ResourceHookBinding(before_create=[push])),
        )
        later = pulumi.ResourceOptions(parent=self, depends_on=[first])
        azuredevops.RepositoryPolicyCaseEnforcement(
            f"{self._name}-consistent-case", **scope, enforce_consistent_case=True, opts=later
        )
        azuredevops.RepositoryPolicyMaxPathLength(
            f"{self._name}-path-length", **scope, max_path_length=naming.MAX_PATH_LENGTH, opts=later
        )
        azuredevops.RepositoryPolicyMaxFileSize(
            f"{self._name}-file-size", **scope, max_file_size=naming.MAX_FILE_MEBIBYTES, opts=later
        )
        return first

    def _let_build_identity(self) -> None:
        """The project's build identity may comment on pull requests, see what drift compares, and gets nothing else.

        What it doesn't see, the nightly comparison would take for gone: variable groups, and environments with their
        checks. Their tokens: https://learn.microsoft.com/azure/devops/organizations/security/namespace-reference

        It exists only after the project's first pipeline run, and no group that would hold it from the beginning is
        narrow enough (https://github.com/microsoft/terraform-provider-azuredevops/issues/1096). So the first `up`
        says that the permission is still to come, and an `up` after the first run gives it.
        """
        name = f"{self._args.project.name} Build Service ({self._args.services.organization})"
        identity = identities.find_service(name, self)
        if identity is None:
            pulumi.log.info(
                f"Azure DevOps makes the identity {name!r} with the project's first pipeline run. Run `pulumi up` once "
                "more after that: it lets that identity comment on pull requests, and see variable groups and gates."
            )
            return
        azuredevops.GitPermissions(
            f"{self._name}-build-comments",
            project_id=self.project_id,
            repository_id=self.repository_id,
            principal=identity.descriptor,
            permissions={"PullRequestContribute": "Allow"},
            replace=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        azuredevops.LibraryPermissions(
            f"{self._name}-build-sees-variable-groups",
            project_id=self.project_id,
            principal=identity.descriptor,
            permissions={"View": "Allow"},
            replace=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        azuredevops.SecurityPermissions(
            f"{self._name}-build-sees-environments",
            namespace_id=_ENVIRONMENTS,
            token=pulumi.Output.concat("Environments/", self.project_id),
            principal=identity.descriptor,
            permissions={"View": "allow"},  # in small letters, unlike the others: the provider reads it so
            replace=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
