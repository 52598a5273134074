"""Who may do what: the security namespaces, their access control lists, and the question itself.

The rules of https://learn.microsoft.com/azure/devops/organizations/security/about-permissions: an entry on a
more specific token wins over an inherited one; on the same token deny wins over allow; what nobody allows is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.azuredevops import identities, users
from rehearsal.azuredevops.context import fixed_id
from rehearsal.azuredevops.errors import ServiceError, lacks_git_permission, lacks_permission
from rehearsal.store import Document, Store


@dataclass(frozen=True)
class Namespace:
    """A security namespace: its id, and its actions by bit."""

    id: str
    name: str
    display_name: str
    separator: str
    actions: tuple[tuple[str, str], ...]

    def bit(self, action: str) -> int:
        """The bit of an action."""
        return 1 << [name for name, _ in self.actions].index(action)

    def bits(self, *actions: str) -> int:
        """The bits of several actions."""
        return sum(self.bit(action) for action in actions)

    @property
    def everything(self) -> int:
        """All bits that mean something."""
        return int((1 << len(self.actions)) - 1)


GIT = Namespace(
    "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87",
    "Git Repositories",
    "Git Repositories",
    "/",
    (
        ("Administer", "Administer"),
        ("GenericRead", "Read"),
        ("GenericContribute", "Contribute"),
        ("ForcePush", "Force push (rewrite history, delete branches and tags)"),
        ("CreateBranch", "Create branch"),
        ("CreateTag", "Create tag"),
        ("ManageNote", "Manage notes"),
        ("PolicyExempt", "Bypass policies when pushing"),
        ("CreateRepository", "Create repository"),
        ("DeleteRepository", "Delete or disable repository"),
        ("RenameRepository", "Rename repository"),
        ("EditPolicies", "Edit policies"),
        ("RemoveOthersLocks", "Remove others' locks"),
        ("ManagePermissions", "Manage permissions"),
        ("PullRequestContribute", "Contribute to pull requests"),
        ("PullRequestBypassPolicy", "Bypass policies when completing pull requests"),
        ("ViewAdvSecAlerts", "Advanced Security: view alerts"),
        ("DismissAdvSecAlerts", "Advanced Security: manage and dismiss alerts"),
        ("ManageAdvSecScanning", "Advanced Security: manage settings"),
    ),
)
PROJECT = Namespace(
    "52d39943-cb85-4d7f-8fa8-c6baac873819",
    "Project",
    "Project",
    ":",
    (
        ("GENERIC_READ", "View project-level information"),
        ("GENERIC_WRITE", "Edit project-level information"),
        ("DELETE", "Delete team project"),
        ("PUBLISH_TEST_RESULTS", "Create test runs"),
        ("ADMINISTER_BUILD", "Administer a build"),
        ("START_BUILD", "Start a build"),
        ("EDIT_BUILD_STATUS", "Edit build quality"),
        ("UPDATE_BUILD", "Write to build operational store"),
        ("DELETE_TEST_RESULTS", "Delete test runs"),
        ("VIEW_TEST_RESULTS", "View test runs"),
    ),
)
BUILD = Namespace(
    "33344d9c-fc72-4d6f-aba5-fa317101a7e9",
    "Build",
    "Build",
    "/",
    (
        ("ViewBuilds", "View builds"),
        ("EditBuildQuality", "Edit build quality"),
        ("RetainIndefinitely", "Retain indefinitely"),
        ("DeleteBuilds", "Delete builds"),
        ("ManageBuildQualities", "Manage build qualities"),
        ("DestroyBuilds", "Destroy builds"),
        ("UpdateBuildInformation", "Update build information"),
        ("QueueBuilds", "Queue builds"),
        ("ManageBuildQueue", "Manage build queue"),
        ("StopBuilds", "Stop builds"),
        ("ViewBuildDefinition", "View build pipeline"),
        ("EditBuildDefinition", "Edit build pipeline"),
        ("DeleteBuildDefinition", "Delete build pipeline"),
        ("OverrideBuildCheckInValidation", "Override check-in validation by build"),
        ("AdministerBuildPermissions", "Administer build permissions"),
        ("CreateBuildDefinition", "Create build pipeline"),
        ("EditPipelineQueueConfigurationPermission", "Edit queue build configuration"),
    ),
)
ENVIRONMENT = Namespace(
    "83d4c2e6-e57d-4d6e-892b-b87222b7ad20",
    "Environment",
    "Environment",
    "/",
    (
        ("View", "View"),
        ("Manage", "Manage"),
        ("ManageHistory", "Manage history"),
        ("Administer", "Administer Permissions"),
        ("Use", "Use"),
        ("Create", "Create"),
    ),
)
COLLECTION = Namespace(
    "3e65f728-f8bc-4ecd-8764-7e378b19bfa7",
    "Collection",
    "Collection",
    "",
    (
        ("GENERIC_READ", "View instance-level information"),
        ("GENERIC_WRITE", "Edit instance-level information"),
        ("CREATE_PROJECTS", "Create new projects"),
    ),
)
IDENTITY = Namespace(
    "5a27515b-ccd7-42c9-84f1-54c998f03866",
    "Identity",
    "Identity",
    "\\",
    (
        ("Read", "View identity information"),
        ("Write", "Edit identity information"),
        ("Delete", "Delete identity information"),
        ("ManageMembership", "Manage group membership"),
        ("CreateScope", "Create identity scopes"),
        ("RestoreScope", "Restore identity scopes"),
    ),
)
LIBRARY = Namespace(
    "b7e84409-6553-448a-bbb2-af228e07cbeb",
    "Library",
    "Library",
    "/",
    (
        ("View", "View library item"),
        ("Administer", "Administer library item"),
        ("Create", "Create library item"),
        ("ViewSecrets", "View library item secrets"),
        ("Use", "Use library item"),
        ("Owner", "Owner library item"),
    ),
)
NAMESPACES = {each.id: each for each in (GIT, PROJECT, BUILD, ENVIRONMENT, COLLECTION, IDENTITY, LIBRARY)}

_BYPASSING = GIT.bits("PolicyExempt", "PullRequestBypassPolicy")
_CONTRIBUTING = GIT.bits(
    "GenericRead", "GenericContribute", "CreateBranch", "CreateTag", "ManageNote", "PullRequestContribute"
)


def project_token(project_id: str) -> str:
    return f"$PROJECT:vstfs:///Classification/TeamProject/{project_id}"


def git_token(project_id: str, repository_id: str = "", ref: str = "") -> str:
    """The token of a project's repositories, of one, or of a branch; branch names stand in it as UTF-16 in hex."""
    token = f"repoV2/{project_id}"
    if repository_id:
        token += f"/{repository_id}"
    if ref.startswith("refs/heads/"):
        names = ref.removeprefix("refs/heads/").split("/")
        token += "/refs/heads/" + "/".join(name.encode("utf-16-le").hex() for name in names)
    return token


