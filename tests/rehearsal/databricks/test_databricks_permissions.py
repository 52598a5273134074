"""Access lists: what GET, PUT and PATCH give and do."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.iam import AccessControlRequest, ObjectPermissions, PermissionLevel
from databricks.sdk.service.jobs import NotebookTask, Task

from tests.rehearsal.databricks.clients import Workspace

READ = PermissionLevel.CAN_READ
MANAGE = PermissionLevel.CAN_MANAGE


def entries(permissions: ObjectPermissions) -> dict[str, list[tuple[str, bool, list[str] | None]]]:
    """Name of the principal -> its levels: level, inherited, from which object."""
    return {
        entry.user_name or entry.group_name or entry.service_principal_name or "": [
            (permission.permission_level.value, bool(permission.inherited), permission.inherited_from_object)
            for permission in entry.all_permissions or []
            if permission.permission_level
        ]
        for entry in permissions.access_control_list or []
    }


def make_job(workspace: Workspace, user: str = "administrator") -> str:
    tasks = [Task(task_key="one", notebook_task=NotebookTask(notebook_path="/Shared/a"))]
    return str(workspace.sdk(user).jobs.create(name="nightly", tasks=tasks).job_id)


def test_administrators_inherit_everything_from_the_root(workspace: Workspace) -> None:
    permissions = workspace.sdk().permissions.get("directories", workspace.folder("/delivery"))
    assert permissions.object_type == "directory"
    assert permissions.object_id == f"/directories/{workspace.object_id('/delivery')}"
    assert entries(permissions) == {"admins": [("CAN_MANAGE", True, ["/directories/0"])]}


def test_put_replaces_and_patch_adds(workspace: Workspace) -> None:
    folder = workspace.folder("/delivery")
    api = workspace.sdk().permissions
    application = workspace.sdk("deployer-test").current_user.me().user_name
    first = AccessControlRequest(user_name="dana@rehearsal.example", permission_level=READ)
    second = AccessControlRequest(service_principal_name=application, permission_level=MANAGE)
    raised = AccessControlRequest(user_name="dana@rehearsal.example", permission_level=MANAGE)
    api.set("directories", folder, access_control_list=[first])
    added = entries(api.update("directories", folder, access_control_list=[second, raised]))
    assert set(added) == {"admins", "dana@rehearsal.example", application}
    assert added["dana@rehearsal.example"] == [("CAN_MANAGE", False, None)]
    replaced = entries(api.set("directories", folder, access_control_list=[second]))
    assert set(replaced) == {"admins", application}
    assert entries(api.get("directories", folder)) == replaced


@pytest.mark.parametrize("levels", [(READ, MANAGE), (MANAGE, READ)])
def test_the_higher_of_two_levels_for_one_principal_counts(
    workspace: Workspace, levels: tuple[PermissionLevel, ...]
) -> None:
    twice = [AccessControlRequest(group_name="users", permission_level=level) for level in levels]
    shown = workspace.sdk().permissions.set("directories", workspace.folder("/delivery"), access_control_list=twice)
    assert entries(shown)["users"] == [("CAN_MANAGE", False, None)]


def test_an_object_shows_its_own_and_its_inherited_levels(workspace: Workspace) -> None:
    folder = workspace.folder("/delivery")
    notebook = workspace.notebook("/delivery/a")
    api = workspace.sdk().permissions
    api.set(
        "directories", folder, access_control_list=[AccessControlRequest(group_name="users", permission_level=READ)]
    )
    own = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_RUN)
    shown = entries(api.set("notebooks", notebook, access_control_list=[own]))
    assert shown["users"] == [("CAN_RUN", False, None), ("CAN_READ", True, [f"/directories/{folder}"])]


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (
            {"user_name": "who@x.example", "permission_level": "CAN_READ"},
            NotFound,
            r"UserName\(who@x.example\) does not",
        ),
        (
            {"group_name": "who", "permission_level": "CAN_READ"},
            NotFound,
            r"Principal: GroupName\(who\) does not exist",
        ),
        ({"service_principal_name": "x", "permission_level": "CAN_READ"}, NotFound, r"ServicePrincipalName\(x\) does"),
        ({"group_name": "users", "permission_level": "CAN_VIEW"}, BadRequest, "CAN_VIEW is not supported"),
        ({"group_name": "users"}, BadRequest, "is not supported"),
        ({"permission_level": "CAN_READ"}, BadRequest, "Principal name not defined"),
        ({"group_name": "users", "user_name": "dana@rehearsal.example"}, BadRequest, "Principal name not defined"),
    ],
)
def test_an_entry_that_means_nothing_is_refused_and_nothing_changes(
    workspace: Workspace, entry: dict[str, str], error: type[Exception], message: str
) -> None:
    folder = workspace.folder("/delivery")
    good = {"group_name": "users", "permission_level": "CAN_READ"}
    workspace.call("PUT", f"2.0/permissions/directories/{folder}", json={"access_control_list": [good]})
    with pytest.raises(error, match=message):
        workspace.sdk().api_client.do(
            "PUT", f"/api/2.0/permissions/directories/{folder}", body={"access_control_list": [good, entry]}
        )
    assert set(entries(workspace.sdk().permissions.get("directories", folder))) == {"admins", "users"}


def test_the_kind_in_the_address_must_be_that_of_the_object(workspace: Workspace) -> None:
    folder = workspace.folder("/delivery")
    api = workspace.sdk().permissions
    with pytest.raises(BadRequest, match="is not a notebook"):
        api.get("notebooks", folder)
    with pytest.raises(NotFound, match="Node ID 17 does not exist"):
        api.get("directories", "17")
    with pytest.raises(BadRequest, match="Unsupported object type"):
        api.get("clusters", folder)


def test_administrators_cannot_be_taken_from_the_root(workspace: Workspace) -> None:
    api = workspace.sdk().permissions
    with pytest.raises(BadRequest, match="Cannot remove admins's CAN_MANAGE permission on 0"):
        api.set(
            "directories", "0", access_control_list=[AccessControlRequest(group_name="users", permission_level=READ)]
        )
    api.update(
        "directories", "0", access_control_list=[AccessControlRequest(group_name="users", permission_level=READ)]
    )
    assert set(entries(api.get("directories", "0"))) == {"admins", "users"}


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("directories", {"CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"}),
        ("jobs", {"CAN_VIEW", "CAN_MANAGE_RUN", "IS_OWNER", "CAN_MANAGE"}),
    ],
)
def test_the_levels_of_each_kind_can_be_asked_for(workspace: Workspace, kind: str, levels: set[str]) -> None:
    number = make_job(workspace) if kind == "jobs" else workspace.folder("/delivery")
    found = workspace.sdk().permissions.get_permission_levels(kind, number).permission_levels or []
    assert {each.permission_level.value for each in found if each.permission_level} == levels


def test_whoever_makes_a_job_owns_it(workspace: Workspace) -> None:
    job = make_job(workspace, "dana")
    shown = entries(workspace.sdk("dana").permissions.get("jobs", job))
    assert shown == {
        "dana@rehearsal.example": [("IS_OWNER", False, None)],
        "admins": [("CAN_MANAGE", True, ["/jobs/"])],
    }


def test_a_job_has_exactly_one_owner_who_is_no_group(workspace: Workspace) -> None:
    job = make_job(workspace)
    api = workspace.sdk().permissions
    view = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_VIEW)
    owners = [
        AccessControlRequest(user_name=f"{name}@rehearsal.example", permission_level=PermissionLevel.IS_OWNER)
        for name in ("dana", "devin")
    ]
    for wrong in ([view], [view, *owners]):
        with pytest.raises(BadRequest, match="exactly one owner"):
            api.set("jobs", job, access_control_list=wrong)
    group = AccessControlRequest(group_name="users", permission_level=PermissionLevel.IS_OWNER)
    with pytest.raises(BadRequest, match="Groups can not be owners"):
        api.set("jobs", job, access_control_list=[group])
    assert set(entries(api.set("jobs", job, access_control_list=[view, owners[0]]))) == {
        "users",
        "dana@rehearsal.example",
        "admins",
    }


def test_the_owner_may_be_a_service_principal_named_like_a_user(workspace: Workspace) -> None:
    # The provider adds the caller's userName as the owner, and a service principal's is its application id.
    job = make_job(workspace, "deployer-test")
    sdk = workspace.sdk("deployer-test")
    name = sdk.current_user.me().user_name
    owner = AccessControlRequest(user_name=name, permission_level=PermissionLevel.IS_OWNER)
    permissions = sdk.permissions.set("jobs", job, access_control_list=[owner])
    assert [entry.service_principal_name for entry in permissions.access_control_list or []] == [name, None]


def test_only_administrators_give_a_job_away(workspace: Workspace) -> None:
    job = make_job(workspace, "dana")
    owner = AccessControlRequest(user_name="devin@rehearsal.example", permission_level=PermissionLevel.IS_OWNER)
    with pytest.raises(PermissionDenied, match="Only an administrator"):
        workspace.sdk("dana").permissions.set("jobs", job, access_control_list=[owner])
    workspace.sdk().permissions.update("jobs", job, access_control_list=[owner])
    assert "dana@rehearsal.example" not in entries(workspace.sdk().permissions.get("jobs", job))


def test_the_access_list_of_a_job_takes_manage(workspace: Workspace) -> None:
    job = make_job(workspace)
    with pytest.raises(PermissionDenied, match=rf"Manage permissions on Job with ID: ElasticJobId\({job}\)"):
        workspace.sdk("dana").permissions.get("jobs", job)


def test_entries_follow_a_renamed_group_and_go_with_a_deleted_one(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    group = sdk.groups.create(display_name="made")
    folder = workspace.folder("/delivery")
    made = AccessControlRequest(group_name="made", permission_level=READ)
    sdk.permissions.set("directories", folder, access_control_list=[made])
    assert group.id
    sdk.groups.update(group.id, display_name="renamed")
    assert set(entries(sdk.permissions.get("directories", folder))) == {"admins", "renamed"}
    sdk.groups.delete(group.id)
    assert set(entries(sdk.permissions.get("directories", folder))) == {"admins"}
    sdk.groups.create(display_name="renamed")
    assert set(entries(sdk.permissions.get("directories", folder))) == {"admins"}


def test_a_job_outlives_its_owner(workspace: Workspace) -> None:
    job = make_job(workspace, "dana")
    me = workspace.sdk("dana").current_user.me()
    assert me.id
    workspace.sdk().users.delete(me.id)
    assert workspace.sdk().jobs.get(int(job)).creator_user_name == "dana@rehearsal.example"
    assert set(entries(workspace.sdk().permissions.get("jobs", job))) == {"admins"}
