"""What runs tell of themselves, and what jobs may say about them."""

import time
from pathlib import Path

import httpx

from rehearsal.agent.messages import JobRequest
from rehearsal.azuredevops import build, runs
from rehearsal.azuredevops.context import Service, fixed_id
from rehearsal.azuredevops.users import ADMINISTRATOR, DANA, DEVIN
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until

pytestmark = SOCKETS_LEFT_OPEN

ONE_JOB = "trigger: none\njobs: [{job: one, steps: [{script: echo}]}]\n"


def test_the_build_of_a_pull_request_knows_it(pipelines: Pipelines, state: Path) -> None:
    definition = pipelines.define("build", ONE_JOB)
    source = pipelines.push({"a": "1"}, branch="feature")
    service = Service(state, CREDENTIALS, orchestrated=True)
    project, user = (
        service.store.get("project", pipelines.project.id),
        service.store.get("identity", fixed_id("user", DANA)),
    )
    assert project is not None
    assert user is not None
    request = {"id": 7, "sourceBranch": "refs/heads/feature", "targetBranch": "refs/heads/main", "sourceCommit": source}
    asked = runs.Request(
        reason="pullRequest", user=user, branch="refs/pull/7/merge", commit=source, pull_request=request
    )
    run = runs.queue(service, project, definition, asked)
    service.store.close()
    agent = pipelines.agent()
    job = agent.next()
    expected = {
        "Build.Reason": "PullRequest",
        "Build.SourceBranch": "refs/pull/7/merge",
        "Build.SourceBranchName": "merge",
        "Build.SourceVersion": source,
        "Build.RequestedFor": "Dana Developer",
        "System.PullRequest.PullRequestId": "7",
        "System.PullRequest.SourceBranch": "refs/heads/feature",
        "System.PullRequest.TargetBranch": "refs/heads/main",
        "System.PullRequest.SourceCommitId": source,
        "System.PullRequest.SourceRepositoryURI": job.repositories["self"].url,
    }
    assert {name: job.predefined.get(name) for name in expected} == expected
    agent.finish(job)
    pipelines.ended(run["id"])
    shown = pipelines.build.get_build(pipelines.project.id, run["id"])
    assert (shown.reason, shown.trigger_info["pr.number"], shown.requested_for.display_name) == (
        "pullRequest", "7", "Dana Developer",
    )  # fmt: skip


def test_a_counter_counts_runs_and_is_the_same_in_all_of_a_run(pipelines: Pipelines) -> None:
    yaml = """
trigger: none
name: v$(count)
variables:
  count: $[ counter('x', 5) ]
jobs:
  - {job: one, steps: [{script: echo}]}
  - {job: two, steps: [{script: echo}]}
"""
    definition = pipelines.define("counted", yaml)
    agent = pipelines.agent()
    for expected in ("5", "6"):
        run = pipelines.run(definition)
        jobs = agent.work("one", "two")
        assert [{each.name: each.value for each in job.variables}["count"] for job in jobs] == [expected] * 2
        assert pipelines.ended(run)["buildNumber"] == f"v{expected}"


def test_a_variable_group_is_read_when_a_job_begins_and_its_secrets_are_marked(pipelines: Pipelines) -> None:
    def group(value: str) -> dict[str, object]:
        return {
            "name": "settings",
            "type": "Vsts",
            "variables": {"host": {"value": value}, "token": {"value": "hush!", "isSecret": True}},
            "variableGroupProjectReferences": [
                {"name": "settings", "projectReference": {"id": pipelines.project.id, "name": pipelines.project.name}}
            ],
        }

    http = pipelines.organization.http()
    made = http.post("/_apis/distributedtask/variablegroups", json=group("old")).json()
    definition = pipelines.define("grouped", ONE_JOB.replace("jobs:", "variables: [{group: settings}]\njobs:"))
    run = pipelines.run(definition)
    until(lambda: pipelines.records(run, "Checkpoint.Authorization"), "the question for permission")
    http.put(f"/_apis/distributedtask/variablegroups/{made['id']}", json=group("new")).raise_for_status()
    pipelines.permit("variablegroup", made["id"], definition)
    agent = pipelines.agent()
    job = agent.next()
    assert {each.name: (each.value, each.secret) for each in job.variables} == {
        "host": ("new", False), "token": ("hush!", True),
    }  # fmt: skip
    assert job.secrets == {"token": "hush!"}
    assert "hush!" not in repr(job)
    agent.finish(job)
    pipelines.ended(run)
    assert "hush!" not in pipelines.http().get(f"build/builds/{run}").text


