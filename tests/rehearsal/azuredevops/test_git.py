"""Real git against the service, and its REST interface on the same repositories."""

from pathlib import Path
from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError

from rehearsal.azuredevops.users import ADMINISTRATOR, BUILD_SERVICE, DANA, DEVIN, EXPIRED, NOBODY
from tests.rehearsal.azuredevops.organization import (
    GIT_NAMESPACE,
    SOCKETS_LEFT_OPEN,
    Organization,
    commit,
    git,
    policy_body,
    scope,
    work_tree,
)

pytestmark = SOCKETS_LEFT_OPEN

PROTECTED = "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."
MINIMUM_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
FILE_SIZE = "2e26e725-8201-4edd-8bf5-978563c34a80"
PATH_LENGTH = "001a79cf-fda1-4c4e-9e7c-bac40ee5ead8"
RESERVED_NAMES = "db2b9b4c-180d-4529-9701-01541d19f36b"
CASE = "7ed39669-655c-494e-b4a0-a08b4da0fcce"
EMAILS = "77ed4bd3-b063-4689-934a-175e4d0a78d7"


@pytest.fixture
def pushed(organization: Organization, project: Any, repository: Any, folder: Path) -> Path:
    """A developer's work tree whose main has been pushed."""
    tree = work_tree(folder / "tree")
    git(tree, "remote", "add", "origin", organization.remote(project.name, repository.name.replace(" ", "%20"), DANA))
    git(tree, "push", "--quiet", "origin", "main")
    return tree


def protect(organization: Organization, project: Any, repository: Any, **more: Any) -> Any:
    settings = {"minimumApproverCount": 1, "creatorVoteCounts": False, "scope": scope(repository.id)}
    policies = organization.clients().get_policy_client()
    return policies.create_policy_configuration(policy_body(MINIMUM_REVIEWERS, settings, **more), project.id)


def allow_pushing(organization: Organization, project: Any, descriptor: str, bits: int = 4) -> None:
    entry = {"descriptor": descriptor, "allow": bits, "deny": 0}
    body = {"token": f"repoV2/{project.id}", "merge": True, "accessControlEntries": [entry]}
    with organization.http() as http:
        http.post(f"/_apis/AccessControlEntries/{GIT_NAMESPACE}", json=body).raise_for_status()


def test_what_was_pushed_is_cloned(organization: Organization, project: Any, pushed: Path, folder: Path) -> None:
    url = git(pushed, "remote", "get-url", "origin").stdout.strip()
    git(folder, "clone", "--quiet", url, "clone")
    head = git(pushed, "rev-parse", "HEAD").stdout
    assert git(folder / "clone", "rev-parse", "HEAD").stdout == head
    assert (folder / "clone/notebooks/a.py").read_text() == "print(1)\n"
    short = url.replace(f"/{project.name.replace(' ', '%20')}/_git/", "/_git/")
    assert git(folder, "ls-remote", short, "refs/heads/main").stdout.split()[0] == head.strip()


def test_the_first_push_makes_its_branch_the_default(organization: Organization, repository: Any, pushed: Path) -> None:
    client = organization.clients().get_git_client()
    found = client.get_repository(repository.id)
    assert found.default_branch == "refs/heads/main"
    assert found.size > 0
    assert found.remote_url.startswith("http://rehearsal@127.0.0.1:")
    (push,) = client.get_pushes(repository.id)
    assert push.pushed_by.unique_name == "dana@rehearsal.example"


def test_fetch_brings_what_others_pushed(organization: Organization, pushed: Path, folder: Path) -> None:
    url = git(pushed, "remote", "get-url", "origin").stdout.strip()
    git(folder, "clone", "--quiet", url, "clone")
    new = commit(pushed, "b.py", "2")
    git(pushed, "push", "--quiet", "origin", "main", "main:refs/heads/other", "main:refs/tags/v1")
    git(folder / "clone", "fetch", "--quiet", "--tags")
    for name in ("origin/main", "origin/other", "v1"):
        assert git(folder / "clone", "rev-parse", name).stdout.strip() == new


def test_a_large_push_arrives_whole(pushed: Path, folder: Path) -> None:
    # Above http.postBuffer git sends in chunks, after a probe.
    new = commit(pushed, "large.txt", "".join(f"{number * 7919:x}" for number in range(900_000)))
    git(pushed, "push", "--quiet", "origin", "main")
    git(folder, "clone", "--quiet", git(pushed, "remote", "get-url", "origin").stdout.strip(), "clone")
    assert git(folder / "clone", "rev-parse", "HEAD").stdout.strip() == new
    assert git(folder / "clone", "fsck").returncode == 0