def environment_token(project_id: str, environment_id: int | None = None) -> str:
    return f"Environments/{project_id}" + (f"/{environment_id}" if environment_id is not None else "")


def library_token(project_id: str, group_id: int | None = None) -> str:
    """The token of a project's library, or of a variable group in it."""
    return f"Library/{project_id}" + (f"/VariableGroup/{group_id}" if group_id is not None else "")


def seed(store: Store) -> None:
    """What the organisation's administrators may do everywhere. An empty token stands above all others."""
    administrators = store.get("identity", identities.COLLECTION_ADMINISTRATORS)
    assert administrators is not None  # noqa: S101 - seeded just before
    for namespace in NAMESPACES.values():
        allowed = namespace.everything & ~(_BYPASSING if namespace is GIT else 0)
        set_entry(store, namespace, "", administrators, allow=allowed)


def seed_project(store: Store, project: Document) -> None:
    """What the groups of a new project may do, by the defaults of
    https://learn.microsoft.com/azure/devops/organizations/security/permissions-access.
    """
    token = {
        GIT: git_token(project["id"]),
        PROJECT: project_token(project["id"]),
        BUILD: project["id"],
        ENVIRONMENT: environment_token(project["id"]),
        IDENTITY: project["id"],
        LIBRARY: library_token(project["id"]),
    }
    viewing = PROJECT.bits("GENERIC_READ", "VIEW_TEST_RESULTS")
    testing = viewing | PROJECT.bits("PUBLISH_TEST_RESULTS", "DELETE_TEST_RESULTS")
    seeing_builds = BUILD.bits("ViewBuilds", "ViewBuildDefinition")
    building = seeing_builds | BUILD.bits(
        "QueueBuilds", "StopBuilds", "EditBuildDefinition", "DeleteBuildDefinition", "CreateBuildDefinition"
    )
    rights: dict[str, dict[Namespace, int]] = {
        "Project Administrators": {
            each: each.everything & ~(_BYPASSING if each is GIT else 0)
            for each in (GIT, PROJECT, BUILD, ENVIRONMENT, IDENTITY, LIBRARY)
        },
        "Build Administrators": {
            GIT: _CONTRIBUTING,
            PROJECT: testing,
            BUILD: BUILD.everything,
            LIBRARY: LIBRARY.everything,
        },
        "Contributors": {
            GIT: _CONTRIBUTING,
            PROJECT: testing,
            BUILD: building,
            ENVIRONMENT: ENVIRONMENT.bits("View", "Use", "Create"),
            LIBRARY: LIBRARY.bits("View", "Use", "Create"),
        },
        "Readers": {
            GIT: GIT.bit("GenericRead"),
            PROJECT: viewing,
            BUILD: seeing_builds,
            ENVIRONMENT: ENVIRONMENT.bit("View"),
            LIBRARY: LIBRARY.bit("View"),
        },
        "Project Valid Users": {PROJECT: viewing, ENVIRONMENT: ENVIRONMENT.bit("View")},
    }
    for name, granted in rights.items():
        group = identities.group_named(store, project["id"], name)
        for namespace, allow in granted.items():
            set_entry(store, namespace, token[namespace], group, allow=allow)
    pipelines = store.get("identity", fixed_id("user", users.BUILD_SERVICE))
    assert pipelines is not None  # noqa: S101 - seeded on the first day
    seed_build_service(store, project["id"], pipelines)


