"""The workspace in the browser: its tree, notebooks, jobs with their runs, and the releases that it records."""

import base64
import json
from typing import Any

import pytest

from tests.pages.conftest import SignIn
from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace

RIDES = b"# Databricks notebook source\n# MAGIC %md\n# MAGIC # Rides\n\n# COMMAND ----------\n\nprint('rides')\n"


def _put(workspace: Workspace, path: str, content: bytes) -> None:
    body = {"path": path, "format": "RAW", "overwrite": True, "content": base64.b64encode(content).decode()}
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 200


def _folder(workspace: Workspace, path: str, level: str | None = None, user: str = "dana@rehearsal.example") -> None:
    workspace.call("POST", "2.0/workspace/mkdirs", json={"path": path})
    if level:
        status = workspace.call("GET", "2.0/workspace/get-status", params={"path": path}).json()
        acl = {"access_control_list": [{"user_name": user, "permission_level": level}]}
        where = f"2.0/permissions/directories/{status['object_id']}"
        assert workspace.call("PUT", where, json=acl).status_code == 200


def _notebook(workspace: Workspace, path: str, content: bytes = RIDES) -> None:
    body = {"path": path, "format": "SOURCE", "language": "PYTHON", "overwrite": True}
    body["content"] = base64.b64encode(content).decode()
    assert workspace.call("POST", "2.0/workspace/import", json=body).status_code == 200


def _exported(workspace: Workspace, path: str) -> bytes:
    answer = workspace.call("GET", "2.0/workspace/export", params={"path": path, "direct_download": "true"})
    return answer.content


def test_the_tree_leads_to_a_notebook_that_is_shown_by_its_cells(workspace: Workspace, at_databricks: SignIn) -> None:
    _folder(workspace, "/bikes/daily", "CAN_MANAGE")
    _notebook(workspace, "/bikes/daily/rides")
    dana = at_databricks("Dana")
    dana.open("/")
    assert dana.page.url.endswith("/browse/")
    assert "bikes/" not in dana.text()  # she may manage what is in it, and not see the folder above
    dana.open("/browse/bikes/daily")
    dana.follow("rides")
    assert dana.page.locator("section.cell h1").inner_text() == "Rides"
    assert dana.page.locator("section.cell pre").inner_text().strip() == "print('rides')"
    assert "Dana\nCAN_MANAGE, inherited" in dana.page.locator("aside").inner_text()


def test_who_may_not_read_a_folder_is_told_so(workspace: Workspace, at_databricks: SignIn) -> None:
    _folder(workspace, "/bikes")
    _notebook(workspace, "/bikes/rides")
    devin = at_databricks("Devin")
    assert devin.open("/browse/bikes/rides").status == 403
    assert "does not have View permissions" in devin.refusal
    assert "print" not in devin.text()


def test_a_notebook_is_edited_by_hand_by_who_may(workspace: Workspace, at_databricks: SignIn) -> None:
    _folder(workspace, "/bikes", "CAN_MANAGE")
    _notebook(workspace, "/bikes/rides")
    dana = at_databricks("Dana")
    dana.open("/browse/bikes/rides")
    dana.follow("Edit")
    text = dana.page.get_by_label("Content")
    assert text.input_value() == RIDES.decode()
    text.fill(RIDES.decode() + "\n# edited <by hand>\n")
    dana.press("Save")
    assert "Saved." in dana.text()
    assert "# edited <by hand>" in dana.text()
    assert _exported(workspace, "/bikes/rides") == RIDES + b"\n# edited <by hand>\n"


def test_an_edit_without_the_right_is_refused_and_what_was_typed_stays(
    workspace: Workspace, at_databricks: SignIn
) -> None:
    _folder(workspace, "/bikes", "CAN_READ")
    _notebook(workspace, "/bikes/rides")
    dana = at_databricks("Dana")
    dana.open("/browse/bikes/rides?edit=1")
    dana.page.get_by_label("Content").fill("# mine")
    dana.press("Save")
    assert "dana@rehearsal.example does not have Edit permissions on /bikes/rides" in dana.refusal
    assert dana.page.get_by_label("Content").input_value() == "# mine"
    assert _exported(workspace, "/bikes/rides") == RIDES


def test_a_job_is_started_and_its_run_opens(workspace: Workspace, at_databricks: SignIn) -> None:
    job_id = jobs.graph(workspace, {"ride": ""}, {}, name="nightly <b>rides</b>")
    admin = at_databricks("Administrator")
    admin.open("/jobs")
    admin.follow("nightly <b>rides</b>")
    admin.press("Run now")
    assert "has been started" in admin.text()
    run_id = workspace.call("GET", f"2.2/jobs/runs/list?job_id={job_id}").json()["runs"][0]["run_id"]
    jobs.finished(workspace, run_id)
    admin.open(f"/jobs/{job_id}")
    assert "Succeeded" in admin.page.locator("tbody").last.inner_text()
    admin.follow(str(run_id))
    assert "SUCCESS" in admin.page.locator("h1").inner_text()
    admin.follow("Job")
    assert admin.page.url.endswith(f"/jobs/{job_id}")


