"""Users, groups and service principals."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.iam import ComplexValue, Patch, PatchOp, PatchSchema

from tests.rehearsal.databricks.clients import Workspace

PATCH = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
GROUPS = "2.0/preview/scim/v2/Groups"


def members(workspace: Workspace, group_id: str) -> set[str | None]:
    return {member.display for member in workspace.sdk().groups.get(group_id).members or []}


def test_the_groups_of_the_first_day_are_there(workspace: Workspace) -> None:
    groups = {group.display_name: group for group in workspace.sdk().groups.list()}
    assert set(groups) == {"admins", "users", "data-engineers", "data-analysts"}
    assert {member.display for member in groups["data-engineers"].members or []} == {"Dana", "Devin"}
    everybody = {member.display for member in groups["users"].members or []}
    assert {"Administrator", "Dana", "deployer-test", "Nobody"} <= everybody


def test_a_user_is_made_changed_and_deleted(workspace: Workspace) -> None:
    api = workspace.sdk().users
    made = api.create(user_name="new@rehearsal.example", display_name="New", active=True)
    assert made.id
    assert [email.value for email in made.emails or []] == ["new@rehearsal.example"]
    assert workspace.object_id("/Users/new@rehearsal.example")
    api.update(made.id, user_name="new@rehearsal.example", display_name="Newer", active=False)
    read = api.get(made.id)
    assert (read.display_name, read.active) == ("Newer", False)
    api.delete(made.id)
    with pytest.raises(NotFound):
        api.get(made.id)
    with pytest.raises(NotFound):
        workspace.object_id("/Users/new@rehearsal.example")


def test_a_home_with_something_in_it_stays(workspace: Workspace) -> None:
    made = workspace.sdk().users.create(user_name="new@rehearsal.example")
    workspace.notebook("/Users/new@rehearsal.example/a")
    assert made.id
    workspace.sdk().users.delete(made.id)
    assert workspace.object_id("/Users/new@rehearsal.example/a")


def test_names_are_given_once(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    with pytest.raises(DatabricksError, match=r"User with username Dana@rehearsal\.example already exists\."):
        sdk.users.create(user_name="Dana@rehearsal.example")
    answer = workspace.call("POST", GROUPS, json={"displayName": "admins"})
    assert answer.status_code == 409
    assert answer.json() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "detail": "Group with name admins already exists.",
        "status": "409",
        "scimType": "uniqueness",
    }


def test_a_service_principal_gets_an_application_id(workspace: Workspace) -> None:
    api = workspace.sdk().service_principals
    made = api.create(display_name="made", active=True)
    assert made.id
    assert made.application_id
    [found] = api.list(filter='displayName eq "made"')
    assert (found.id, found.application_id) == (made.id, made.application_id)
    # The provider doesn't ask for it and relies on getting it.
    query = {"attributes": "userName,displayName,active,externalId,entitlements"}
    read = workspace.call("GET", f"2.0/preview/scim/v2/ServicePrincipals/{made.id}", params=query).json()
    assert read["applicationId"] == made.application_id
    api.delete(made.id)


def test_members_are_added_and_removed_by_patch(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    group = sdk.groups.create(display_name="made")
    user = sdk.users.create(user_name="new@rehearsal.example", display_name="New")
    assert group.id
    assert user.id
    value = [ComplexValue(value=user.id).as_dict()]
    for _ in range(2):
        sdk.groups.patch(group.id, operations=[Patch(op=PatchOp.ADD, path="members", value=value)], schemas=PATCH)
    assert members(workspace, group.id) == {"New"}
    assert [each.display for each in sdk.users.get(user.id).groups or []] == ["made", "users"]
    gone = Patch(op=PatchOp.REMOVE, path=f'members[value eq "{user.id}"]')
    sdk.groups.patch(group.id, operations=[gone], schemas=PATCH)
    assert members(workspace, group.id) == set()
    whole = Patch(op=PatchOp.REPLACE, value={"members": value, "displayName": "renamed"})
    sdk.groups.patch(group.id, operations=[whole], schemas=PATCH)
    assert members(workspace, group.id) == {"New"}
    sdk.users.delete(user.id)
    assert members(workspace, group.id) == set()


def test_a_member_of_a_member_is_in_the_group_indirectly(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    [admins] = sdk.groups.list(filter='displayName eq "admins"')
    [engineers] = sdk.groups.list(filter='displayName eq "data-engineers"')
    assert admins.id
    inner = [ComplexValue(value=engineers.id).as_dict()]
    sdk.groups.patch(admins.id, operations=[Patch(op=PatchOp.ADD, path="members", value=inner)], schemas=PATCH)
    shown = {group.display: group.type for group in workspace.sdk("dana").current_user.me().groups or []}
    assert shown == {"data-engineers": "direct", "admins": "indirect", "users": "direct"}
    workspace.sdk("dana").workspace.mkdirs("/made-by-dana")


def test_entitlements_come_and_go(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    group = sdk.groups.create(display_name="made", entitlements=[ComplexValue(value="workspace-access")])
    assert group.id
    assert [each.value for each in group.entitlements or []] == ["workspace-access"]
    gone = Patch(op=PatchOp.REMOVE, path='entitlements[value eq "workspace-access"]')
    sdk.groups.patch(group.id, operations=[gone], schemas=PATCH)
    assert not sdk.groups.get(group.id).entitlements


def test_an_empty_entitlement_is_never_echoed(workspace: Workspace) -> None:
    made = workspace.call("POST", GROUPS, json={"displayName": "made", "entitlements": [{}]}).json()
    assert made["entitlements"] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "DANA@rehearsal.example"', {"Dana"}),
        ('displayName sw "d" and userName co "devin"', {"Devin"}),
        ('displayName eq "Dana" or displayName eq "Nobody"', {"Dana", "Nobody"}),
        ('emails.value eq "dana@rehearsal.example"', {"Dana"}),
        ('displayName ne "Dana" and displayName sw "D"', {"Devin"}),
        ('groups.display eq "admins"', {"Administrator"}),
        ("active eq false", set()),
        ('displayName eq "da\\"na"', set()),
    ],
)
def test_filters(workspace: Workspace, text: str, found: set[str]) -> None:
    assert {user.display_name for user in workspace.sdk().users.list(filter=text)} == found


@pytest.mark.parametrize("text", ["displayName", 'displayName gt "a"', 'displayName eq "a" xor id eq "1"', "("])
def test_a_filter_that_is_none_is_refused(workspace: Workspace, text: str) -> None:
    answer = workspace.call("GET", GROUPS, params={"filter": text})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_pages_and_order(workspace: Workspace) -> None:
    query: dict[str, str | int] = {"startIndex": 2, "count": 2, "sortBy": "displayName", "sortOrder": "descending"}
    page = workspace.call("GET", GROUPS, params=query).json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (4, 2, 2)
    assert [group["displayName"] for group in page["Resources"]] == ["data-engineers", "data-analysts"]


def test_attributes_are_chosen(workspace: Workspace) -> None:
    chosen = workspace.call("GET", GROUPS, params={"attributes": "displayName,entitlements.value"}).json()
    assert set(chosen["Resources"][0]) == {"schemas", "id", "displayName", "entitlements"}
    left = workspace.call("GET", GROUPS, params={"excludedAttributes": "members"}).json()
    assert "members" not in left["Resources"][0]
    assert "displayName" in left["Resources"][0]


def test_the_built_in_groups_stay_as_they_are(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    for name in ("admins", "users"):
        [group] = sdk.groups.list(filter=f'displayName eq "{name}"')
        assert group.id
        with pytest.raises(PermissionDenied, match="cannot be deleted"):
            sdk.groups.delete(group.id)
        with pytest.raises(PermissionDenied, match="cannot be renamed"):
            sdk.groups.update(group.id, display_name="other")


def test_an_unknown_member_is_refused(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="Principal with id 17 not found"):
        workspace.sdk().groups.create(display_name="made", members=[ComplexValue(value="17")])


@pytest.mark.parametrize("user", ["dana", "deployer-production", "nobody"])
def test_only_administrators_write(workspace: Workspace, user: str) -> None:
    sdk = workspace.sdk(user)
    with pytest.raises(PermissionDenied):
        sdk.groups.create(display_name="made")
    [group] = sdk.groups.list(filter='displayName eq "data-engineers"')
    assert group.id
    with pytest.raises(PermissionDenied):
        sdk.groups.delete(group.id)


def test_a_user_name_is_a_mail_address_and_stays(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    with pytest.raises(BadRequest, match="valid email"):
        sdk.users.create(user_name="no address")
    me = workspace.sdk("dana").current_user.me()
    assert me.id
    with pytest.raises(BadRequest, match="userName cannot be changed"):
        sdk.users.update(me.id, user_name="other@rehearsal.example")


def test_the_second_version_of_the_api_is_the_same_wire(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    made = sdk.users_v2.create(user_name="new@rehearsal.example")
    assert {user.user_name for user in sdk.users_v2.list(filter='userName sw "new"')} == {"new@rehearsal.example"}
    assert made.id
    sdk.users_v2.delete(made.id)
    assert sdk.groups_v2.create(display_name="made").id
    assert sdk.service_principals_v2.create(display_name="made").application_id