def seed_build_service(store: Store, project_id: str, identity: Document) -> None:
    """What a build identity may do in a project: read, and look after builds. Writing must be allowed."""
    builds = BUILD.bits("ViewBuilds", "ViewBuildDefinition", "QueueBuilds", "UpdateBuildInformation")
    set_entry(store, GIT, git_token(project_id), identity, allow=GIT.bit("GenericRead"))
    project = PROJECT.bits("GENERIC_READ", "PUBLISH_TEST_RESULTS", "VIEW_TEST_RESULTS")
    set_entry(store, PROJECT, project_token(project_id), identity, allow=project)
    set_entry(store, BUILD, project_id, identity, allow=builds)


def acl_key(namespace: Namespace, token: str) -> str:
    return f"{namespace.id}|{token.casefold()}"


def get_acl(store: Store, namespace: Namespace, token: str) -> Document:
    """The list of a token; an empty one where nobody set anything."""
    found = store.get("acl", acl_key(namespace, token))
    return found or {"namespace": namespace.id, "token": token, "inherit": True, "entries": {}}


def set_entry(
    store: Store,
    namespace: Namespace,
    token: str,
    identity: Document,
    *,
    allow: int,
    deny: int = 0,
    merge: bool = False,
) -> Document:
    """Sets what an identity may do; with `merge` only the bits that are given change."""
    acl = get_acl(store, namespace, token)
    if merge:
        before = acl["entries"].get(identity["identityDescriptor"], {"allow": 0, "deny": 0})
        allow, deny = (before["allow"] & ~deny) | allow, (before["deny"] & ~allow) | deny
    acl["entries"][identity["identityDescriptor"]] = {"allow": allow, "deny": deny}
    store.put("acl", acl_key(namespace, token), acl)
    return {"descriptor": identity["identityDescriptor"], "allow": allow, "deny": deny}


def effective(store: Store, identity: Document, namespace: Namespace, token: str) -> int:
    """The bits that an identity has on a token, all its groups taken together."""
    ids = identities.closure(store, identity["id"])
    names = {each["identityDescriptor"] for id_ in ids if (each := store.get("identity", id_)) is not None}
    allowed = decided = 0
    for level in _levels(token):
        entries = get_acl(store, namespace, level)["entries"]
        mine = [entry for name, entry in entries.items() if name in names]
        deny = _union(entry["deny"] for entry in mine)
        allow = _union(entry["allow"] for entry in mine) & ~deny
        allowed |= allow & ~decided
        decided |= allow | deny
    return allowed


def _union(sets: Iterator[int]) -> int:
    total = 0
    for each in sets:
        total |= each
    return total


def _levels(token: str) -> Iterator[str]:
    while token:
        yield token
        token = token.rpartition("/")[0]
    yield ""


def may(store: Store, identity: Document, namespace: Namespace, token: str, action: str) -> bool:
    return bool(effective(store, identity, namespace, token) & namespace.bit(action))


def demand(store: Store, identity: Document, namespace: Namespace, token: str, action: str) -> None:
    """Goes on only when the identity may do it.

    Raises:
        ServiceError: 403, in the words that the service has for this namespace.
    """
    if may(store, identity, namespace, token, action):
        return
    raise refusal(identity, namespace, token, action)


def refusal(identity: Document, namespace: Namespace, token: str, action: str) -> ServiceError:
    """The 403 for an action that an identity may not do."""
    if namespace is GIT:
        scope = ("project", "repository", "branch")[min(max(token.count("/") - 1, 0), 2)]
        return lacking_git(identity, action, scope)
    return lacks_permission(identity["displayName"], dict(namespace.actions)[action])


def lacking_git(identity: Document, action: str, scope: str) -> ServiceError:
    """The 403 for a git operation, which names a pipeline's identity by its kind."""
    kind = "Build\\" if identity["subjectType"] == "svc" else ""
    return lacks_git_permission(kind + identity["principalName"], action, scope)
