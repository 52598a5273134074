"""Runs that don't end by themselves: cancelled ones, lost agents, killed services, stages that are tried again."""

import os
import signal
import time
from pathlib import Path

import httpx

from rehearsal.azuredevops.users import AGENT, BUILD_SERVICE, DANA
from tests.rehearsal.azuredevops.organization import CREDENTIALS, SOCKETS_LEFT_OPEN, git
from tests.rehearsal.azuredevops.runs.killable import pipelines_of, service
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until

pytestmark = SOCKETS_LEFT_OPEN

TWO_STAGES = """
trigger: none
stages:
  - stage: A
    jobs:
      - job: first
        steps: [{script: echo, name: set}]
      - job: second
        steps: [{script: echo}]
  - stage: B
    jobs:
      - job: third
        variables: {taken: "$[ stageDependencies.A.first.outputs['set.x'] ]"}
        steps: [{script: echo}]
  - stage: Always
    dependsOn: B
    condition: always()
    jobs: [{job: last, steps: [{script: echo}]}]
"""


def test_a_cancelled_run_stops_its_jobs_and_runs_what_runs_always(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    agent = pipelines.agent()
    job = agent.next()
    assert agent.call(job, "heartbeat") == {"cancel": False}
    pipelines.cancel(run)
    until(lambda: agent.call(job, "heartbeat")["cancel"], "the agent being told")
    assert pipelines.of(run)["status"] == "cancelling"
    agent.finish(job, "Canceled")
    agent.work("last")
    assert pipelines.result(run) == "canceled"
    assert pipelines.results(run) == {"A": "canceled", "B": "skipped", "Always": "succeeded"}
    assert pipelines.results(run, "Job")["second"] == "canceled"


def test_who_may_not_stop_builds_may_not_cancel(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    # The pipelines' own identity may start runs, and not stop them.
    answer = pipelines.http(BUILD_SERVICE).patch(f"build/builds/{run}", json={"status": "cancelling"})
    assert answer.status_code == 403
    assert "Stop builds" in answer.json()["message"]
    assert pipelines.of(run)["status"] != "cancelling"


def test_a_stage_is_tried_again_with_the_jobs_that_failed(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    agent = pipelines.agent()
    first = agent.next()
    agent.finish(first, outputs={"set.x": {"value": "kept"}})
    agent.work("second", result="Failed")
    agent.work("last")
    assert pipelines.result(run) == "failed"
    update = {"state": "retry", "forceRetryAllJobs": False}
    pipelines.build.update_stage(update, run, "A", pipelines.project.id)
    assert pipelines.of(run)["status"] == "inProgress"
    (again,) = agent.work("second")
    assert (again.attempt, again.predefined["System.StageAttempt"]) == (2, "2")
    third = agent.next()
    assert {each.name: each.value for each in third.variables} == {"taken": "kept"}
    agent.finish(third)
    agent.work("last")
    assert pipelines.result(run) == "succeeded"
    stage = pipelines.records(run, "Stage")["A"]
    assert stage["attempt"] == 2
    (before,) = stage["previousAttempts"]
    old = pipelines.http().get(f"build/builds/{run}/timeline/{before['timelineId']}").json()["records"]
    assert {each["name"]: each["result"] for each in old if each["type"] == "Job"} == {
        "first": "succeeded", "second": "failed",
    }  # fmt: skip
    refused = pipelines.http().patch(f"build/builds/{run}/stages/A", json=update)
    assert refused.status_code == 400


def test_all_jobs_of_a_stage_are_tried_again_when_that_is_asked_for(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    agent = pipelines.agent()
    agent.work("first", "second", result="Failed")
    agent.work("last")
    pipelines.ended(run)
    update = {"state": "retry", "forceRetryAllJobs": True}
    assert pipelines.http().patch(f"build/builds/{run}/stages/A", json=update).status_code == 204
    agent.work("first", "second", "third", "last")
    assert pipelines.result(run) == "succeeded"


def test_a_jobs_token_opens_what_the_build_identity_may_do_and_only_while_the_job_runs(
    pipelines: Pipelines, tmp_path: Path
) -> None:
    pipelines.run(pipelines.define("two", TWO_STAGES))
    agent = pipelines.agent()
    job = agent.next()

    def get(path: str) -> int:
        headers = {"Authorization": f"Bearer {job.token}"}
        url = f"{pipelines.organization.url}/{pipelines.project.id}/_apis/{path}"
        return httpx.get(url, headers=headers).status_code

    def clone(name: str) -> int:
        header = f"http.extraheader=AUTHORIZATION: bearer {job.token}"
        url = job.repositories["self"].url
        return git(tmp_path, "-c", header, "clone", "--quiet", url, name, check=False).returncode

    assert get("build/builds") == 200
    assert clone("one") == 0
    assert (tmp_path / "one" / "two.yml").exists()
    branch = ["push", "--quiet", "origin", "HEAD:refs/heads/mine"]
    push = git(tmp_path / "one", "-c", f"http.extraheader=AUTHORIZATION: bearer {job.token}", *branch, check=False)
    assert "TF401027" in push.stderr
    agent.finish(job)
    assert get("build/builds") == 401
    assert clone("two") != 0


def test_an_agents_token_is_good_for_its_protocol_alone_and_nobody_elses_for_it(pipelines: Pipelines) -> None:
    assert pipelines.http(AGENT).get("build/builds").status_code == 401
    for user in (DANA, "administrator"):
        headers = {"Authorization": f"Bearer {CREDENTIALS[user]}"}
        answer = httpx.post(f"{pipelines.organization.url}/_agent/next", headers=headers, json={"agent": "x"})
        assert answer.status_code == 401


def test_a_service_that_was_killed_goes_on_with_its_runs(tmp_path: Path, port: int) -> None:
    with service(tmp_path / "state", port, 3) as process:
        pipelines = pipelines_of(port, tmp_path / "work")
        run = pipelines.run(pipelines.define("two", TWO_STAGES))
        agent = pipelines.agent()
        job = agent.next()
        agent.call(job, "heartbeat")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(3)  # longer than an agent may be silent: that nobody could hear it isn't held against it
    with service(tmp_path / "state", port, 3):
        assert agent.call(job, "heartbeat") == {"cancel": False}
        agent.finish(job, outputs={"set.x": {"value": "before"}})
        agent.work("second")
        third = agent.next()
        assert {each.name: each.value for each in third.variables} == {"taken": "before"}
        agent.finish(third)
        agent.work("last")
        assert pipelines.result(run) == "succeeded"


def test_a_run_whose_pipeline_is_gone_fails_and_holds_up_nobody(pipelines: Pipelines) -> None:
    definition, other = pipelines.define("two", TWO_STAGES), pipelines.define("other", TWO_STAGES)
    agent = pipelines.agent()
    run = pipelines.run(definition)
    job = agent.next()
    pipelines.http().delete(f"build/definitions/{definition}").raise_for_status()
    agent.finish(job)
    following = pipelines.run(other)
    taken = agent.next()
    if taken.run_id == run:  # it was in the queue already
        agent.finish(taken)
        taken = agent.next()
    assert taken.run_id == following
    shown = pipelines.ended(run)
    assert shown["result"] == "failed"
    assert "is gone" in shown["validationResults"][0]["message"]
