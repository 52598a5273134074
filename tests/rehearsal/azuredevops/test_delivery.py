"""Policies, pipelines, environments, checks, permissions: what a control plane is made of."""

from datetime import datetime
from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops.users import AVERY, DANA, NOBODY
from tests.rehearsal.azuredevops.organization import GIT_NAMESPACE, SOCKETS_LEFT_OPEN, Organization, policy_body, scope

pytestmark = SOCKETS_LEFT_OPEN

MINIMUM_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
BUILD_VALIDATION = "0609b952-1397-4640-95ec-e00a01b2c241"
REQUIRED_REVIEWERS = "fd2167ab-b0be-447a-8ec8-39368250530e"
MERGE_STRATEGY = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
CREDENTIALS_POLICY = "e67ae10f-cf9a-40bc-8e66-6b3a8216956e"
NO_ONE = "00000000-0000-0000-0000-000000000009"
APPROVAL = {"id": "8c6f20a7-a545-4486-9777-f762fafe0d4d", "name": "Approval"}
LOCK = {"id": "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", "name": "ExclusiveLock"}
TASK = {"id": "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7", "name": "Task Check"}
BRANCH_CONTROL = {
    "displayName": "only main",
    "definitionRef": {
        "id": "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b",
        "name": "evaluatebranchProtection",
        "version": "0.0.1",
    },
    "inputs": {"allowedBranches": "refs/heads/main", "ensureProtectionOfBranch": "true"},
}


def user_id(organization: Organization, name: str) -> str:
    identities = organization.clients().get_identity_client()
    found = identities.read_identities(search_filter="AccountName", filter_value=f"{name}@rehearsal.example")
    return str(found[0].id)


def definition_body(repository: Any, name: str = "build", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "path": "\\",
        "type": "build",
        "process": {"yamlFilename": "pipelines/build.yml", "type": 2},
        "queue": {"name": "Azure Pipelines", "pool": {"name": "Azure Pipelines"}},
        "repository": {
            "id": repository.id,
            "name": repository.id,
            "type": "TfsGit",
            "defaultBranch": "refs/heads/main",
            "properties": {"reportBuildStatus": "true"},
        },
        "triggers": [
            {"triggerType": "continuousIntegration", "settingsSourceType": 2, "branchFilters": [], "pathFilters": []}
        ],
        "variables": {"a": {"value": "b"}, "s": {"value": "hush", "isSecret": True}},
        **more,
    }


@pytest.fixture
def definition(organization: Organization, project: Any, repository: Any) -> Any:
    with organization.http() as http:
        answer = http.post(f"/{project.id}/_apis/build/Definitions", json=definition_body(repository))
    return organization.clients().get_build_client().get_definition(project.id, answer.json()["id"])


@pytest.fixture
def environment(organization: Organization, project: Any) -> Any:
    body = {"name": "production", "description": "the real thing"}
    return organization.clients().get_task_agent_client().add_environment(body, project.id)


def test_a_policy_carries_its_settings_and_who_made_it(
    organization: Organization, project: Any, repository: Any
) -> None:
    policies = organization.clients().get_policy_client()
    settings = {"minimumApproverCount": 2, "creatorVoteCounts": False, "scope": scope(repository.id)}
    made = policies.create_policy_configuration(policy_body(MINIMUM_REVIEWERS, settings), project.id)
    found = policies.get_policy_configuration(project.id, made.id)
    assert found.settings == settings
    assert (found.is_enabled, found.is_blocking, found.is_deleted, found.revision) == (True, True, False, 1)
    assert found.type.display_name == "Minimum number of reviewers"
    assert found.created_by.unique_name == "admin@rehearsal.example"
    assert isinstance(found.created_date, datetime)
    changed = policies.update_policy_configuration(
        policy_body(MINIMUM_REVIEWERS, settings | {"minimumApproverCount": 1}, isBlocking=False), project.id, made.id
    )
    assert (changed.revision, changed.is_blocking) == (2, False)
    assert [each.revision for each in policies.get_policy_configuration_revisions(project.id, made.id)] == [2, 1]
    policies.delete_policy_configuration(project.id, made.id)
    with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
        policies.get_policy_configuration(project.id, made.id)


