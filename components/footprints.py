"""How to find, in Azure DevOps, what a create that was cut off has left behind, and how to remove it.

Only kinds of things are here of which a repeated create would make a second one, or fail because there is one.
Permissions, memberships and settings are set, not added: repeating those is harmless.

Source: https://learn.microsoft.com/rest/api/azure/devops/
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from components.azure_devops_token import NoTokenError, authorization

Inputs: TypeAlias = Mapping[str, Any]

API_VERSION = "7.1-preview"
CONNECT_SECONDS, READ_SECONDS = 10, 60
OPERATION_SECONDS = 120
GRAPH_AREA = "bb1e7ec9-e901-4b68-999a-de7012b920f8"


class AzureDevOps:
    """A few reads and deletes of the REST API. Reads are repeated when the service is busy or a connection breaks.

    Args:
        url: the organisation's URL.

    Every call signs in as the provider does, and raises `NoTokenError` where that gives no token.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        retry = Retry(total=6, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=["GET"])
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def get(self, path: str, **query: str) -> Any:
        """What stands at the path below the organisation; None where there is nothing."""
        response = self._send("GET", path, query)
        if response.status_code == requests.codes.not_found:
            return None
        response.raise_for_status()
        return response.json()

    def delete(self, path: str) -> Any:
        """Deletes what stands at the path; it may be gone already. Gives the service's answer, if it has one."""
        response = self._send("DELETE", path, {})
        if response.status_code == requests.codes.not_found:
            return None
        response.raise_for_status()
        return response.json() if response.content else None

    def sign_in(self) -> str:
        """The header to look with.

        Raises:
            NoTokenError: there is no token.
        """
        try:
            return authorization()
        except NoTokenError as error:
            raise NoTokenError(
                f"whether the service had made it already can't be looked up: {error}. Look in Azure DevOps, delete "
                "what is there, and run `pulumi up` again"
            ) from None

    def _signed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self.sign_in()
        return request

    def _send(self, method: str, path: str, query: Mapping[str, str]) -> requests.Response:
        url = path if path.startswith("http") else f"{self.url}/{path}"
        return self._session.request(
            method,
            url,
            params=query,
            auth=self._signed,  # and not a header, in whose place requests would put what a .netrc file says
            headers={"Accept": f"application/json;api-version={API_VERSION}"},
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
        )


class Kind(ABC):
    """One kind of thing. `unique`: the service takes no second one of the same name."""

    unique = False

    @abstractmethod
    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        """The ids of the things that look like what these inputs would make."""

    @abstractmethod
    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        """Removes one of them."""

    @abstractmethod
    def words(self, inputs: Inputs) -> str:
        """What it is, for people."""


