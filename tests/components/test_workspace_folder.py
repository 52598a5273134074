"""The components `WorkspaceFolder` and `FolderPermissions`: the folder and its authoritative permissions."""

import pulumi
import pytest

from components.folder_permissions import FolderPermissions, FolderPermissionsArgs
from components.settings_model import Access, Principal
from components.workspace_folder import WorkspaceFolder, WorkspaceFolderArgs
from tests.components.conftest import Program
from tests.components.recording import Recording, Resource

ACCESS = (
    Access(principal=Principal(kind="group", name="data-engineers"), level="CAN_MANAGE"),
    Access(principal=Principal(kind="user", name="ann@example.com"), level="CAN_RUN"),
    Access(principal=Principal(kind="service_principal", name="0000-1111"), level="CAN_EDIT"),
)


def made(program: Program, *, access: tuple[Access, ...] = ACCESS, protect: bool = False) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        folder = WorkspaceFolder("folder", WorkspaceFolderArgs(folder="/bikes", protect=protect), opts)
        args = FolderPermissionsArgs(path=folder.path, access=access, protect=protect, after=[folder])
        FolderPermissions("permissions", args, opts)
        pulumi.export("path", folder.path)

    return program.part(make)


def folder(recorded: Recording) -> Resource:
    return next(each for each in recorded.all("Directory") if each.name == "folder-directory")


def test_the_folder_stands_at_its_path(program: Program) -> None:
    recorded = made(program)

    assert folder(recorded).inputs["path"] == "/bikes"
    assert recorded.exports["path"] == "/bikes"


def test_each_kind_of_principal_gets_its_level_in_one_authoritative_list(program: Program) -> None:
    recorded = made(program)

    permissions = recorded.one("Permissions")
    assert permissions.inputs == {
        "directoryPath": "/bikes",
        "accessControls": [
            {"groupName": "data-engineers", "permissionLevel": "CAN_MANAGE"},
            {"userName": "ann@example.com", "permissionLevel": "CAN_RUN"},
            {"servicePrincipalName": "0000-1111", "permissionLevel": "CAN_EDIT"},
        ],
    }
    assert folder(recorded).urn in permissions.dependencies


def test_without_access_in_the_settings_the_permissions_are_left_alone(program: Program) -> None:
    assert set(made(program, access=()).kinds()) == {"Directory"}


@pytest.mark.parametrize("protect", [True, False])
def test_a_protected_folder_is_neither_deleted_nor_emptied(program: Program, protect: bool) -> None:
    recorded = made(program, protect=protect)

    assert folder(recorded).protect is protect
    assert recorded.one("Permissions").protect is protect
    assert folder(recorded).inputs["deleteRecursive"] is not protect


@pytest.mark.parametrize("protect", [True, False])
def test_the_record_of_what_was_deployed_is_in_the_folder_and_goes_with_it(program: Program, protect: bool) -> None:
    recorded = made(program, protect=protect)

    record = next(each for each in recorded.all("Directory") if each.name == "folder-record")
    assert record.inputs == {"path": "/bikes/.release", "deleteRecursive": True}
    assert folder(recorded).urn in record.dependencies
    assert record.protect is protect
