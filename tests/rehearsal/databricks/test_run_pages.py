"""The pages of runs."""

import pytest
from httpx import BasicAuth

from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import CREDENTIALS, Workspace


def test_a_run_has_a_page_with_its_tasks_and_their_notebooks(workspace: Workspace) -> None:
    edges = {"after": {"after": ["broken"], "parameters": {"x": "<i>1</i>"}}}
    job_id = jobs.graph(
        workspace, {"broken": "fail <script>alert(1)</script>", "after": ""}, edges, name="<u>nightly</u>"
    )
    run = jobs.run(workspace, job_id)
    auth = BasicAuth("admin@rehearsal.example", CREDENTIALS["administrator"])
    assert run.run_page_url == f"{workspace.url}/jobs/{job_id}/runs/{run.run_id}"
    path = run.run_page_url.removeprefix(workspace.url)
    page = workspace.plain("GET", path, auth=auth)
    assert page.status_code == 200
    for words in ("broken", "after", "UPSTREAM_FAILED", "&lt;u&gt;nightly", "&lt;script&gt;alert(1)"):
        assert words in page.text
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    task_run_id = jobs.attempt_of(run, "broken").run_id
    link = f"{path}/tasks/{task_run_id}/page.html"
    assert f'href="{link}"' in page.text
    notebook = workspace.plain("GET", link, auth=auth)
    assert (notebook.status_code, notebook.headers["Content-Security-Policy"]) == (200, policy)
    assert "<title>/Shared/broken</title>" in notebook.text
    assert workspace.plain("GET", f"{path}/tasks/{task_run_id}/task.json", auth=auth).status_code == 404


def test_a_page_is_for_those_who_may_see_the_run(workspace: Workspace) -> None:
    run = jobs.run(workspace, jobs.graph(workspace, {"a": ""}, {}))
    path = f"/jobs/{run.job_id}/runs/{run.run_id}"
    anonymous = workspace.plain("GET", path)
    assert anonymous.status_code == 401
    assert anonymous.headers["WWW-Authenticate"].startswith("Basic realm=")
    for user, token in (
        ("administrator", "wrong"),
        ("dana", CREDENTIALS["administrator"]),
        ("expired", CREDENTIALS["expired"]),
    ):
        assert workspace.plain("GET", path, auth=BasicAuth(user, token)).status_code == 401
    dana = BasicAuth("dana@rehearsal.example", CREDENTIALS["dana"])
    assert workspace.plain("GET", path, auth=dana).status_code == 404
    assert workspace.plain("GET", "/jobs/1/runs/1", auth=dana).status_code == 404
    assert (
        workspace.plain("GET", path, auth=BasicAuth("administrator", CREDENTIALS["administrator"])).status_code == 200
    )
    bearer = {"Authorization": f"Bearer {CREDENTIALS['administrator']}"}
    assert workspace.plain("GET", path, headers=bearer).status_code == 200


@pytest.mark.parametrize("authorization", ["Basic", "Basic !!!", "Basic YWJj", "Digest x"])
def test_a_header_that_is_none_is_asked_for_again(workspace: Workspace, authorization: str) -> None:
    answer = workspace.plain("GET", "/jobs/1/runs/1", headers={"Authorization": authorization})
    assert answer.status_code == 401
