"""Policies of branches and repositories: https://learn.microsoft.com/rest/api/azure/devops/policy."""

from dataclasses import dataclass

from rehearsal.azuredevops import identities, permissions
from rehearsal.azuredevops.context import Call, now
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.projects import project_of
from rehearsal.azuredevops.routing import Answer, location
from rehearsal.store import Document, Store

configurations = location(
    "policy",
    "configurations",
    "{project}/_apis/{area}/{resource}/{configurationId}",
    "dad91cbe-d183-45f8-9c6e-9c1164472121",
)
revisions = location(
    "policy",
    "revisions",
    "{project}/_apis/{area}/configurations/{configurationId}/{resource}/{revisionId}",
    "fe1e68a2-60d3-43cb-855b-85e41ae97c95",
)
types = location(
    "policy", "types", "{project}/_apis/{area}/{resource}/{typeId}", "44096322-2d3d-466a-bb30-d1b7de69f61f"
)
of_branch = location(
    "git", "configurations", "{project}/_apis/{area}/policy/{resource}", "2c420070-a0a2-49cc-9639-c9f271c5ff07"
)


@dataclass(frozen=True)
class PolicyType:
    """A kind of policy.

    Args:
        name: as the service shows it.
        on_branch: whether it protects branches (and so refuses pushes), or looks at what is pushed.
        required: settings that must be there.
    """

    name: str
    on_branch: bool
    required: tuple[str, ...] = ()


MINIMUM_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
BUILD_VALIDATION = "0609b952-1397-4640-95ec-e00a01b2c241"
REQUIRED_REVIEWERS = "fd2167ab-b0be-447a-8ec8-39368250530e"
MERGE_STRATEGY = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
FILE_SIZE = "2e26e725-8201-4edd-8bf5-978563c34a80"
PATH_LENGTH = "001a79cf-fda1-4c4e-9e7c-bac40ee5ead8"
RESERVED_NAMES = "db2b9b4c-180d-4529-9701-01541d19f36b"
PATH_PATTERNS = "51c78909-e838-41a2-9496-c647091e3c61"
AUTHOR_EMAILS = "77ed4bd3-b063-4689-934a-175e4d0a78d7"
CASE = "7ed39669-655c-494e-b4a0-a08b4da0fcce"
WORK_ITEMS = "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"
COMMENTS = "c6a1889d-b943-4856-b76f-9e46bb6b0df2"
STATUS = "cbdc66da-9728-4af8-aada-9a5a32e4a226"
CREDENTIALS = "e67ae10f-cf9a-40bc-8e66-6b3a8216956e"

TYPES = {
    MINIMUM_REVIEWERS: PolicyType("Minimum number of reviewers", True, ("minimumApproverCount",)),
    BUILD_VALIDATION: PolicyType("Build", True, ("buildDefinitionId",)),
    REQUIRED_REVIEWERS: PolicyType("Required reviewers", True, ("requiredReviewerIds",)),
    WORK_ITEMS: PolicyType("Work item linking", True),
    COMMENTS: PolicyType("Comment requirements", True),
    MERGE_STRATEGY: PolicyType("Require a merge strategy", True),
    STATUS: PolicyType("Status", True, ("statusName",)),
    CASE: PolicyType("Git repository settings", False),
    RESERVED_NAMES: PolicyType("Reserved names restriction", False),
    PATH_LENGTH: PolicyType("Path Length restriction", False, ("maxPathLength",)),
    FILE_SIZE: PolicyType("File size restriction", False, ("maximumGitBlobSizeInBytes",)),
    PATH_PATTERNS: PolicyType("File name restriction", False, ("filenamePatterns",)),
    AUTHOR_EMAILS: PolicyType("Commit author email validation", False, ("authorEmailPatterns",)),
}
_MATCHES = ("exact", "prefix", "defaultbranch")


def key(project_id: str, id_: int) -> str:
    return f"{project_id}/{id_:09}"


def in_force(store: Store, repository: Document, ref: str | None, *, on_branch: bool) -> list[Document]:
    """The enabled, blocking policies that hold for a repository, on a branch (with `ref`) or for what is pushed."""
    found = []
    for each in store.all("policy", f"{repository['project']}/"):
        known = TYPES[each["type"]]
        if each["isEnabled"] and each["isBlocking"] and known.on_branch == on_branch and applies(each, repository, ref):
            found.append(each)
    return found


