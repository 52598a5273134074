"""Runs that wait for people and for each other, and runs of pull requests."""

from typing import Any

from rehearsal.azuredevops.users import AVERY
from tests.rehearsal.azuredevops.deployments import APPROVAL, LOCK, identity
from tests.rehearsal.azuredevops.organization import SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.pipelines import Agent, Pipelines, until

pytestmark = SOCKETS_LEFT_OPEN

RELEASE = """
trigger: none
lockBehavior: sequential
stages:
  - stage: Test
    jobs: [{job: test, steps: [{script: echo}]}]
  - stage: Production
    jobs:
      - deployment: deploy
        environment: production
        strategy: {runOnce: {deploy: {steps: [{script: echo}]}}}
"""


def _check(pipelines: Pipelines, environment: int, kind: dict[str, str], settings: dict[str, Any]) -> None:
    resource = {"type": "environment", "id": str(environment)}
    body = {"type": kind, "settings": settings, "resource": resource, "timeout": 60}
    answer = pipelines.http().post("pipelines/checks/configurations", json=body)
    assert answer.status_code == 200, answer.text


def _gated(pipelines: Pipelines) -> int:
    definition = pipelines.define("release", RELEASE)
    environment = pipelines.environment("production", definition)
    approval = {"approvers": [{"id": identity(AVERY)}], "minRequiredApprovers": 1, "requesterCannotBeApprover": True}
    _check(pipelines, environment, APPROVAL, approval | {"instructions": ""})
    _check(pipelines, environment, LOCK, {})
    return definition


def _approval(pipelines: Pipelines, run: int) -> str:
    def ask() -> Any:
        records = pipelines.records(run, "Checkpoint.Approval")
        return next((each["id"] for each in records.values() if each["state"] == "inProgress"), None)

    return str(until(ask, "an approval"))


def _decide(pipelines: Pipelines, approval: str, status: str) -> None:
    body = [{"approvalId": approval, "status": status, "comment": "seen"}]
    answer = pipelines.http(AVERY).patch("pipelines/approvals", json=body)
    assert answer.status_code == 200, answer.text


def test_production_waits_for_its_approval_and_goes_on_with_it(pipelines: Pipelines) -> None:
    run = pipelines.run(_gated(pipelines))
    agent = pipelines.agent()
    agent.work("test")
    approval = _approval(pipelines, run)
    records = pipelines.records(run, "Checkpoint.Approval")
    checkpoints = pipelines.http().get(f"build/builds/{run}/timeline").json()["records"]
    parent = next(each for each in checkpoints if each["id"] == next(iter(records.values()))["parentId"])
    assert (parent["type"], parent["identifier"]) == ("Checkpoint", "Production.Checkpoint")
    assert pipelines.records(run, "Stage")["Production"]["state"] == "pending"
    _decide(pipelines, approval, "approved")
    agent.work("deploy")
    assert pipelines.result(run) == "succeeded"
    environments = pipelines.http().get("distributedtask/environments").json()["value"]
    path = f"distributedtask/environments/{environments[0]['id']}/environmentdeploymentrecords"
    (deployment,) = pipelines.http().get(path).json()["value"]
    shown = (deployment["owner"]["id"], deployment["stageName"], deployment["result"])
    assert shown == (run, "Production", "succeeded")


def test_a_rejected_stage_fails_and_can_be_tried_again(pipelines: Pipelines) -> None:
    run = pipelines.run(_gated(pipelines))
    agent = pipelines.agent()
    agent.work("test")
    _decide(pipelines, _approval(pipelines, run), "rejected")
    assert pipelines.result(run) == "failed"
    assert pipelines.results(run) == {"Test": "succeeded", "Production": "failed"}
    assert pipelines.results(run, "Job") == {"test": "succeeded", "deploy": "skipped"}
    retry = {"state": "retry", "forceRetryAllJobs": False}
    assert pipelines.http().patch(f"build/builds/{run}/stages/Production", json=retry).status_code == 204
    _decide(pipelines, _approval(pipelines, run), "approved")
    agent.work("deploy")
    assert pipelines.result(run) == "succeeded"


def test_a_run_that_is_cancelled_while_it_waits_takes_its_approval_with_it(pipelines: Pipelines) -> None:
    run = pipelines.run(_gated(pipelines))
    pipelines.agent().work("test")
    _approval(pipelines, run)
    pipelines.cancel(run)
    assert pipelines.result(run) == "canceled"
    assert pipelines.results(run) == {"Test": "succeeded", "Production": "canceled"}
    pending = pipelines.http().get("pipelines/approvals", params={"state": "pending"}).json()["value"]
    assert pending == []


def test_releases_pass_the_lock_in_the_order_of_their_runs(pipelines: Pipelines) -> None:
    definition = _gated(pipelines)
    agent = pipelines.agent()
    first, second, third = (pipelines.run(definition) for _ in range(3))
    agent.work("test", "test", "test")
    approvals = {run: _approval(pipelines, run) for run in (first, second, third)}
    _decide(pipelines, approvals[second], "approved")
    job = agent.next()
    assert job.run_id == second  # nobody before it could go on
    _decide(pipelines, approvals[third], "approved")
    _decide(pipelines, approvals[first], "approved")
    assert _idle(agent)
    agent.finish(job)
    for run in (first, third):
        job = agent.next()
        assert job.run_id == run
        assert run == third or _idle(agent)
        agent.finish(job)
    assert {pipelines.result(run) for run in (first, second, third)} == {"succeeded"}


def _idle(agent: Agent) -> bool:
    """Whether there is nothing for an agent, after a look of the orchestrator at everything."""
    answer = agent.http.post("/next", json={"agent": agent.name, "wait": 1})
    return answer.status_code == 204
