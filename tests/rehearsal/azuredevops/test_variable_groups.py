"""Variable groups, as the provider, Microsoft's client and a run see them."""

from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops import create_app, variable_groups
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.users import BUILD_SERVICE, DANA, DEVIN, NOBODY
from rehearsal.service import Background
from tests.rehearsal.azuredevops.deployments import LOCK
from tests.rehearsal.azuredevops.organization import CONTROL_TOKEN, CREDENTIALS, SOCKETS_LEFT_OPEN, Organization

pytestmark = SOCKETS_LEFT_OPEN
HOST = {"value": "http://databricks", "isSecret": False}
TOKEN = {"value": "hush-hush", "isSecret": True}


def body(project: Any, name: str = "databricks-test", **variables: Any) -> dict[str, Any]:
    """As the provider sends it (azuredevops_variable_group 1.16.0)."""
    reference = {"name": name, "description": "for tests", "projectReference": {"id": project.id}}
    return {
        "name": name,
        "description": "for tests",
        "variables": variables or {"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": TOKEN},
        "variableGroupProjectReferences": [reference],
    }


def plain(variables: Any) -> dict[str, Any]:
    return {name: {"value": each.value, "isSecret": each.is_secret} for name, each in variables.items()}


@pytest.fixture
def group(organization: Organization, project: Any) -> Any:
    return organization.clients().get_task_agent_client().add_variable_group(body(project))


def test_a_group_comes_back_without_its_secrets(organization: Organization, project: Any, group: Any) -> None:
    agents = organization.clients().get_task_agent_client()
    found = agents.get_variable_group(project.id, group.id)
    assert (found.name, found.description, found.type, found.is_shared) == (
        "databricks-test",
        "for tests",
        "Vsts",
        False,
    )
    assert plain(found.variables) == {"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": {"value": None, "isSecret": True}}
    assert found.created_by.unique_name == "admin@rehearsal.example"
    reference = found.variable_group_project_references[0]
    assert (reference.name, reference.project_reference.id) == ("databricks-test", project.id)
    with organization.http() as http:
        made = http.post("/_apis/distributedtask/variablegroups", json=body(project, "other"))
        changed = http.put(f"/_apis/distributedtask/variablegroups/{made.json()['id']}", json=body(project, "other"))
        listed = http.get(f"/{project.id}/_apis/distributedtask/variablegroups")
    for answer in (made, changed, listed):
        assert "hush-hush" not in answer.raise_for_status().text