def applies(configuration: Document, repository: Document, ref: str | None) -> bool:
    """Whether one of the configuration's scopes holds for this repository and branch."""
    return any(_in_scope(scope, repository, ref) for scope in configuration["settings"].get("scope") or [{}])


def _in_scope(scope: Document, repository: Document, ref: str | None) -> bool:
    if str(scope.get("repositoryId") or repository["id"]).lower() != repository["id"]:
        return False
    if ref is None:
        return True
    kind, name = str(scope.get("matchKind") or "Exact").lower(), scope.get("refName")
    if kind == "defaultbranch":
        return bool(ref == repository["defaultBranch"])
    if name is None:
        return True
    return ref.startswith(name) if kind == "prefix" else bool(ref == name)


def shown(call: Call, project: Document, configuration: Document) -> Document:
    """A configuration as the service answers it."""
    creator = call.store.get("identity", configuration["createdBy"])
    url = call.url(project["id"], "_apis", "policy", "configurations", configuration["id"])
    type_id = configuration["type"]
    return {
        "createdBy": identities.reference(creator, call.vssps) if creator else None,
        "createdDate": configuration["createdDate"],
        "isEnabled": configuration["isEnabled"],
        "isBlocking": configuration["isBlocking"],
        "isDeleted": False,
        "isEnterpriseManaged": False,
        "settings": configuration["settings"],
        "_links": {"self": {"href": url}},
        "revision": configuration["revision"],
        "id": configuration["id"],
        "url": url,
        "type": _type_reference(call, project, type_id),
    }


def _type_reference(call: Call, project: Document, type_id: str) -> Document:
    url = call.url(project["id"], "_apis", "policy", "types", type_id)
    return {"id": type_id, "url": url, "displayName": TYPES[type_id].name}


def _find(call: Call, project: Document) -> Document:
    id_ = call.number("configurationId")
    found = call.store.get("policy", key(project["id"], id_))
    if found is None:
        message = f"The policy configuration {id_} does not exist."
        raise ServiceError(404, message, "PolicyConfigurationNotFoundException")
    return found


def _refused(message: str) -> ServiceError:
    return invalid(message, "PolicyConfigurationInvalidException")


def _checked(call: Call, project: Document) -> Document:
    """The body, after all that the service checks before it keeps a configuration."""
    body = call.document()
    type_id = str((body.get("type") or {}).get("id", "")).lower()
    settings = body.get("settings")
    if not isinstance(settings, dict):
        raise missing_value("settings")
    if type_id == CREDENTIALS:
        # Its successor is part of Advanced Security; the provider says that it "cannot be created".
        raise _refused("The policy type 'Credentials and other secrets' has been deprecated and cannot be created.")
    if type_id not in TYPES:
        raise ServiceError(404, f"The policy type {type_id} does not exist.", "PolicyTypeNotFoundException")
    for name in TYPES[type_id].required:
        if settings.get(name) is None:
            raise _refused(f"The policy setting '{name}' is required by the policy type {TYPES[type_id].name}.")
    _check_scopes(call, project, settings, TYPES[type_id])
    _check_settings(call, project, type_id, settings)
    return {
        "type": type_id,
        "isEnabled": bool(body.get("isEnabled", True)),
        "isBlocking": bool(body.get("isBlocking", True)),
        "settings": settings,
    }


def _check_scopes(call: Call, project: Document, settings: Document, kind: PolicyType) -> None:
    scopes = settings.get("scope")
    if not isinstance(scopes, list) or not scopes:
        raise _refused("The policy setting 'scope' is required.")
    for scope in scopes:
        repository_id = scope.get("repositoryId")
        if repository_id and call.store.get("repository", f"{project['id']}/{str(repository_id).lower()}") is None:
            raise _refused(f"TF401019: The Git repository with name or identifier {repository_id} does not exist.")
        permissions.demand(
            call.store,
            call.user,
            GIT,
            permissions.git_token(project["id"], str(repository_id or "").lower()),
            "EditPolicies",
        )
        match = str(scope.get("matchKind") or "Exact").lower()
        if match not in _MATCHES:
            raise _refused(f"The value '{scope['matchKind']}' is not valid for matchKind.")
        name = scope.get("refName")
        if kind.on_branch and name and not name.startswith("refs/"):
            raise _refused(f"The ref name '{name}' is not valid; it must begin with refs/.")