def _as_job(pipelines: Pipelines, job: JobRequest, method: str, path: str, body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {job.token}", "Accept": "application/json;api-version=7.1"}
    url = f"{pipelines.organization.url}/{pipelines.project.id}/_apis/{path}"
    return httpx.request(method, url, headers=headers, json=body)


def test_a_job_gives_its_run_another_number(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("build", ONE_JOB))
    agent = pipelines.agent()
    job = agent.next()
    answer = _as_job(pipelines, job, "PATCH", f"build/builds/{run}", {"buildNumber": "1.2.3"})
    assert answer.status_code == 200, answer.text
    agent.finish(job)
    assert pipelines.ended(run)["buildNumber"] == "1.2.3"


def test_attachments_are_found_by_their_type(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("build", ONE_JOB))
    agent = pipelines.agent()
    job = agent.next()
    agent.http.post(f"/jobs/{job.id}/attachments/summary/a.md", content=b"# Hello").raise_for_status()
    (shown,) = pipelines.build.get_attachments(pipelines.project.id, run, "summary")
    content = pipelines.http().get(shown._links.additional_properties["self"]["href"]).content
    assert (shown.name, content) == ("a.md", b"# Hello")
    agent.finish(job)


def test_an_artifact_of_a_job_belongs_to_its_run(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("build", ONE_JOB))
    agent = pipelines.agent()
    job = agent.next()
    empty_zip = b"PK\x05\x06" + bytes(18)
    agent.http.put(f"/jobs/{job.id}/artifacts/drop", content=empty_zip).raise_for_status()
    assert agent.http.put(f"/jobs/{job.id}/artifacts/drop", content=empty_zip).status_code == 409
    (artifact,) = pipelines.build.get_artifacts(pipelines.project.id, run)
    assert (artifact.name, artifact.source) == ("drop", job.id)
    agent.finish(job)


def test_a_job_that_takes_too_long_is_cancelled(pipelines: Pipelines, state: Path) -> None:
    definition = pipelines.define("build", ONE_JOB.replace("job: one,", "job: one, timeoutInMinutes: 1,"))
    run = pipelines.run(definition)
    agent = pipelines.agent()
    job = agent.next()
    agent.call(job, "heartbeat")
    service = Service(state, CREDENTIALS)
    with service.store.transaction():
        place = build.key(pipelines.project.id, run)
        graph = service.store.get("run-graph", place)
        assert graph is not None
        graph["stages"][0]["jobs"][0]["legs"][0]["since"] = time.time() - 61
        service.store.put("run-graph", place, graph)
    service.store.close()
    until(lambda: agent.call(job, "heartbeat")["cancel"], "the agent being told")
    agent.finish(job, "Canceled")
    assert pipelines.result(run) == "canceled"
    record = pipelines.records(run, "Job")["one"]
    assert "ran longer than the maximum time of 1 minutes" in record["issues"][0]["message"]


def test_changes_are_the_commits_since_the_last_run_that_went_well(pipelines: Pipelines) -> None:
    definition = pipelines.define("build", ONE_JOB)
    first = pipelines.run(definition)
    pipelines.agent().work("one")
    pipelines.ended(first)
    made = [pipelines.push({"a": str(number)}, message=f"change {number}") for number in range(2)]
    second = pipelines.run(definition)
    pipelines.agent().work("one")
    found = pipelines.build.get_build_changes(pipelines.project.id, second)
    assert [(each.id, each.message) for each in found] == [(made[1], "change 1"), (made[0], "change 0")]


def test_runs_are_found_by_what_they_are(pipelines: Pipelines) -> None:
    one, two = pipelines.define("one", ONE_JOB), pipelines.define("two", ONE_JOB)
    agent = pipelines.agent()
    done, failed, open_ = (pipelines.run(each) for each in (one, one, two))
    agent.work("one")
    agent.work("one", result="Failed")
    pipelines.ended(failed)

    def found(**given: object) -> list[int]:
        return [each.id for each in pipelines.build.get_builds(pipelines.project.id, **given)]

    assert found() == [open_, failed, done]
    assert found(definitions=[one], result_filter="failed") == [failed]
    assert found(status_filter="inProgress,notStarted") == [open_]
    assert found(branch_name="refs/heads/other") == []
    assert found(top=1, query_order="queueTimeAscending") == [done]
    first = pipelines.http().get("build/builds", params={"$top": 2})
    token = first.headers["x-ms-continuationtoken"]
    second = pipelines.http().get("build/builds", params={"$top": 2, "continuationToken": token})
    pages = [[each["id"] for each in page.json()["value"]] for page in (first, second)]
    assert (pages, "x-ms-continuationtoken" in second.headers) == ([[open_, failed], [done]], False)
    person = pipelines.http(DEVIN).get(f"build/builds/{done}").json()["requestedFor"]["id"]
    assert person == fixed_id("user", ADMINISTRATOR)
    listed = pipelines.organization.clients().get_pipelines_client().list_runs(pipelines.project.id, one)
    assert [(each.id, each.result) for each in listed] == [(failed, "failed"), (done, "succeeded")]