def test_git_without_a_token_is_asked_for_one(organization: Organization, project: Any, folder: Path) -> None:
    name = project.name.replace(" ", "%20")
    refused = git(folder, "ls-remote", f"{organization.url}/{name}/_git/{name}", check=False)
    assert "could not read Username" in refused.stderr
    expired = git(folder, "ls-remote", organization.remote(project.name, name, EXPIRED), check=False)
    assert "Authentication failed" in expired.stderr


def test_somebody_without_rights_finds_no_repository(organization: Organization, project: Any, folder: Path) -> None:
    refused = git(
        folder, "ls-remote", organization.remote(project.name, project.name.replace(" ", "%20"), NOBODY), check=False
    )
    assert "TF401019" in refused.stderr


def test_pipelines_read_and_do_not_push(organization: Organization, project: Any, pushed: Path, folder: Path) -> None:
    url = organization.remote(project.name, project.name.replace(" ", "%20"), BUILD_SERVICE)
    git(folder, "clone", "--quiet", url, "clone")
    commit(folder / "clone", "b.py", "2")
    clients = organization.clients()
    groups = clients.get_identity_client().list_groups()
    accounts = next(each for each in groups if each.provider_display_name.endswith("Build Service Accounts"))
    allow_pushing(organization, project, accounts.descriptor)
    refused = git(folder / "clone", "push", "origin", "main", check=False)
    # The group holds no pipeline's identity: a right given to it changes nothing.
    assert "TF401027: You need the Git 'GenericContribute' permission" in refused.stderr
    (pipelines,) = [
        each
        for each in clients.get_graph_client().list_users(subject_types=["svc"]).graph_users
        if each.display_name.startswith("Project Collection")
    ]
    identity = clients.get_identity_client().read_identities(subject_descriptors=pipelines.descriptor)[0]
    allow_pushing(organization, project, identity.descriptor)
    git(folder / "clone", "push", "--quiet", "origin", "main")


def test_a_push_to_a_protected_branch_is_refused_with_TF402455(  # noqa: N802 - the message's name
    organization: Organization, project: Any, repository: Any, pushed: Path
) -> None:
    policy = protect(organization, project, repository)
    before = git(pushed, "rev-parse", "HEAD").stdout.strip()
    commit(pushed, "b.py", "2")
    refused = git(pushed, "push", "origin", "main", "main:refs/heads/feature", check=False)
    assert refused.returncode == 1
    assert f"! [remote rejected] main -> main ({PROTECTED})" in refused.stderr
    assert "[new branch]      main -> feature" in refused.stderr
    branches = {each.name: each.object_id for each in organization.clients().get_git_client().get_refs(repository.id)}
    assert branches["refs/heads/main"] == before
    assert "refs/heads/feature" in branches
    for options in (["--force"], ["--delete"]):
        assert PROTECTED in git(pushed, "push", *options, "origin", "main", check=False).stderr
    organization.clients().get_policy_client().delete_policy_configuration(project.id, policy.id)
    git(pushed, "push", "--quiet", "origin", "main")


def test_an_atomic_push_is_refused_as_a_whole(
    organization: Organization, project: Any, repository: Any, pushed: Path
) -> None:
    protect(organization, project, repository)
    commit(pushed, "b.py", "2")
    refused = git(pushed, "push", "--atomic", "origin", "main", "main:refs/heads/feature", check=False)
    assert PROTECTED in refused.stderr
    names = [each.name for each in organization.clients().get_git_client().get_refs(repository.id)]
    assert names == ["refs/heads/main"]


@pytest.mark.parametrize("more", [{"isEnabled": False}, {"isBlocking": False}])
def test_a_policy_that_does_not_block_lets_pushes_through(
    organization: Organization, project: Any, repository: Any, pushed: Path, more: dict[str, bool]
) -> None:
    protect(organization, project, repository, **more)
    commit(pushed, "b.py", "2")
    git(pushed, "push", "--quiet", "origin", "main")


def test_a_branch_that_a_policy_waits_for_can_be_made_once(
    organization: Organization, project: Any, repository: Any, folder: Path
) -> None:
    settings = {"minimumApproverCount": 1, "scope": scope(None, None, "DefaultBranch")}
    policies = organization.clients().get_policy_client()
    policies.create_policy_configuration(policy_body(MINIMUM_REVIEWERS, settings), project.id)
    tree = work_tree(folder / "tree")
    url = organization.remote(project.name, repository.name.replace(" ", "%20"), DANA)
    git(tree, "push", "--quiet", url, "main")
    commit(tree, "b.py", "2")
    assert PROTECTED in git(tree, "push", url, "main", check=False).stderr