RELEASE: dict[str, Any] = {
    "version": "1.4.0",
    "content": "sha256:aaaa",
    "digest": "sha256:bbbb",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "branch": "refs/heads/main",
    "build": {"id": 7, "number": "20261124.3"},
    "approvers": ["Avery Approver"],
    "deployed_at": "2026-11-24T01:00:00Z",
    "run": {"id": 9, "number": "20261124.1"},
    "by": "deployer-production",
}


def _record(workspace: Workspace, folder: str, record: Any) -> None:
    _folder(workspace, f"{folder}/.release")
    content = record if isinstance(record, bytes) else json.dumps(record).encode()
    _put(workspace, f"{folder}/.release/record.json", content)


def test_the_releases_of_both_environments_stand_side_by_side(workspace: Workspace, at_databricks: SignIn) -> None:
    newer = RELEASE | {"version": "1.5.0", "content": "sha256:cccc", "approvers": []}
    shape = {"format": 1, "state": "deployed", "attempt": None, "history": []}
    earlier = RELEASE | {"version": "1.3.0"}
    _record(workspace, "/bikes-production", shape | {"current": RELEASE, "history": [RELEASE, earlier]})
    _record(workspace, "/bikes-test", shape | {"current": newer})
    admin = at_databricks("Administrator")
    admin.open("/status")
    panels = admin.page.locator("section.panel").all()
    assert [panel.locator("h2").inner_text() for panel in panels] == ["/bikes-test", "/bikes-production"]
    production = panels[1].inner_text()
    for words in ("1.4.0", "20261124.3", "Avery Approver", RELEASE["commit"], "Deployed"):
        assert words in production
    assert "1 earlier" in production
    assert "The environments have different releases." in admin.text()
    _record(workspace, "/bikes-test", shape | {"current": RELEASE})
    admin.open("/status")
    assert "All environments have the same release." in admin.text()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"format": 1, "state": "deploying", "current": None, "attempt": RELEASE, "history": []}, "Being deployed"),
        ({"format": 1, "state": "failed", "current": None, "attempt": RELEASE, "history": []}, "Tried"),
        ({"format": 1, "state": "failed", "current": None, "attempt": RELEASE | {"error": "no <place>"}}, "no <place>"),
        (b"{", "Unreadable"),
        (b"[]", "Unreadable"),
    ],
)
def test_a_record_that_tells_of_no_finished_release_is_shown_as_what_it_is(
    workspace: Workspace, at_databricks: SignIn, record: Any, words: str
) -> None:
    _record(workspace, "/bikes-test", record)
    admin = at_databricks("Administrator")
    assert admin.open("/status").status == 200
    assert words in admin.text()
    assert "No release is recorded." in admin.text()


def test_a_link_to_a_run_opens_after_the_sign_in_for_those_who_may_see_it(
    workspace: Workspace, at_databricks: SignIn
) -> None:
    job_id = jobs.graph(workspace, {"ride": ""}, {}, name="nightly")
    run = jobs.run(workspace, job_id)
    page = f"/jobs/{job_id}/runs/{run.run_id}"
    dana = at_databricks("Dana")
    assert dana.open(page).status == 404
    dana.page.context.clear_cookies()
    dana.open(page)
    dana.page.get_by_role("button", name="Administrator").click()
    assert dana.page.url == str(run.run_page_url)
    assert "nightly" in dana.page.locator("h1").inner_text()
    dana.follow("notebook")
    assert dana.page.title() == "/Shared/ride"


@pytest.mark.parametrize("path", ["/browse/", "/browse/bikes/rides", "/browse/bikes/rides?edit=1", "/jobs", "/status"])
def test_no_page_of_the_workspace_is_wider_than_a_phone(workspace: Workspace, at_databricks: SignIn, path: str) -> None:
    _folder(workspace, "/bikes")
    _notebook(workspace, "/bikes/rides", RIDES + b"# " + b"long " * 80)
    _record(workspace, "/bikes", {"format": 1, "state": "deployed", "current": RELEASE, "history": [RELEASE]})
    jobs.graph(workspace, {"ride": ""}, {}, name="nightly " * 8)
    admin = at_databricks("Administrator", viewport={"width": 360, "height": 740})
    assert admin.open(path).ok
    assert admin.width == 360