@pytest.mark.parametrize(
    ("type_id", "settings", "message"),
    [
        (NO_ONE, {}, "policy type .* does not exist"),
        (CREDENTIALS_POLICY, {}, "deprecated and cannot be created"),
        (MINIMUM_REVIEWERS, {}, "minimumApproverCount"),
        (MINIMUM_REVIEWERS, {"minimumApproverCount": 0}, "minimumApproverCount"),
        (BUILD_VALIDATION, {"buildDefinitionId": 4711}, "build definition 4711 does not exist"),
        (REQUIRED_REVIEWERS, {"requiredReviewerIds": [NO_ONE]}, f"identity {NO_ONE} does not exist"),
        (MERGE_STRATEGY, {"allowSquash": False}, "At least one merge strategy"),
        (MERGE_STRATEGY, {"allowSquash": True, "scope": scope(NO_ONE)}, "TF401019"),
        (MERGE_STRATEGY, {"allowSquash": True, "scope": scope(None, "main")}, "must begin with refs/"),
        (MERGE_STRATEGY, {"allowSquash": True, "scope": []}, "scope"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    organization: Organization, project: Any, type_id: str, settings: dict[str, Any], message: str
) -> None:
    policies = organization.clients().get_policy_client()
    with pytest.raises(AzureDevOpsServiceError, match=message):
        policies.create_policy_configuration(policy_body(type_id, {"scope": scope(None)} | settings), project.id)
    assert policies.get_policy_configurations(project.id) == []


def test_a_developer_may_read_policies_and_not_make_them(
    organization: Organization, project: Any, repository: Any
) -> None:
    policies = organization.clients(DANA).get_policy_client()
    body = policy_body(MERGE_STRATEGY, {"allowSquash": True, "scope": scope(repository.id)})
    assert policies.get_policy_configurations(project.id) == []
    with pytest.raises(AzureDevOpsServiceError, match="TF401027: You need the Git 'EditPolicies' permission"):
        policies.create_policy_configuration(body, project.id)


def test_a_definition_comes_back_as_it_was_made_without_its_secrets(
    organization: Organization, project: Any, repository: Any, definition: Any
) -> None:
    build = organization.clients().get_build_client()
    assert (definition.name, definition.revision, definition.queue.pool.name) == ("build", 1, "Azure Pipelines")
    assert definition.process["yamlFilename"] == "pipelines/build.yml"
    assert definition.repository.id == repository.id
    assert definition.variables["a"].value == "b"
    assert (definition.variables["s"].value, definition.variables["s"].is_secret) == (None, True)
    assert definition.authored_by.unique_name == "admin@rehearsal.example"
    assert isinstance(definition.created_date, datetime)
    assert [each.id for each in build.get_definitions(project.id, name="BUILD")] == [definition.id]
    with organization.http() as http:
        text = http.get(f"/{project.id}/_apis/build/Definitions/{definition.id}").text
    assert "hush" not in text


def test_a_definition_changes_only_from_its_newest_revision(
    organization: Organization, project: Any, repository: Any, definition: Any
) -> None:
    build = organization.clients().get_build_client()
    body = definition_body(repository, revision=1, queueStatus="paused")
    with organization.http() as http:
        path = f"/{project.id}/_apis/build/Definitions/{definition.id}"
        assert http.put(path, json=body).json()["revision"] == 2
        stale = http.put(path, json=body)
        assert (stale.status_code, stale.json()["typeKey"]) == (409, "DefinitionRevisionConflictException")
        twice = http.post(f"/{project.id}/_apis/build/Definitions", json=definition_body(repository, "Build"))
        assert (twice.status_code, twice.json()["typeKey"]) == (409, "DefinitionExistsException")
    assert build.get_definition(project.id, definition.id).queue_status == "paused"
    assert [each.revision for each in build.get_definition_revisions(project.id, definition.id)] == [1, 2]
    build.delete_definition(project.id, definition.id)
    with pytest.raises(AzureDevOpsServiceError, match="was not found"):
        build.get_definition(project.id, definition.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": {"name": "nowhere"}},
        {"repository": {"id": NO_ONE, "type": "TfsGit"}},
        {"process": {}},
        {"name": "a/b"},
    ],
)
def test_a_definition_that_names_what_is_not_there_is_refused(
    organization: Organization, project: Any, repository: Any, wrong: dict[str, Any]
) -> None:
    with organization.http() as http:
        answer = http.post(f"/{project.id}/_apis/build/Definitions", json=definition_body(repository) | wrong)
        assert answer.status_code == 400
        assert answer.json()["$id"] == "1"


def test_settings_of_a_projects_pipelines_are_kept(organization: Organization, project: Any) -> None:
    build = organization.clients().get_build_client()
    assert build.get_build_general_settings(project.id).enforce_settable_var is True
    build.update_build_general_settings({"enforceSettableVar": False}, project.id)
    after = build.get_build_general_settings(project.id)
    assert (after.enforce_settable_var, after.enforce_job_auth_scope) == (False, True)
    with pytest.raises(AzureDevOpsServiceError, match="TF50309"):
        organization.clients(DANA).get_build_client().update_build_general_settings(
            {"enforceJobAuthScope": False}, project.id
        )


def test_an_environment_knows_who_made_it_and_has_a_name_of_its_own(
    organization: Organization, project: Any, environment: Any
) -> None:
    agents = organization.clients().get_task_agent_client()
    found = agents.get_environment_by_id(project.id, environment.id)
    assert (found.name, found.description, found.project.id) == ("production", "the real thing", project.id)
    assert found.created_by.unique_name == "admin@rehearsal.example"
    assert isinstance(found.created_on, datetime)
    with pytest.raises(AzureDevOpsServiceError, match="already exists"):
        agents.add_environment({"name": "Production"}, project.id)
    assert agents.update_environment({"name": "live"}, project.id, environment.id).name == "live"
    assert [each.id for each in agents.get_environments(project.id, name="LIVE")] == [environment.id]
    with pytest.raises(AzureDevOpsServiceError, match="Access denied"):
        organization.clients(DANA).get_task_agent_client().delete_environment(project.id, environment.id)
    agents.delete_environment(project.id, environment.id)
    with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
        agents.get_environment_by_id(project.id, environment.id)


class Checks:
    """The checks of one environment, over plain HTTP: Microsoft's client sends no settings."""

    def __init__(self, organization: Organization, project: Any, environment: Any) -> None:
        self._organization = organization
        self._path = f"/{project.id}/_apis/pipelines/checks/configurations"
        self._resource = {"type": "environment", "id": str(environment.id)}

    def add(self, kind: dict[str, str], settings: dict[str, Any], user: str | None = None, **more: Any) -> Any:
        body = {"type": kind, "settings": settings, "resource": self._resource, "timeout": 1440, **more}
        with self._organization.http(*([user] if user else [])) as http:
            return http.post(self._path, json=body)

    def get(self, id_: int) -> Any:
        with self._organization.http() as http:
            return http.get(f"{self._path}/{id_}", params={"$expand": "settings"})

    def change(self, id_: int, body: dict[str, Any]) -> Any:
        with self._organization.http() as http:
            return http.patch(f"{self._path}/{id_}", json={"resource": self._resource} | body)


@pytest.fixture
def checks(organization: Organization, project: Any, environment: Any) -> Checks:
    return Checks(organization, project, environment)


def test_checks_keep_their_settings_and_go_with_their_environment(
    organization: Organization, project: Any, environment: Any, checks: Checks
) -> None:
    group = organization.new_group(project, "Approvers")
    approvers = [{"id": group.origin_id}, {"id": user_id(organization, "ari")}]
    settings = {
        "approvers": approvers,
        "minRequiredApprovers": 1,
        "requesterCannotBeApprover": True,
        "instructions": "look",
    }
    made = checks.add(APPROVAL, settings).json()
    found = checks.get(made["id"]).json()
    assert [each["id"] for each in found["settings"]["approvers"]] == [each["id"] for each in approvers]
    assert (found["timeout"], found["version"]) == (1440, 1)
    assert found["createdBy"]["uniqueName"] == "admin@rehearsal.example"
    assert found["createdOn"]
    branch = checks.add(TASK, BRANCH_CONTROL).json()
    lock = checks.add(LOCK, {}).json()
    client = organization.clients().get_pipelines_checks_client()
    listed = client.get_check_configurations_on_resource(
        project.id, "environment", str(environment.id), expand="settings"
    )
    assert [each.id for each in listed] == [made["id"], branch["id"], lock["id"]]
    assert listed[0].created_by.unique_name == "admin@rehearsal.example"
    body = {"type": TASK, "settings": BRANCH_CONTROL, "timeout": 60, "version": 1}
    assert checks.change(branch["id"], body).json()["version"] == 2
    assert checks.change(branch["id"], body).status_code == 409
    client.delete_check_configuration(project.id, lock["id"])
    organization.clients().get_task_agent_client().delete_environment(project.id, environment.id)
    gone = checks.get(made["id"])
    assert (gone.status_code, gone.json()["message"].endswith("does not exist.")) == (404, True)


def test_a_check_that_makes_no_sense_is_refused(organization: Organization, project: Any, checks: Checks) -> None:
    avery = user_id(organization, "avery")
    graph = organization.clients().get_graph_client()
    entra = next(each for each in graph.list_groups(subject_types=["aadgp"]).graph_groups)
    entra_id = graph.get_storage_key(entra.descriptor).value
    for approvers, minimum in (([], 1), ([entra_id], 1), ([NO_ONE], 1), ([avery, avery], 1), ([avery], 2)):
        settings = {"approvers": [{"id": each} for each in approvers], "minRequiredApprovers": minimum}
        assert checks.add(APPROVAL, settings).status_code == 400, (approvers, minimum)
    assert checks.add({"id": NO_ONE}, {}).status_code == 400
    assert checks.add(TASK, BRANCH_CONTROL | {"definitionRef": {"id": NO_ONE}}).status_code == 400
    assert checks.add(TASK, BRANCH_CONTROL | {"inputs": {"allowedBranches": True}}).status_code == 400
    assert checks.add(LOCK, {}, timeout=43201).status_code == 400
    assert checks.add(LOCK, {}, resource={"type": "environment", "id": "4711"}).status_code == 404
    assert checks.add(LOCK, {}, user=DANA).status_code == 403
    assert checks.add(LOCK, {}).status_code == 200
    assert checks.add(LOCK, {}).status_code == 409


def test_pipelines_use_what_they_are_allowed_to(
    organization: Organization, project: Any, repository: Any, definition: Any, environment: Any
) -> None:
    client = organization.clients().get_pipeline_permissions_client()
    queue = organization.clients().get_task_agent_client().get_agent_queues(project.id, queue_name="Azure Pipelines")[0]
    resources = {"environment": environment.id, "queue": queue.id, "repository": f"{project.id}.{repository.id}"}
    for kind, id_ in resources.items():
        given = {"pipelines": [{"id": definition.id, "authorized": True}]}
        client.update_pipeline_permisions_for_resource(given, project.id, kind, str(id_))
        found = client.get_pipeline_permissions_for_resource(project.id, kind, str(id_))
        assert (found.resource.type, found.resource.id) == (kind, str(id_))
        assert [each.id for each in found.pipelines] == [definition.id]
        assert found.all_pipelines is None
        assert found.pipelines[0].authorized_by.unique_name == "admin@rehearsal.example"
    for kind, id_, pipeline in (("environment", 4711, definition.id), ("environment", environment.id, 4711)):
        with pytest.raises(AzureDevOpsServiceError, match="does not exist"):
            client.update_pipeline_permisions_for_resource(
                {"pipelines": [{"id": pipeline, "authorized": True}]}, project.id, kind, str(id_)
            )
    assert client.get_pipeline_permissions_for_resource(project.id, "environment", "4711").pipelines == []
    organization.clients().get_build_client().delete_definition(project.id, definition.id)
    assert client.get_pipeline_permissions_for_resource(project.id, "environment", str(environment.id)).pipelines == []


def test_a_service_connection_is_kept_without_its_secret(
    organization: Organization, project: Any, definition: Any
) -> None:
    body = {
        "name": "azure",
        "type": "generic",
        "url": "https://example.invalid",
        "authorization": {"scheme": "UsernamePassword", "parameters": {"username": "u", "password": "hush"}},
        "serviceEndpointProjectReferences": [{"projectReference": {"id": project.id}, "name": "azure"}],
    }
    with organization.http() as http:
        made = http.post("/_apis/serviceendpoint/endpoints", json=body).json()
        assert http.post("/_apis/serviceendpoint/endpoints", json=body | {"name": "Azure"}).status_code == 409
        path = f"/{project.id}/_apis/serviceendpoint/endpoints/{made['id']}"
        assert "hush" not in http.get(path).text
        assert http.get(path).json()["isReady"] is True
    client = organization.clients().get_pipeline_permissions_client()
    given = {"pipelines": [{"id": definition.id, "authorized": True}]}
    client.update_pipeline_permisions_for_resource(given, project.id, "endpoint", made["id"])
    found = client.get_pipeline_permissions_for_resource(project.id, "endpoint", made["id"])
    assert [each.id for each in found.pipelines] == [definition.id]
    with organization.http() as http:
        http.delete(
            f"/_apis/serviceendpoint/endpoints/{made['id']}", params={"projectIds": project.id}
        ).raise_for_status()
        assert http.get(path).json() is None


def test_permissions_on_a_repository_take_effect(organization: Organization, project: Any, repository: Any) -> None:
    clients = organization.clients()
    identities, security = clients.get_identity_client(), clients.get_security_client()
    nobody = identities.read_identities(search_filter="AccountName", filter_value="nobody@rehearsal.example")[0]
    token = f"repoV2/{project.id}/{repository.id}"
    (empty,) = security.query_access_control_lists(GIT_NAMESPACE, token=token, descriptors=nobody.descriptor)
    assert (empty.aces_dictionary[nobody.descriptor].allow, empty.aces_dictionary[nobody.descriptor].deny) == (0, 0)
    (namespace,) = security.query_security_namespaces(GIT_NAMESPACE)
    bits = {each.name: each.bit for each in namespace.actions}
    assert (bits["GenericRead"], bits["PolicyExempt"], bits["PullRequestContribute"]) == (2, 128, 16384)
    avery = identities.read_identities(search_filter="AccountName", filter_value="avery@rehearsal.example")[0]
    reader = organization.clients(AVERY).get_git_client()
    assert reader.get_repository(repository.id).id == repository.id
    with organization.http() as http:
        entry = {"descriptor": avery.descriptor, "allow": 0, "deny": bits["GenericRead"]}
        body = {"token": token, "merge": True, "accessControlEntries": [entry]}
        http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=body).raise_for_status()
    with pytest.raises(AzureDevOpsServiceError, match="TF401019"):
        reader.get_repository(repository.id)
    # On the same token the denial of a group wins over what is allowed to its member.
    groups = {each.provider_display_name: each for each in identities.list_groups(scope_ids=project.id)}
    contributors = groups[f"[{project.name}]\\Contributors"]
    with organization.http() as http:
        denied = {"descriptor": contributors.descriptor, "allow": 0, "deny": bits["GenericRead"]}
        allowed = {"descriptor": avery.descriptor, "allow": bits["GenericRead"], "deny": 0}
        both = {"token": token, "merge": False, "accessControlEntries": [denied, allowed]}
        http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=both).raise_for_status()
    with pytest.raises(AzureDevOpsServiceError, match="TF401019"):
        reader.get_repository(repository.id)
    both_names = f"{avery.descriptor},{contributors.descriptor}"
    security.remove_access_control_entries(GIT_NAMESPACE, token=token, descriptors=both_names)
    assert reader.get_repository(repository.id).id == repository.id
    with organization.http(NOBODY) as http:
        refused = http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=body)
        assert (refused.status_code, "ManagePermissions" in refused.json()["message"]) == (403, True)
