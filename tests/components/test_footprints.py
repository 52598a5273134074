"""Footprints: each kind of thing is found by what makes it the same, and removed at its own address."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from components.azure_devops_token import NoTokenError
from components.footprints import GRAPH_AREA, KINDS, AzureDevOps
from tests.components.organization import Organization, served

TASK_CHECK = "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7"
CHECKS = "p/_apis/pipelines/checks/configurations"
POLICIES = "p/_apis/policy/configurations"
# Ids of the service's own policy types and checks, as the provider has them in its sources.
POLICY_TYPES = {
    "RepositoryPolicyReservedNames": "db2b9b4c-180d-4529-9701-01541d19f36b",
    "RepositoryPolicyCaseEnforcement": "7ed39669-655c-494e-b4a0-a08b4da0fcce",
    "RepositoryPolicyMaxPathLength": "001a79cf-fda1-4c4e-9e7c-bac40ee5ead8",
    "RepositoryPolicyMaxFileSize": "2e26e725-8201-4edd-8bf5-978563c34a80",
    "BranchPolicyMinReviewers": "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd",
    "BranchPolicyCommentResolution": "c6a1889d-b943-4856-b76f-9e46bb6b0df2",
    "BranchPolicyWorkItemLinking": "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e",
    "BranchPolicyMergeTypes": "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab",
    "BranchPolicyBuildValidation": "0609b952-1397-4640-95ec-e00a01b2c241",
    "BranchPolicyAutoReviewers": "fd2167ab-b0be-447a-8ec8-39368250530e",
}
CHECK_TYPES: dict[str, tuple[str, str | None]] = {
    "CheckApproval": ("8c6f20a7-a545-4486-9777-f762fafe0d4d", None),
    "CheckBranchControl": (TASK_CHECK, "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b"),
    "CheckBusinessHours": (TASK_CHECK, "445fde2f-6c39-441c-807f-8a59ff2e075f"),
    "CheckExclusiveLock": ("2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", None),
}


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", "token")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as organization:
        yield organization


@pytest.fixture
def service(organization: Organization) -> AzureDevOps:
    return AzureDevOps(organization.url)


def kind(name: str) -> Any:
    return KINDS[f"azuredevops:index/{name[0].lower()}{name[1:]}:{name}"]


def test_every_kind_that_could_be_doubled_is_known() -> None:
    assert {token.rpartition(":")[2] for token in KINDS} == {
        *("Project", "Git", "BuildDefinition", "Environment", "VariableGroup", "Group"),
        *POLICY_TYPES,
        *CHECK_TYPES,
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [("BuildDefinition", "p/_apis/build/definitions"), ("Environment", "p/_apis/distributedtask/environments")],
)
def test_a_thing_of_a_project_is_found_by_its_whole_name(
    organization: Organization, service: AzureDevOps, name: str, path: str
) -> None:
    # The service's filter takes a part of a name.
    organization.lists[path] = [{"id": 1, "name": "Build"}, {"id": 2, "name": "build-2"}]
    inputs = {"projectId": "p", "name": "build"}

    assert kind(name).find(service, inputs) == {"1"}
    assert organization.requests == [("GET", path, {"name": "build"})]
    kind(name).remove(service, inputs, "1")
    assert organization.deleted() == [f"{path}/1"]


def test_a_variable_group_is_removed_from_its_project(organization: Organization, service: AzureDevOps) -> None:
    path = "_apis/distributedtask/variablegroups"
    organization.lists[f"p/{path}"] = [{"id": 1, "name": "Group"}, {"id": 2, "name": "group-2"}]
    inputs = {"projectId": "p", "name": "group"}

    assert kind("VariableGroup").find(service, inputs) == {"1"}
    assert organization.requests == [("GET", f"p/{path}", {"groupName": "group"})]
    kind("VariableGroup").remove(service, inputs, "1")
    assert organization.requests[-1] == ("DELETE", f"{path}/1", {"projectIds": "p"})


@pytest.mark.parametrize("name", POLICY_TYPES)
def test_a_policy_is_found_by_type_branch_and_paths(
    organization: Organization, service: AzureDevOps, name: str
) -> None:
    def policy(number: int, type_id: str, ref: str, deleted: bool = False, **more: Any) -> dict[str, Any]:
        scope = {"repositoryId": "r", **({"refName": ref} if name.startswith("Branch") else {})}
        return {"id": number, "type": {"id": type_id}, "isDeleted": deleted, "settings": {"scope": [scope], **more}}

    own = POLICY_TYPES[name]
    other = next(each for each in POLICY_TYPES.values() if each != own)
    organization.lists[POLICIES] = [
        policy(1, own, "refs/heads/main"),
        policy(2, other, "refs/heads/main"),
        policy(3, own, "refs/heads/main", deleted=True),
        policy(4, own, "refs/heads/main", filenamePatterns=["/docs/*"]),
    ]
    scopes = [{"repositoryId": "r", "repositoryRef": "refs/heads/main", "matchType": "Exact"}]
    inputs: dict[str, Any] = {"projectId": "p", "settings": {"scopes": scopes}}
    if name.startswith("Repository"):
        inputs = {"projectId": "p", "repositoryIds": ["r"]}

    assert kind(name).find(service, inputs) == {"1"}
    kind(name).remove(service, inputs, "1")
    assert organization.deleted() == [f"{POLICIES}/1"]


def test_policies_on_other_branches_and_for_other_paths_are_others(
    organization: Organization, service: AzureDevOps
) -> None:
    organization.lists[POLICIES] = [
        {
            "id": number,
            "type": {"id": POLICY_TYPES["BranchPolicyAutoReviewers"]},
            "settings": {"scope": [{"repositoryId": "r", "refName": ref}], "filenamePatterns": paths},
        }
        for number, ref, paths in (
            (1, "refs/heads/main", ["/a"]),
            (2, "refs/heads/main", ["/b"]),
            (3, "refs/heads/old", ["/a"]),
        )
    ]
    scopes = [{"repositoryId": "r", "repositoryRef": "refs/heads/main"}]

    found = kind("BranchPolicyAutoReviewers").find(
        service, {"projectId": "p", "settings": {"scopes": scopes, "pathFilters": ["/a"]}}
    )

    assert found == {"1"}


@pytest.mark.parametrize("name", CHECK_TYPES)
def test_a_check_is_found_by_type_and_resource(organization: Organization, service: AzureDevOps, name: str) -> None:
    organization.lists[CHECKS] = [
        {
            "id": number,
            "type": {"id": type_id},
            "settings": {"definitionRef": {"id": definition}} if definition else {},
        }
        for number, (type_id, definition) in enumerate(CHECK_TYPES.values(), start=1)
    ]
    inputs = {"projectId": "p", "targetResourceType": "environment", "targetResourceId": "5"}
    number = str(list(CHECK_TYPES).index(name) + 1)

    assert kind(name).find(service, inputs) == {number}
    assert organization.requests[0][2] == {"resourceType": "environment", "resourceId": "5", "$expand": "settings"}
    kind(name).remove(service, inputs, number)
    assert organization.deleted() == [f"{CHECKS}/{number}"]


def test_a_group_is_found_in_its_project_where_the_graph_is(organization: Organization, service: AzureDevOps) -> None:
    organization.things[f"_apis/ResourceAreas/{GRAPH_AREA}"] = {"locationUrl": f"{organization.url}/graph-host/"}
    organization.things["graph-host/_apis/graph/descriptors/p"] = {"value": "scp.1"}
    organization.lists["graph-host/_apis/graph/groups"] = [
        {"descriptor": "vssgp.1", "displayName": "Production approvers"},
        {"descriptor": "vssgp.2", "displayName": "Contributors"},
    ]
    inputs = {"scope": "p", "displayName": "Production Approvers"}

    assert kind("Group").find(service, inputs) == {"vssgp.1"}
    assert ("GET", "graph-host/_apis/graph/groups", {"scopeDescriptor": "scp.1"}) in organization.requests
    kind("Group").remove(service, inputs, "vssgp.1")
    assert organization.deleted() == ["graph-host/_apis/graph/groups/vssgp.1"]


def test_an_empty_repository_is_found_by_name_and_removed(organization: Organization, service: AzureDevOps) -> None:
    repositories = "p/_apis/git/repositories"
    organization.lists[repositories] = [{"id": "r1", "name": "Bikes"}, {"id": "r2", "name": "cars"}]
    inputs = {"projectId": "p", "name": "bikes"}

    assert kind("Git").find(service, inputs) == {"r1"}
    kind("Git").remove(service, inputs, "r1")
    assert organization.deleted() == [f"{repositories}/r1"]


def test_a_project_is_removed_when_its_deletion_has_ended(
    organization: Organization, service: AzureDevOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization.things["_apis/projects/Bikes"] = {"id": "p1", "name": "Bikes"}
    organization.things["_apis/projects/p1"] = {"id": "op", "status": "queued"}
    organization.things["_apis/operations/op"] = {"id": "op", "status": "inProgress"}
    organization.lists["p1/_apis/git/repositories"] = [{"id": "r1", "name": "Bikes"}]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            organization.things["_apis/operations/op"] = {"id": "op", "status": "succeeded"}

    monkeypatch.setattr("components.footprints.time.sleep", sleep)
    inputs = {"name": "Bikes"}

    assert kind("Project").find(service, inputs) == {"p1"}
    kind("Project").remove(service, inputs, "p1")
    assert organization.deleted() == ["_apis/projects/p1"]
    assert slept == [1, 1]


def test_a_project_with_a_repository_in_use_is_not_removed(organization: Organization, service: AzureDevOps) -> None:
    organization.lists["p1/_apis/git/repositories"] = [{"id": "r1", "name": "Bikes"}]
    organization.lists["p1/_apis/git/repositories/r1/refs"] = [{"name": "refs/heads/main"}]

    with pytest.raises(RuntimeError, match="repository r1 has branches; it is not removed"):
        kind("Project").remove(service, {"name": "Bikes"}, "p1")
    assert organization.deleted() == []


@pytest.mark.parametrize("name", [token.rpartition(":")[2] for token in KINDS])
def test_where_nothing_is_nothing_is_found(service: AzureDevOps, name: str) -> None:
    inputs = {
        **{"projectId": "p", "name": "x", "scope": "p", "displayName": "x"},
        **{"targetResourceType": "environment", "targetResourceId": "1"},
    }

    assert kind(name).find(service, inputs) == set()


def test_reads_are_repeated_while_the_service_is_busy(organization: Organization, service: AzureDevOps) -> None:
    organization.lists["p/_apis/distributedtask/environments"] = [{"id": 1, "name": "test"}]
    organization.fail_next = [503]

    assert kind("Environment").find(service, {"projectId": "p", "name": "test"}) == {"1"}
    assert len(organization.requests) == 2


def test_a_delete_is_sent_once_and_something_gone_already_is_fine(
    organization: Organization, service: AzureDevOps
) -> None:
    service.delete("p/_apis/distributedtask/environments/1")
    organization.fail_next = [503]
    with pytest.raises(requests.HTTPError):
        service.delete("p/_apis/distributedtask/environments/2")

    assert len(organization.requests) == 2


def test_without_a_token_nothing_is_asked(
    organization: Organization, service: AzureDevOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZDO_PERSONAL_ACCESS_TOKEN")

    with pytest.raises(NoTokenError, match="AZDO_PERSONAL_ACCESS_TOKEN"):
        service.get("_apis/projects")
    assert organization.requests == []