def test_a_secret_that_is_sent_without_its_value_keeps_it(tmp_path: Any) -> None:
    with Background(create_app(tmp_path, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        organization = Organization(root)
        project = organization.new_project()
        agents = organization.clients().get_task_agent_client()
        group = agents.add_variable_group(body(project))
        unknown = {"value": None, "isSecret": True}
        agents.update_variable_group(body(project, A={"value": "1"}, DATABRICKS_TOKEN=unknown, NEW=unknown), group.id)
        service = Service(tmp_path, CREDENTIALS)
        kept = service.store.get("project", project.id)
        assert kept is not None
        found = variable_groups.find_group(service.store, kept, "Databricks-Test")
        assert found is not None
        assert found["variables"] == {
            "A": {"value": "1", "isSecret": False},
            "DATABRICKS_TOKEN": TOKEN,
            "NEW": {"value": "", "isSecret": True},
        }
        # A secret isn't read by declaring it to be none.
        agents.update_variable_group(body(project, DATABRICKS_TOKEN={"value": None, "isSecret": False}), group.id)
        shown = plain(agents.get_variable_group(project.id, group.id).variables)
        assert shown == {"DATABRICKS_TOKEN": {"value": "", "isSecret": False}}
        assert variable_groups.find_group(service.store, kept, "another") is None
        service.store.close()


def test_the_data_source_finds_a_group_by_its_name(organization: Organization, project: Any, group: Any) -> None:
    agents = organization.clients().get_task_agent_client()
    agents.add_variable_group(body(project, "databricks-production"))
    assert [each.id for each in agents.get_variable_groups(project.id, group_name="Databricks-test", top=1)] == [
        group.id
    ]
    assert agents.get_variable_groups(project.id, group_name="databricks") == []
    assert len(agents.get_variable_groups(project.id, group_name="databricks-*")) == 2
    assert [each.id for each in agents.get_variable_groups_by_id(project.id, [group.id])] == [group.id]


def test_a_deleted_group_is_gone_with_its_checks_and_permissions(
    organization: Organization, project: Any, group: Any
) -> None:
    resource = {"type": "variablegroup", "id": str(group.id)}
    checks = f"/{project.id}/_apis/pipelines/checks/configurations"
    allowed = f"/{project.id}/_apis/pipelines/pipelinepermissions/variablegroup/{group.id}"
    authorized = f"/{project.id}/_apis/build/authorizedresources"
    with organization.http() as http:
        made = http.post(checks, json={"type": LOCK, "settings": {}, "resource": resource, "timeout": 60}).json()
        assert made["resource"]["name"] == "databricks-test"
        http.patch(allowed, json={"allPipelines": {"authorized": True}}).raise_for_status()
        http.patch(authorized, json=[resource | {"name": "databricks-test", "authorized": True}]).raise_for_status()
        assert http.get(authorized, params=resource).json()["count"] == 1
        organization.clients().get_task_agent_client().delete_variable_group(group.id, [project.id])
        assert http.get(f"{checks}/{made['id']}").status_code == 404
        assert "allPipelines" not in http.get(allowed).json()
        assert http.get(authorized, params=resource).json()["count"] == 0
        gone = http.get(f"/{project.id}/_apis/distributedtask/variablegroups/{group.id}")
        assert (gone.status_code, "does not exist" in gone.json()["message"]) == (404, True)


def test_who_may_do_what_with_a_group(organization: Organization, project: Any, group: Any) -> None:
    dana = organization.clients(DANA).get_task_agent_client()
    assert dana.get_variable_group(project.id, group.id).id == group.id
    with pytest.raises(AzureDevOpsServiceError, match="Administer library item"):
        dana.update_variable_group(body(project), group.id)
    with pytest.raises(AzureDevOpsServiceError, match="Administer library item"):
        dana.delete_variable_group(group.id, [project.id])
    mine = dana.add_variable_group(body(project, "of Dana"))
    assert plain(dana.update_variable_group(body(project, "of Dana", A=HOST), mine.id).variables) == {"A": HOST}
    with pytest.raises(AzureDevOpsServiceError, match="Administer library item"):
        organization.clients(DEVIN).get_task_agent_client().delete_variable_group(mine.id, [project.id])
    dana.delete_variable_group(mine.id, [project.id])
    for user in (NOBODY, BUILD_SERVICE):
        with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
            organization.clients(user).get_task_agent_client().get_variable_group(project.id, group.id)
    permitted = f"/{project.id}/_apis/pipelines/pipelinepermissions/variablegroup/{group.id}"
    with organization.http(DANA) as http:
        assert http.patch(permitted, json={"allPipelines": {"authorized": True}}).status_code == 403


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": " "}, "group.Name"),
        ({"name": "new", "variables": {}}, "group.Variables"),
        ({"type": "AzureKeyVault"}, "AzureKeyVault are not supported"),
        ({"variableGroupProjectReferences": []}, "belongs to one project"),
        ({"name": "Databricks-Test"}, "already exists"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(
    organization: Organization, project: Any, group: Any, change: dict[str, Any], message: str
) -> None:
    with organization.http() as http:
        refused = http.post("/_apis/distributedtask/variablegroups", json=body(project) | change)
        assert 400 <= refused.status_code < 500
        assert message in refused.json()["message"]
        assert http.get(f"/{project.id}/_apis/distributedtask/variablegroups").json()["count"] == 1
    assert group.name == "databricks-test"
