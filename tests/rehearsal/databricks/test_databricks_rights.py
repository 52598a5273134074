"""Rights: what each user may do with workspace objects."""

import io
from collections.abc import Callable

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat

from tests.rehearsal.databricks.clients import NOTEBOOK, Workspace

DANA_HOME = "/Users/dana@rehearsal.example"


def grant(workspace: Workspace, path: str, level: PermissionLevel, *, kind: str = "directories") -> None:
    """Gives the data engineers, who are Dana and Devin, this level and takes all others from the object."""
    entry = AccessControlRequest(group_name="data-engineers", permission_level=level)
    workspace.sdk().permissions.set(kind, workspace.object_id(path), access_control_list=[entry])


@pytest.mark.parametrize("user", ["dana", "deployer-test", "nobody"])
def test_only_administrators_create_at_the_root(workspace: Workspace, user: str) -> None:
    with pytest.raises(PermissionDenied, match="does not have Manage permissions on /"):
        workspace.sdk(user).workspace.mkdirs("/delivery")
    workspace.sdk().workspace.mkdirs("/delivery")


@pytest.mark.parametrize("user", ["dana", "deployer-production", "nobody"])
def test_everybody_may_do_everything_in_shared(workspace: Workspace, user: str) -> None:
    workspace.folder("/Shared/team")
    workspace.notebook("/Shared/team/a")
    workspace.notebook("/Shared/team/a", NOTEBOOK + b"changed", user=user)
    workspace.sdk(user).workspace.delete("/Shared/team", recursive=True)


def test_the_access_list_of_shared_cannot_be_changed(workspace: Workspace) -> None:
    entries = workspace.sdk().permissions.get("directories", workspace.object_id("/Shared")).access_control_list or []
    assert {entry.group_name for entry in entries} == {"users", "admins"}
    with pytest.raises(DatabricksError, match="Cannot modify permissions of directory"):
        grant(workspace, "/Shared", PermissionLevel.CAN_READ)


def test_a_folder_in_shared_cannot_be_closed_to_anybody(workspace: Workspace) -> None:
    workspace.folder("/Shared/team")
    grant(workspace, "/Shared/team", PermissionLevel.CAN_READ)
    workspace.notebook("/Shared/team/a", user="nobody")


def test_a_home_is_its_owners_and_the_administrators(workspace: Workspace) -> None:
    workspace.notebook(f"{DANA_HOME}/a", user="dana")
    for user in ("devin", "nobody"):
        with pytest.raises(PermissionDenied):
            workspace.sdk(user).workspace.get_status(f"{DANA_HOME}/a")
    workspace.sdk().workspace.delete(f"{DANA_HOME}/a")
    application = workspace.sdk("deployer-test").current_user.me().user_name
    workspace.notebook(f"/Users/{application}/a", user="deployer-test")


def test_lists_show_only_what_the_caller_may_read(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    assert "/delivery" in {item.path for item in workspace.sdk().workspace.list("/")}
    assert "/delivery" not in {item.path for item in workspace.sdk("dana").workspace.list("/")}
    assert [item.path for item in workspace.sdk("dana").workspace.list("/Users")] == [DANA_HOME]


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (PermissionLevel.CAN_READ, {"read"}),
        (PermissionLevel.CAN_RUN, {"read"}),
        (PermissionLevel.CAN_EDIT, {"read", "overwrite"}),
        (PermissionLevel.CAN_MANAGE, {"read", "overwrite", "create", "permissions", "delete"}),
    ],
)
def test_a_level_on_a_folder_allows_what_is_documented_for_it(
    workspace: Workspace, level: PermissionLevel, allowed: set[str]
) -> None:
    workspace.folder("/delivery")
    workspace.notebook("/delivery/a")
    grant(workspace, "/delivery", level)
    number = workspace.object_id("/delivery/a")
    sdk = workspace.sdk("dana")
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: sdk.workspace.export("/delivery/a"),
        "overwrite": lambda: workspace.notebook("/delivery/a", user="dana"),
        "create": lambda: sdk.workspace.upload("/delivery/b", io.BytesIO(b""), format=ImportFormat.RAW),
        "permissions": lambda: sdk.permissions.get("notebooks", number),
        "delete": lambda: sdk.workspace.delete("/delivery/a"),
    }
    done = set()
    for name, attempt in attempts.items():
        try:
            attempt()
            done.add(name)
        except PermissionDenied:
            pass
    assert done == allowed


def test_without_any_level_nothing_is_allowed_nor_changed(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    workspace.notebook("/delivery/a")
    sdk = workspace.sdk("dana")
    for attempt in (
        lambda: sdk.workspace.get_status("/delivery/a"),
        lambda: sdk.workspace.export("/delivery/a"),
        lambda: list(sdk.workspace.list("/delivery")),
        lambda: sdk.workspace.delete("/delivery", recursive=True),
        lambda: workspace.notebook("/delivery/a", user="dana"),
        lambda: sdk.workspace.mkdirs("/delivery/deep"),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert [item.path for item in workspace.sdk().workspace.list("/delivery")] == ["/delivery/a"]


def test_a_level_on_the_object_adds_to_the_one_of_its_folder(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    workspace.notebook("/delivery/a")
    workspace.notebook("/delivery/b")
    grant(workspace, "/delivery", PermissionLevel.CAN_READ)
    grant(workspace, "/delivery/a", PermissionLevel.CAN_EDIT, kind="notebooks")
    workspace.notebook("/delivery/a", user="dana")
    with pytest.raises(PermissionDenied):
        workspace.notebook("/delivery/b", user="dana")


def test_a_right_goes_with_the_membership_that_gave_it(workspace: Workspace) -> None:
    workspace.folder("/delivery")
    grant(workspace, "/delivery", PermissionLevel.CAN_READ)
    workspace.sdk("dana").workspace.get_status("/delivery")
    sdk = workspace.sdk()
    [group] = sdk.groups.list(filter='displayName eq "data-engineers"')
    assert group.id
    sdk.groups.update(group.id, display_name="data-engineers", members=[])
    with pytest.raises(PermissionDenied):
        workspace.sdk("dana").workspace.get_status("/delivery")