def test_who_is_exempt_from_policies_may_push(
    organization: Organization, project: Any, repository: Any, pushed: Path
) -> None:
    protect(organization, project, repository)
    clients = organization.clients()
    identity = clients.get_identity_client().read_identities(
        search_filter="AccountName", filter_value="dana@rehearsal.example"
    )[0]
    allow_pushing(organization, project, identity.descriptor, bits=128)
    commit(pushed, "b.py", "2")
    git(pushed, "push", "--quiet", "origin", "main")


def test_history_is_rewritten_only_by_who_may(organization: Organization, project: Any, pushed: Path) -> None:
    git(pushed, "push", "--quiet", "origin", "main:refs/heads/mine")
    git(pushed, "commit", "--quiet", "--amend", "--message", "rewritten")
    git(pushed, "push", "--quiet", "--force", "origin", "main:refs/heads/mine")
    url = organization.remote(project.name, project.name.replace(" ", "%20"), DEVIN)
    git(pushed, "commit", "--quiet", "--amend", "--message", "rewritten again")
    refused = git(pushed, "push", "--force", url, "main:refs/heads/mine", check=False)
    assert "You need the Git 'ForcePush' permission" in refused.stderr
    git(pushed, "push", "--quiet", "origin", "--delete", "mine")


@pytest.mark.parametrize(
    ("rule", "pushed_file", "message"),
    [
        ((FILE_SIZE, {"maximumGitBlobSizeInBytes": 1000}), ("b.txt", "x" * 1001), "larger than 1000"),
        ((PATH_LENGTH, {"maxPathLength": 20}), ("a/long/path/to/a/file.py", "1"), "VS403729"),
        ((RESERVED_NAMES, {}), ("notebooks/aux.py", "1"), "reserved name"),
        ((CASE, {"enforceConsistentCase": True}), ("notebooks/A.py", "1"), "differ only in case"),
        ((EMAILS, {"authorEmailPatterns": ["*@other.example"]}), ("b.py", "1"), "VS403702"),
    ],
)
def test_a_repository_policy_refuses_what_it_is_about(
    organization: Organization,
    pushed: Path,
    rule: tuple[str, dict[str, Any]],
    pushed_file: tuple[str, str],
    message: str,
) -> None:
    clients = organization.clients()
    name = git(pushed, "remote", "get-url", "origin").stdout.strip().rpartition("/")[2].replace("%20", " ")
    repository = clients.get_git_client().get_repository(name, project=name)
    policies = clients.get_policy_client()
    body = policy_body(rule[0], rule[1] | {"scope": [{"repositoryId": repository.id}]})
    policy = policies.create_policy_configuration(body, name)
    commit(pushed, *pushed_file)
    refused = git(pushed, "push", "origin", "main:refs/heads/feature", check=False)
    assert "[remote rejected] main -> feature" in refused.stderr
    assert message in refused.stderr
    policies.delete_policy_configuration(name, policy.id)
    git(pushed, "push", "--quiet", "origin", "main:refs/heads/feature")


def test_files_commits_and_branches_are_those_of_git(organization: Organization, repository: Any, pushed: Path) -> None:
    client = organization.clients().get_git_client()
    first = git(pushed, "rev-parse", "HEAD").stdout.strip()
    second = commit(pushed, "docs/read me.md", "hello\n", "a second one")
    git(pushed, "push", "--quiet", "origin", "main", "main~1:refs/heads/old")
    item = client.get_item(repository.id, "notebooks/a.py", include_content=True)
    assert (item.content, item.commit_id) == ("print(1)\n", first)
    assert b"".join(client.get_item_content(repository.id, "docs/read me.md")) == b"hello\n"
    everything = client.get_items(repository.id, recursion_level="full")
    assert {each.path for each in everything} == {"/", "/docs", "/docs/read me.md", "/notebooks", "/notebooks/a.py"}
    commits = client.get_commits(repository.id, None)
    assert [each.commit_id for each in commits] == [second, first]
    found = client.get_commit(second, repository.id)
    assert (found.comment, found.author.email, found.parents) == ("a second one", "dana@rehearsal.example", [first])
    stats = {each.name: (each.ahead_count, each.behind_count) for each in client.get_branches(repository.id)}
    assert stats == {"main": (0, 0), "old": (0, 1)}
    with pytest.raises(AzureDevOpsServiceError, match="TF401174"):
        client.get_item(repository.id, "nowhere.py")
    with pytest.raises(AzureDevOpsServiceError, match="TF401175"):
        client.get_branch(repository.id, "nowhere")


