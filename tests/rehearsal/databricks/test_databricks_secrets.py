"""Secret scopes, secrets, and who may do what with them."""

import base64

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.workspace import AclPermission

from tests.rehearsal.databricks.clients import Workspace


def test_a_secret_is_kept_listed_without_its_value_and_deleted(workspace: Workspace) -> None:
    api = workspace.sdk().secrets
    api.create_scope("made")
    api.put_secret("made", "text", string_value="välue")
    api.put_secret("made", "bytes", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert api.get_secret("made", "text").value == base64.b64encode("välue".encode()).decode()
    assert api.get_secret("made", "bytes").value == base64.b64encode(b"\x00\xff").decode()
    listed = workspace.call("GET", "2.0/secrets/list", params={"scope": "made"}).json()["secrets"]
    assert [set(each) for each in listed] == [{"key", "last_updated_timestamp"}] * 2
    api.delete_secret("made", "text")
    with pytest.raises(NotFound, match="Secret does not exist with scope: made and key: text"):
        api.get_secret("made", "text")


def test_a_scope_goes_with_everything_in_it(workspace: Workspace) -> None:
    api = workspace.sdk().secrets
    for scope in ("made", "made2"):
        api.create_scope(scope)
        api.put_secret(scope, "k", string_value="v")
    api.delete_scope("made")
    assert [scope.name for scope in api.list_scopes()] == ["made2"]
    assert api.get_secret("made2", "k").key == "k"
    api.create_scope("made")
    assert list(api.list_secrets("made")) == []


def test_what_makes_no_scope_is_refused(workspace: Workspace) -> None:
    api = workspace.sdk().secrets
    api.create_scope("made")
    with pytest.raises(ResourceAlreadyExists, match="Scope made already exists!"):
        api.create_scope("made")
    for name in ("", "x" * 129):
        with pytest.raises(BadRequest, match="non-empty and at most 128 characters"):
            api.create_scope(name)
    with pytest.raises(BadRequest):
        api.create_scope("a b")
    with pytest.raises(BadRequest, match="initial_manage_principal"):
        api.create_scope("other", initial_manage_principal="dana@rehearsal.example")


def test_a_secret_has_one_value_of_limited_size(workspace: Workspace) -> None:
    api = workspace.sdk().secrets
    api.create_scope("made")
    with pytest.raises(BadRequest, match="Exactly one"):
        api.put_secret("made", "k")
    with pytest.raises(BadRequest, match="exceeds the limit"):
        api.put_secret("made", "k", string_value="x" * (128 * 1024 + 1))
    with pytest.raises(BadRequest, match="may only contain"):
        api.put_secret("made", "k k", string_value="v")
    assert list(api.list_secrets("made")) == []


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (None, set()),
        (AclPermission.READ, {"read"}),
        (AclPermission.WRITE, {"read", "write"}),
        (AclPermission.MANAGE, {"read", "write", "manage"}),
    ],
)
def test_levels_on_a_scope(workspace: Workspace, level: AclPermission | None, allowed: set[str]) -> None:
    admin = workspace.sdk().secrets
    admin.create_scope("made")
    admin.put_secret("made", "k", string_value="v")
    if level:
        admin.put_acl("made", "data-engineers", level)
    dana = workspace.sdk("dana").secrets
    done = set()
    for name, attempt in (
        ("read", lambda: dana.get_secret("made", "k")),
        ("write", lambda: dana.put_secret("made", "k", string_value="w")),
        ("manage", lambda: dana.put_acl("made", "nobody@rehearsal.example", AclPermission.READ)),
    ):
        try:
            attempt()
            done.add(name)
        except PermissionDenied:
            pass
    assert done == allowed


def test_access_lists_are_read_changed_and_deleted(workspace: Workspace) -> None:
    api = workspace.sdk().secrets
    application = workspace.sdk("deployer-test").current_user.me().user_name
    assert application
    api.create_scope("made")
    api.put_acl("made", application, AclPermission.READ)
    api.put_acl("made", application, AclPermission.WRITE)
    assert api.get_acl("made", application).permission == AclPermission.WRITE
    assert {item.principal for item in api.list_acls("made")} == {"admin@rehearsal.example", application}
    api.delete_acl("made", application)
    with pytest.raises(NotFound):
        api.get_acl("made", application)
    with pytest.raises(NotFound, match="does not exist"):
        api.put_acl("made", "who", AclPermission.READ)


def test_whoever_makes_a_scope_manages_it(workspace: Workspace) -> None:
    workspace.sdk("dana").secrets.create_scope("danas")
    assert [item.principal for item in workspace.sdk("dana").secrets.list_acls("danas")] == ["dana@rehearsal.example"]
    with pytest.raises(PermissionDenied):
        workspace.sdk("devin").secrets.delete_scope("danas")
    workspace.sdk().secrets.delete_scope("danas")
    workspace.sdk("dana").secrets.create_scope("everybodys", initial_manage_principal="users")
    workspace.sdk("devin").secrets.delete_scope("everybodys")