def _check_settings(call: Call, project: Document, type_id: str, settings: Document) -> None:
    if type_id == BUILD_VALIDATION:
        id_ = settings["buildDefinitionId"]
        if not isinstance(id_, int) or call.store.get("definition", key(project["id"], id_)) is None:
            raise _refused(f"The build definition {id_} does not exist in the project.")
    elif type_id == REQUIRED_REVIEWERS:
        for id_ in settings["requiredReviewerIds"]:
            if identities.find(call.store, str(id_)) is None:
                raise _refused(f"The identity {id_} does not exist.")
        if not settings["requiredReviewerIds"]:
            raise _refused("The policy setting 'requiredReviewerIds' must name a reviewer.")
    elif type_id == MINIMUM_REVIEWERS:
        count = settings["minimumApproverCount"]
        if not isinstance(count, int) or not 1 <= count <= 10:
            raise _refused(f"The value '{count}' is not valid for minimumApproverCount; it must be from 1 to 10.")
    elif type_id == MERGE_STRATEGY:
        kinds = ("allowSquash", "allowNoFastForward", "allowRebase", "allowRebaseMerge", "useSquashMerge")
        if not any(settings.get(kind) for kind in kinds):
            raise _refused("At least one merge strategy must be allowed.")


@configurations.on("POST")
def create(call: Call) -> Answer:
    project = project_of(call)
    kept = _checked(call, project)
    kept |= {
        "id": call.store.next_number("policy"),
        "revision": 1,
        "createdDate": now(),
        "createdBy": call.user["id"],
    }
    _keep(call, project, kept)
    return shown(call, project, kept)


def _keep(call: Call, project: Document, configuration: Document) -> None:
    place = key(project["id"], configuration["id"])
    call.store.put("policy", place, configuration)
    call.store.put("policy-revision", f"{place}/{configuration['revision']:06}", configuration)


@configurations.on("GET")
def get(call: Call) -> Answer:
    project = project_of(call)
    if "configurationId" in call.route:
        return shown(call, project, _find(call, project))
    found = call.store.all("policy", f"{project['id']}/")
    if call.query.get("policytype"):
        found = [each for each in found if each["type"] == call.query["policytype"].lower()]
    return [shown(call, project, each) for each in found]


@configurations.on("PUT")
def update(call: Call) -> Answer:
    project = project_of(call)
    before = _find(call, project)
    after = _checked(call, project)
    if after["type"] != before["type"]:
        raise _refused("The type of a policy configuration cannot be changed.")
    kept = before | after | {"revision": before["revision"] + 1, "createdDate": now(), "createdBy": call.user["id"]}
    _keep(call, project, kept)
    return shown(call, project, kept)


@configurations.on("DELETE")
def delete(call: Call) -> Answer:
    project = project_of(call)
    found = _find(call, project)
    for scope in found["settings"].get("scope") or [{}]:
        token = permissions.git_token(project["id"], str(scope.get("repositoryId") or "").lower())
        permissions.demand(call.store, call.user, GIT, token, "EditPolicies")
    call.store.delete("policy", key(project["id"], found["id"]))
    return None


@revisions.on("GET")
def get_revisions(call: Call) -> Answer:
    project = project_of(call)
    place = key(project["id"], call.number("configurationId"))
    found = call.store.all("policy-revision", f"{place}/")
    if "revisionId" not in call.route:
        return [shown(call, project, each) for each in reversed(found)]
    wanted = [each for each in found if each["revision"] == call.number("revisionId")]
    if not wanted:
        message = f"The policy configuration {call.route['configurationId']} does not exist."
        raise ServiceError(404, message, "PolicyConfigurationNotFoundException")
    return shown(call, project, wanted[0])


@types.on("GET")
def get_types(call: Call) -> Answer:
    project = project_of(call)
    if "typeId" not in call.route:
        return [_type_reference(call, project, id_) | {"description": each.name} for id_, each in TYPES.items()]
    id_ = call.route["typeId"].lower()
    if id_ not in TYPES:
        raise ServiceError(404, f"The policy type {id_} does not exist.", "PolicyTypeNotFoundException")
    return _type_reference(call, project, id_) | {"description": TYPES[id_].name}


@of_branch.on("GET")
def get_of_branch(call: Call) -> Answer:
    project = project_of(call)
    found = call.store.all("policy", f"{project['id']}/")
    repository = call.store.get("repository", f"{project['id']}/{call.query.get('repositoryid', '').lower()}")
    if repository is not None:
        found = [each for each in found if applies(each, repository, call.query.get("refname"))]
    if call.query.get("policytype"):
        found = [each for each in found if each["type"] == call.query["policytype"].lower()]
    return [shown(call, project, each) for each in found]
