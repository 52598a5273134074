"""Who gets in, and what the front end says."""

from pathlib import Path

import pytest
from databricks.sdk.errors import PermissionDenied, Unauthenticated

from rehearsal.databricks import create_app
from tests.rehearsal.databricks.clients import CREDENTIALS, Workspace

ME = "/api/2.0/preview/scim/v2/Me"


@pytest.mark.parametrize("user", [key for key in CREDENTIALS if key != "expired"])
def test_each_user_is_known_by_its_own_token(workspace: Workspace, user: str) -> None:
    me = workspace.sdk(user).current_user.me()
    assert me.user_name
    assert me.active
    shown = {group.display for group in me.groups or []}
    assert "users" in shown
    assert ("admins" in shown) == (user == "administrator")


def test_a_request_without_a_token_gets_401(workspace: Workspace) -> None:
    answer = workspace.plain("GET", ME)
    assert answer.status_code == 401
    assert answer.json()["message"].startswith("Credential was not sent or was of an unsupported type")


@pytest.mark.parametrize("header", ["Basic ZGFwaTo=", "Bearer", "dapi-administrator-7b21"])
def test_anything_but_a_bearer_token_gets_401(workspace: Workspace, header: str) -> None:
    assert workspace.plain("GET", ME, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize("token", ["wrong", CREDENTIALS["expired"], CREDENTIALS["dana"] + "x", "tökén"])
def test_a_wrong_or_expired_token_gets_403(workspace: Workspace, token: str) -> None:
    answer = workspace.plain("GET", ME, headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status_code == 403
    assert answer.json()["message"] == "Invalid access token."
    assert answer.json()["error_code"] == 403


def test_the_sdk_takes_a_refused_token_for_what_it_is(workspace: Workspace) -> None:
    with pytest.raises((PermissionDenied, Unauthenticated), match="Invalid access token"):
        workspace.sdk("expired").current_user.me()


def test_a_deactivated_user_gets_in_no_more(workspace: Workspace) -> None:
    me = workspace.sdk("nobody").current_user.me()
    assert me.id
    workspace.sdk().users.update(me.id, user_name=me.user_name, active=False)
    assert workspace.call("GET", "2.0/preview/scim/v2/Me", user="nobody").status_code == 403


def test_a_token_of_an_unknown_user_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such user: stranger; there are: administrator"):
        create_app(tmp_path, control_token="c", credentials={"stranger": "t"})


@pytest.mark.parametrize("path", ["2.0/preview/scim/v2/Me", "2.0/workspace/get-status?path=/missing", "2.0/nothing"])
def test_every_answer_names_the_workspace(workspace: Workspace, path: str) -> None:
    assert int(workspace.call("GET", path).headers["X-Databricks-Org-Id"]) == workspace.sdk().get_workspace_id()


def test_an_unknown_endpoint_is_refused_in_the_services_words(workspace: Workspace) -> None:
    for method, path in (("GET", "2.0/nothing"), ("DELETE", "2.0/workspace/list")):
        answer = workspace.call(method, path)
        assert answer.status_code == 404
        assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"
        assert answer.json()["message"] == f"No API found for '{method} /{path}'"


@pytest.mark.parametrize("body", ["{", "[]", "null", '"text"'])
def test_a_body_that_is_no_json_object_is_malformed(workspace: Workspace, body: str) -> None:
    answer = workspace.call("POST", "2.0/workspace/mkdirs", content=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "MALFORMED_REQUEST"


def test_the_host_says_what_it_is_without_a_token(workspace: Workspace) -> None:
    answer = workspace.plain("GET", "/.well-known/databricks-config").json()
    assert answer["workspace_id"] == str(workspace.sdk().get_workspace_id())
