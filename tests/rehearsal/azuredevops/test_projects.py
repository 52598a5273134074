"""Projects, operations, teams, groups and who may see them."""

from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsAuthenticationError, AzureDevOpsServiceError

from rehearsal.azuredevops.users import ADMINISTRATOR, AVERY, DANA, EXPIRED, NOBODY
from tests.rehearsal.azuredevops.organization import SOCKETS_LEFT_OPEN, Organization, project_body

pytestmark = SOCKETS_LEFT_OPEN


def test_a_project_is_made_by_an_operation_that_takes_its_time(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough to be seen on a machine that does other work.
    monkeypatch.setattr("rehearsal.azuredevops.core._ENDS", 2.0)
    core = organization.clients().get_core_client()
    reference = core.queue_create_project(project_body("Takes time"))
    assert reference.status == "queued"
    assert core.get_project("takes TIME").state == "createPending"
    assert organization.wait(reference) == "succeeded"
    project = core.get_project("takes TIME", include_capabilities=True)
    assert (project.name, project.state, project.visibility) == ("Takes time", "wellFormed", "private")
    assert project.capabilities["processTemplate"]["templateName"] == "Agile"
    assert project.capabilities["versioncontrol"]["sourceControlType"] == "Git"
    assert project.last_update_time is not None


def test_a_new_project_has_what_the_service_gives_it(organization: Organization, project: Any) -> None:
    clients = organization.clients()
    repositories = clients.get_git_client().get_repositories(project.id)
    assert [each.name for each in repositories] == [project.name]
    assert repositories[0].default_branch is None
    queues = clients.get_task_agent_client().get_agent_queues(project=project.id)
    assert {each.name for each in queues} == {"Default", "Azure Pipelines"}
    graph = clients.get_graph_client()
    scope = graph.get_descriptor(project.id).value
    groups = {each.display_name for each in graph.list_groups(scope_descriptor=scope).graph_groups}
    assert {"Project Administrators", "Contributors", "Readers", f"{project.name} Team"} <= groups
    team = clients.get_core_client().get_team(project.id, f"{project.name} Team")
    assert project.default_team.id == team.id


@pytest.mark.parametrize("name", ["", "a/b", "ends with.", "_hidden", "x" * 65])
def test_a_name_that_the_service_does_not_take_is_refused(organization: Organization, name: str) -> None:
    with pytest.raises(AzureDevOpsServiceError, match="TF50316"):
        organization.clients().get_core_client().queue_create_project(project_body(name))


def test_a_project_name_is_unique_in_any_case(organization: Organization, project: Any) -> None:
    with pytest.raises(AzureDevOpsServiceError, match="TF200019: The following project already exists"):
        organization.clients().get_core_client().queue_create_project(project_body(project.name.upper()))


def test_a_project_that_does_not_exist_is_named_in_the_error(organization: Organization) -> None:
    core = organization.clients().get_core_client()
    with pytest.raises(AzureDevOpsServiceError, match="TF200016: The following project does not exist: nowhere"):
        core.get_project("nowhere")
    with pytest.raises(AzureDevOpsServiceError, match="VS800075"):
        core.get_project("00000000-0000-0000-0000-000000000001")


def test_a_changed_project_keeps_its_id(organization: Organization, project: Any) -> None:
    core = organization.clients().get_core_client()
    changed = core.update_project({"name": project.name + " new", "description": "other"}, project.id)
    organization.wait(changed)
    after = core.get_project(project.name + " new")
    assert (after.id, after.description, after.revision) == (project.id, "other", project.revision + 1)


def test_a_deleted_project_takes_everything_with_it(organization: Organization, project: Any, repository: Any) -> None:
    clients = organization.clients()
    agents, policies = clients.get_task_agent_client(), clients.get_policy_client()
    environment = agents.add_environment({"name": "test"}, project.id)
    scope = [{"repositoryId": repository.id, "refName": "refs/heads/main", "matchKind": "Exact"}]
    body = {"type": {"id": "c6a1889d-b943-4856-b76f-9e46bb6b0df2"}, "settings": {"scope": scope}}
    policies.create_policy_configuration(body, project.id)
    graph = clients.get_graph_client()
    group = graph.list_groups(scope_descriptor=graph.get_descriptor(project.id).value).graph_groups[0]
    core = clients.get_core_client()
    assert organization.wait(core.queue_delete_project(project.id)) == "succeeded"
    with pytest.raises(AzureDevOpsServiceError, match="VS800075"):
        core.get_project(project.id)
    with pytest.raises(AzureDevOpsServiceError, match="TF401019"):
        clients.get_git_client().get_repository(repository.id)
    with pytest.raises(AzureDevOpsServiceError, match="VS800075"):
        agents.get_environment_by_id(project.id, environment.id)
    with pytest.raises(AzureDevOpsServiceError, match="could not be found"):
        graph.get_group(group.descriptor)
    again = organization.new_project(project.name)
    assert again.id != project.id
    assert agents.get_environments(again.id) == []
    assert policies.get_policy_configurations(again.id) == []


@pytest.mark.parametrize("user", [None, EXPIRED])
def test_without_a_valid_token_there_is_a_401(organization: Organization, user: str | None) -> None:
    with organization.http(user) as http:
        for answer in (http.options("/_apis"), http.get("/_apis/projects"), http.get("/_apis/ResourceAreas")):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert answer.json()["message"].startswith("TF400813" if user is None else "Access Denied: The Personal")


def test_a_wrong_token_cannot_even_connect(organization: Organization) -> None:
    with organization.http(None) as http:
        assert http.get("/_apis/projects", auth=("", "wrong")).status_code == 401
    with pytest.raises((AzureDevOpsAuthenticationError, AzureDevOpsServiceError), match="expired"):
        organization.clients(EXPIRED).get_core_client().get_projects()


def test_somebody_without_rights_sees_nothing_and_makes_nothing(organization: Organization, project: Any) -> None:
    clients = organization.clients(NOBODY)
    core = clients.get_core_client()
    with pytest.raises(AzureDevOpsServiceError, match=r"TF50309.*Create new projects"):
        core.queue_create_project(project_body("Mine"))
    assert project.name not in [each.name for each in core.get_projects()]
    with pytest.raises(AzureDevOpsServiceError, match="TF200016"):
        core.get_project(project.name)
    with pytest.raises(AzureDevOpsServiceError, match="VS800075"):
        clients.get_git_client().get_repositories(project.id)


def test_a_developer_may_not_delete_the_project(organization: Organization, project: Any) -> None:
    with pytest.raises(AzureDevOpsServiceError, match=r"TF50309.*Delete team project"):
        organization.clients(DANA).get_core_client().queue_delete_project(project.id)


def test_users_are_found_by_each_of_their_names(organization: Organization) -> None:
    clients = organization.clients()
    graph, identities = clients.get_graph_client(), clients.get_identity_client()
    people = {each.principal_name: each for each in graph.list_users(subject_types=["aad"]).graph_users}
    avery = people["avery@rehearsal.example"]
    key = graph.get_storage_key(avery.descriptor).value
    assert graph.get_descriptor(key).value == avery.descriptor
    by_descriptor = identities.read_identities(subject_descriptors=avery.descriptor)[0]
    by_name = identities.read_identities(search_filter="AccountName", filter_value="avery@rehearsal.example")[0]
    by_id = identities.read_identities(identity_ids=key)[0]
    assert by_descriptor.id == by_name.id == by_id.id == key
    assert by_id.descriptor.startswith("Microsoft.IdentityModel.Claims.ClaimsIdentity;")
    assert organization.clients(AVERY).get_identity_client().get_self().id == key
    assert clients.get_location_client().get_connection_data().authenticated_user.provider_display_name == "Ada Admin"


def test_a_group_has_members_until_it_is_deleted(organization: Organization, project: Any) -> None:
    graph = organization.clients().get_graph_client()
    group = organization.new_group(project, "Approvers")
    assert group.principal_name == f"[{project.name}]\\Approvers"
    assert group.domain == f"vstfs:///Classification/TeamProject/{project.id}"
    assert graph.get_storage_key(group.descriptor).value == group.origin_id
    with pytest.raises(AzureDevOpsServiceError, match="already exists"):
        organization.new_group(project, "approvers")
    users = graph.list_users(subject_types=["aad"]).graph_users
    avery = next(each for each in users if each.principal_name.startswith("avery"))
    graph.add_membership(avery.descriptor, group.descriptor)
    assert graph.check_membership_existence(avery.descriptor, group.descriptor) is None
    down = graph.list_memberships(group.descriptor, direction="down")
    assert [each.member_descriptor for each in down] == [avery.descriptor]
    assert group.descriptor in [each.container_descriptor for each in graph.list_memberships(avery.descriptor)]
    with pytest.raises(AzureDevOpsServiceError, match="circle"):
        graph.add_membership(group.descriptor, group.descriptor)
    graph.remove_membership(avery.descriptor, group.descriptor)
    assert graph.list_memberships(group.descriptor, direction="down") == []
    patch = [{"op": "replace", "path": "/description", "value": "other"}]
    assert graph.update_group(group.descriptor, patch).description == "other"
    graph.delete_group(group.descriptor)
    with pytest.raises(AzureDevOpsServiceError):
        graph.get_group(group.descriptor)


def test_a_developer_may_not_change_groups(organization: Organization, project: Any) -> None:
    with pytest.raises(AzureDevOpsServiceError, match="TF50309"):
        organization.new_group(project, "Mine", DANA)


def test_the_projects_build_identity_exists_from_its_first_run_on(organization: Organization, project: Any) -> None:
    clients = organization.clients(ADMINISTRATOR)
    graph, build = clients.get_graph_client(), clients.get_build_client()
    name = f"{project.name} Build Service (rehearsal)"

    def build_identities() -> list[str]:
        return [each.display_name for each in graph.list_users(subject_types=["svc"]).graph_users]

    repository = clients.get_git_client().get_repository(project.name, project=project.id)
    definition = build.create_definition(
        {
            "name": "build",
            "process": {"yamlFilename": "pipelines/build.yml", "type": 2},
            "repository": {"id": repository.id, "type": "TfsGit", "defaultBranch": "refs/heads/main"},
        },
        project.id,
    )
    assert name not in build_identities()
    run = build.queue_build({"definition": {"id": definition.id}}, project.id)
    assert run.status == "notStarted"
    assert name in build_identities()
    assert [each.id for each in build.get_builds(project.id)] == [run.id]
    assert clients.get_pipelines_client().get_run(project.id, definition.id, run.id).state == "inProgress"