def push_body(old: str, change: str, path: str, content: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"changeType": change, "item": {"path": path}}
    if content is not None:
        item["newContent"] = {"content": content, "contentType": "rawtext"}
    return {
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": old}],
        "commits": [{"comment": f"{change} {path}", "changes": [item]}],
    }


def test_a_push_over_rest_is_a_push(organization: Organization, project: Any, repository: Any, folder: Path) -> None:
    client = organization.clients().get_git_client()
    first = client.create_push(push_body("0" * 40, "add", "/README.md", "hi"), repository.id)
    assert client.get_repository(repository.id).default_branch == "refs/heads/main"
    tip = first.ref_updates[0].new_object_id
    with pytest.raises(AzureDevOpsServiceError, match="already exists"):
        client.create_push(push_body(tip, "add", "/README.md", "again"), repository.id)
    second = client.create_push(push_body(tip, "edit", "/README.md", "hi again"), repository.id)
    with pytest.raises(AzureDevOpsServiceError, match="has already been updated by another client"):
        client.create_push(push_body(tip, "edit", "/README.md", "late"), repository.id)
    git(folder, "clone", "--quiet", organization.remote(project.name, repository.name.replace(" ", "%20")), "clone")
    assert (folder / "clone/README.md").read_text() == "hi again"
    assert git(folder / "clone", "log", "-1", "--format=%an").stdout.strip() == "Ada Admin"
    protect(organization, project, repository)
    with pytest.raises(AzureDevOpsServiceError, match="TF402455"):
        client.create_push(push_body(second.commits[0].commit_id, "delete", "/README.md"), repository.id)


def test_refs_are_made_and_removed_over_rest(
    organization: Organization, project: Any, repository: Any, pushed: Path
) -> None:
    client = organization.clients(DANA).get_git_client()
    tip = git(pushed, "rev-parse", "HEAD").stdout.strip()
    nothing = "0" * 40
    (made,) = client.update_refs(
        [{"name": "refs/heads/topic", "oldObjectId": nothing, "newObjectId": tip}], repository.id
    )
    assert made.success
    (late,) = client.update_refs(
        [{"name": "refs/heads/topic", "oldObjectId": nothing, "newObjectId": tip}], repository.id
    )
    assert (late.success, late.update_status) == (False, "staleOldObjectId")
    protect(organization, project, repository)
    (kept,) = client.update_refs(
        [{"name": "refs/heads/main", "oldObjectId": tip, "newObjectId": nothing}], repository.id
    )
    assert (kept.success, kept.update_status) == (False, "rejectedByPolicy")
    (gone,) = client.update_refs(
        [{"name": "refs/heads/topic", "oldObjectId": tip, "newObjectId": nothing}], repository.id
    )
    assert gone.success
    assert [each.name for each in client.get_refs(repository.id, filter="heads/")] == ["refs/heads/main"]


def test_repositories_have_names_of_their_own(organization: Organization, project: Any) -> None:
    client = organization.clients(ADMINISTRATOR).get_git_client()
    made = client.create_repository({"name": "notebooks"}, project.id)
    assert client.get_repository("NoteBooks", project=project.name).id == made.id
    with pytest.raises(
        AzureDevOpsServiceError, match="TF400948: A Git repository with the name Notebooks already exists"
    ):
        client.create_repository({"name": "Notebooks"}, project.id)
    renamed = client.update_repository({"name": "books"}, made.id)
    assert renamed.name == "books"
    client.update_repository({"isDisabled": True}, made.id)
    with pytest.raises(AzureDevOpsServiceError, match="TF401019"):
        client.get_repository(made.id)
    assert "books" in [each.name for each in client.get_repositories(project.id, include_hidden=True)]
    client.delete_repository(made.id)
    (left,) = client.get_repositories(project.id, include_hidden=True)
    with pytest.raises(AzureDevOpsServiceError, match="last repository"):
        client.delete_repository(left.id)
    with pytest.raises(AzureDevOpsServiceError, match="CreateRepository"):
        organization.clients(DANA).get_git_client().create_repository({"name": "mine"}, project.id)