class _Project(Kind):
    unique = True

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        found = service.get(f"_apis/projects/{quote(inputs['name'])}")
        return {found["id"]} if found else set()

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        for repository in _values(service.get(f"{found}/_apis/git/repositories")):
            _refuse_unless_empty(service, found, repository["id"])
        operation = service.delete(f"_apis/projects/{found}")
        deadline = time.monotonic() + OPERATION_SECONDS
        while operation and operation["status"] not in ("succeeded", "failed", "cancelled"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the deletion of {self.words(inputs)} has not ended in {OPERATION_SECONDS} s")
            time.sleep(1)
            operation = service.get(f"_apis/operations/{operation['id']}")

    def words(self, inputs: Inputs) -> str:
        return f"a project {inputs['name']!r}"


class _Repository(Kind):
    unique = True

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        repositories = _values(service.get(f"{inputs['projectId']}/_apis/git/repositories"))
        return {each["id"] for each in repositories if _same(each["name"], inputs["name"])}

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        _refuse_unless_empty(service, inputs["projectId"], found)
        service.delete(f"{inputs['projectId']}/_apis/git/repositories/{found}")

    def words(self, inputs: Inputs) -> str:
        return f"a repository {inputs['name']!r} in that project"


class _Named(Kind):
    """Things of a project that are found by name in a list: environments and pipelines."""

    unique = True

    def __init__(self, noun: str, path: str) -> None:
        self._noun, self._path = noun, path

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        there = _values(service.get(f"{inputs['projectId']}/_apis/{self._path}", name=inputs["name"]))
        return {str(each["id"]) for each in there if _same(each["name"], inputs["name"])}

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        service.delete(f"{inputs['projectId']}/_apis/{self._path}/{found}")

    def words(self, inputs: Inputs) -> str:
        return f"{self._noun} {inputs['name']!r} in that project"


class _VariableGroup(Kind):
    """Found in the project, removed in the organisation, since several projects may share one."""

    unique = True
    _path = "_apis/distributedtask/variablegroups"

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        there = _values(service.get(f"{inputs['projectId']}/{self._path}", groupName=inputs["name"]))
        return {str(each["id"]) for each in there if _same(each["name"], inputs["name"])}

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        service.delete(f"{self._path}/{found}?projectIds={quote(inputs['projectId'])}")

    def words(self, inputs: Inputs) -> str:
        return f"a variable group {inputs['name']!r} in that project"


class _Group(Kind):
    unique = True

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        graph = self._graph(service)
        scope = service.get(f"{graph}/_apis/graph/descriptors/{inputs['scope']}")
        groups = _values(service.get(f"{graph}/_apis/graph/groups", scopeDescriptor=scope["value"])) if scope else []
        return {each["descriptor"] for each in groups if _same(each["displayName"], inputs["displayName"])}

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:  # noqa: ARG002 - as in the other kinds
        service.delete(f"{self._graph(service)}/_apis/graph/groups/{found}")

    def words(self, inputs: Inputs) -> str:
        return f"a group {inputs['displayName']!r} in that project"

    def _graph(self, service: AzureDevOps) -> str:
        area = service.get(f"_apis/ResourceAreas/{GRAPH_AREA}")
        return str(area["locationUrl"]).rstrip("/") if area else service.url


class _Policy(Kind):
    """A policy has no name: it looks like another of the same type, on the same branch, for the same paths."""

    def __init__(self, type_id: str) -> None:
        self._type_id = type_id

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        there = _values(service.get(f"{inputs['projectId']}/_apis/policy/configurations", policyType=self._type_id))
        return {
            str(each["id"])
            for each in there
            if not each.get("isDeleted")
            and each["type"]["id"] == self._type_id
            and _scope_of_settings(each["settings"]) == _scope_of_inputs(inputs)
        }

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        service.delete(f"{inputs['projectId']}/_apis/policy/configurations/{found}")

    def words(self, inputs: Inputs) -> str:  # noqa: ARG002 - the other kinds have a name in their inputs
        return "a policy"


class _Check(Kind):
    """A check looks like another of the same type on the same resource."""

    def __init__(self, type_id: str, definition: str | None = None) -> None:
        self._type_id, self._definition = type_id, definition

    def find(self, service: AzureDevOps, inputs: Inputs) -> set[str]:
        there = _values(
            service.get(
                f"{inputs['projectId']}/_apis/pipelines/checks/configurations",
                resourceType=inputs["targetResourceType"],
                resourceId=inputs["targetResourceId"],
                **{"$expand": "settings"},
            )
        )
        return {
            str(each["id"])
            for each in there
            if each["type"]["id"] == self._type_id
            and ((each.get("settings") or {}).get("definitionRef") or {}).get("id") == self._definition
        }

    def remove(self, service: AzureDevOps, inputs: Inputs, found: str) -> None:
        service.delete(f"{inputs['projectId']}/_apis/pipelines/checks/configurations/{found}")

    def words(self, inputs: Inputs) -> str:
        return f"a check on {inputs['targetResourceType']} {inputs['targetResourceId']}"


def _values(answer: Any) -> list[dict[str, Any]]:
    return list(answer["value"]) if answer else []


def _same(one: str, other: str) -> bool:
    """Names in Azure DevOps differ by more than case."""
    return one.casefold() == other.casefold()


def _refuse_unless_empty(service: AzureDevOps, project: str, repository: str) -> None:
    if _values(service.get(f"{project}/_apis/git/repositories/{repository}/refs")):
        raise RuntimeError(f"repository {repository} has branches; it is not removed. Look at it in Azure DevOps")


def _scope_of_settings(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    scopes = {(each.get("repositoryId"), each.get("refName")) for each in settings.get("scope") or []}
    return scopes, tuple(settings.get("filenamePatterns") or ())


def _scope_of_inputs(inputs: Inputs) -> tuple[Any, ...]:
    settings = inputs.get("settings") or {}
    scopes = {(each.get("repositoryId"), each.get("repositoryRef")) for each in settings.get("scopes") or []}
    scopes |= {(repository, None) for repository in inputs.get("repositoryIds") or []}
    patterns = settings.get("pathFilters") or settings.get("filenamePatterns") or ()
    return scopes, tuple(patterns)


_TASK_CHECK = "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7"

KINDS: Mapping[str, Kind] = {
    f"azuredevops:index/{token[0].lower()}{token[1:]}:{token}": kind
    for token, kind in {
        "Project": _Project(),
        "Git": _Repository(),
        "BuildDefinition": _Named("a pipeline", "build/definitions"),
        "Environment": _Named("an environment", "distributedtask/environments"),
        "VariableGroup": _VariableGroup(),
        "Group": _Group(),
        "RepositoryPolicyReservedNames": _Policy("db2b9b4c-180d-4529-9701-01541d19f36b"),
        "RepositoryPolicyCaseEnforcement": _Policy("7ed39669-655c-494e-b4a0-a08b4da0fcce"),
        "RepositoryPolicyMaxPathLength": _Policy("001a79cf-fda1-4c4e-9e7c-bac40ee5ead8"),
        "RepositoryPolicyMaxFileSize": _Policy("2e26e725-8201-4edd-8bf5-978563c34a80"),
        "BranchPolicyMinReviewers": _Policy("fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"),
        "BranchPolicyCommentResolution": _Policy("c6a1889d-b943-4856-b76f-9e46bb6b0df2"),
        "BranchPolicyWorkItemLinking": _Policy("40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"),
        "BranchPolicyMergeTypes": _Policy("fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"),
        "BranchPolicyBuildValidation": _Policy("0609b952-1397-4640-95ec-e00a01b2c241"),
        "BranchPolicyAutoReviewers": _Policy("fd2167ab-b0be-447a-8ec8-39368250530e"),
        "CheckApproval": _Check("8c6f20a7-a545-4486-9777-f762fafe0d4d"),
        "CheckBranchControl": _Check(_TASK_CHECK, "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b"),
        "CheckBusinessHours": _Check(_TASK_CHECK, "445fde2f-6c39-441c-807f-8a59ff2e075f"),
        "CheckExclusiveLock": _Check("2ef31ad6-baa0-403a-8b45-2cbc9b4e5563"),
    }.items()
}
