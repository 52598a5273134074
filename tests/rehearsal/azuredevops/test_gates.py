"""What holds a stage: who may approve it, from which branch it may come, when, and after whom."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rehearsal.azuredevops import create_app, gates
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.users import ADMINISTRATOR, ARI, AVERY, DANA, DEVIN, NOBODY
from rehearsal.service import Background
from rehearsal.store import Document
from tests.rehearsal.azuredevops.deployments import (
    LOCK,
    TASK,
    Deployments,
    branch_control,
    business_hours,
    identity,
    task,
)
from tests.rehearsal.azuredevops.organization import (
    CONTROL_TOKEN,
    CREDENTIALS,
    SOCKETS_LEFT_OPEN,
    Organization,
    policy_body,
    scope,
)

pytestmark = SOCKETS_LEFT_OPEN
MERGE_STRATEGY = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
MONDAY_MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


@pytest.fixture(scope="module")
def organization(state: Path) -> Iterator[Organization]:
    with Background(create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)) as root:
        yield Organization(root)


@pytest.fixture(scope="module")
def service(organization: Organization, state: Path) -> Iterator[Service]:
    """The same state as the organisation has, as an orchestrator has it in its hands."""
    service = Service(state, CREDENTIALS)
    yield service
    service.store.close()


@pytest.fixture
def deployments(organization: Organization, service: Service, project: Any, repository: Any) -> Deployments:
    return Deployments.begun(organization, service, project, repository)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock by which checks are judged."""

    def set_clock(time: datetime) -> None:
        monkeypatch.setattr(gates, "clock", lambda: time)

    set_clock(MONDAY_MORNING)
    return set_clock


def record(gate: gates.Gate, type_: str) -> Document:
    return next(each for each in gate.records if each["type"] == type_)


def test_a_stage_without_checks_begins_at_once(deployments: Deployments) -> None:
    gate = deployments.advance(deployments.run())
    assert (gate.state, gate.result, gate.records) == ("passed", None, [])


def test_an_approver_lets_the_stage_begin_and_the_approval_keeps_who_when_and_why(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY), instructions="look at the tests")
    run = deployments.run()
    approval = deployments.pending(run)
    before = deployments.read(approval, AVERY)
    assert (before["status"], before["permissions"], before["instructions"]) == (
        "pending",
        "update",
        "look at the tests",
    )
    assert before["pipeline"]["owner"]["id"] == run["id"]
    assert [each["id"] for each in before["blockedApprovers"]] == [identity(DANA)]
    decided = deployments.decide(approval, AVERY, comment="the tests are green")
    assert decided.json()["value"][0]["status"] == "approved"
    gate = deployments.advance(run)
    assert gate.state == "passed"
    assert [(each["type"], each["state"], each["result"]) for each in gate.records] == [
        ("Checkpoint", "completed", "succeeded"),
        ("Checkpoint.Approval", "completed", "succeeded"),
    ]
    (step,) = deployments.read(approval, DANA)["steps"]
    assert step["actualApprover"]["uniqueName"] == "avery@rehearsal.example"
    assert (step["status"], step["comment"]) == ("approved", "the tests are green")
    assert datetime.fromisoformat(step["lastModifiedOn"]) >= datetime.fromisoformat(step["initiatedOn"])


def test_the_requester_may_not_approve_although_an_approver(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY), identity(ARI))
    run = deployments.run(requester=AVERY)
    approval = deployments.pending(run)
    refused = deployments.decide(approval, AVERY)
    assert (refused.status_code, "requested the run" in refused.json()["message"]) == (403, True)
    assert deployments.read(approval, AVERY)["permissions"] == "view"
    assert deployments.decide(approval, ARI).status_code == 200
    assert deployments.advance(run).state == "passed"


def test_the_requester_may_approve_where_the_check_lets_that_person(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY), requesterCannotBeApprover=False)
    run = deployments.run(requester=AVERY)
    assert deployments.decide(deployments.pending(run), AVERY).status_code == 200
    assert deployments.advance(run).state == "passed"


def test_the_person_for_whom_a_run_was_started_by_another_pipeline_may_not_approve_it(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY), identity(ARI))
    run = deployments.run(requester=ADMINISTRATOR, requestedFor=identity(AVERY))
    assert deployments.decide(deployments.pending(run), AVERY).status_code == 403


@pytest.mark.parametrize("user", [DEVIN, ADMINISTRATOR])
def test_who_is_no_approver_is_refused(deployments: Deployments, user: str) -> None:
    deployments.approval(identity(AVERY))
    run = deployments.run()
    approval = deployments.pending(run)
    for status in ("approved", "rejected"):
        refused = deployments.decide(approval, user, status)
        assert (refused.status_code, "is not an approver" in refused.json()["message"]) == (403, True)
    assert deployments.pending(run) == approval


def test_a_stranger_does_not_see_an_approval(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    approval = deployments.pending(deployments.run())
    assert deployments.decide(approval, NOBODY).status_code == 404


def test_members_of_a_group_approve_directly_or_through_other_groups_as_long_as_they_are_members(
    deployments: Deployments, project: Any
) -> None:
    graph = deployments.organization.clients().get_graph_client()
    outer = deployments.organization.new_group(project, "Approvers")
    inner = deployments.organization.new_group(project, "On duty")
    users = {each.mail_address: each.descriptor for each in graph.list_users().graph_users}
    ari, avery = users["ari@rehearsal.example"], users["avery@rehearsal.example"]
    graph.add_membership(inner.descriptor, outer.descriptor)
    graph.add_membership(ari, inner.descriptor)
    deployments.approval(outer.origin_id)
    run = deployments.run()
    approval = deployments.pending(run)
    assert deployments.decide(approval, AVERY).status_code == 403
    graph.remove_membership(ari, inner.descriptor)
    assert deployments.decide(approval, ARI).status_code == 403
    graph.add_membership(avery, outer.descriptor)
    assert deployments.decide(approval, AVERY).status_code == 200
    assert deployments.advance(run).state == "passed"
    (step,) = deployments.read(approval)["steps"]
    assert (step["assignedApprover"]["displayName"], step["actualApprover"]["displayName"]) == (
        "Approvers",
        "Avery Approver",
    )


def test_as_many_people_have_to_approve_as_the_check_says(deployments: Deployments, project: Any) -> None:
    graph = deployments.organization.clients().get_graph_client()
    group = deployments.organization.new_group(project, "Approvers")
    for each in graph.list_users().graph_users:
        if each.mail_address in ("ari@rehearsal.example", "avery@rehearsal.example", "devin@rehearsal.example"):
            graph.add_membership(each.descriptor, group.descriptor)
    deployments.approval(group.origin_id, identity(AVERY), identity(DEVIN), minimum=2)
    run = deployments.run()
    approval = deployments.pending(run)
    assert deployments.decide(approval, AVERY).json()["value"][0]["status"] == "pending"
    again = deployments.decide(approval, AVERY)
    assert (again.status_code, deployments.pending(run)) == (403, approval)
    assert deployments.decide(approval, ARI).json()["value"][0]["status"] == "approved"
    assert deployments.advance(run).state == "passed"
    assert sorted(each["status"] for each in deployments.read(approval)["steps"]) == ["approved", "approved", "skipped"]


def test_two_members_of_the_only_group_have_to_approve_where_two_are_asked_for(
    deployments: Deployments, project: Any
) -> None:
    graph = deployments.organization.clients().get_graph_client()
    group = deployments.organization.new_group(project, "Approvers")
    for each in graph.list_users().graph_users:
        if each.mail_address in ("ari@rehearsal.example", "avery@rehearsal.example"):
            graph.add_membership(each.descriptor, group.descriptor)
    deployments.approval(group.origin_id, minimum=2)
    run = deployments.run()
    approval = deployments.pending(run)
    deployments.decide(approval, AVERY)
    assert deployments.decide(approval, AVERY).status_code == 403
    assert deployments.pending(run) == approval
    deployments.decide(approval, ARI)
    assert deployments.advance(run).state == "passed"


def test_all_approvers_have_to_approve_where_no_number_is_given_and_in_their_order_where_one_is(
    deployments: Deployments,
) -> None:
    deployments.approval(identity(AVERY), identity(ARI), minimum=0, executionOrder="inSequence")
    run = deployments.run()
    approval = deployments.pending(run)
    assert [each["status"] for each in deployments.read(approval)["steps"]] == ["pending", "uninitiated"]
    assert deployments.decide(approval, ARI).status_code == 403
    assert deployments.decide(approval, AVERY).json()["value"][0]["status"] == "pending"
    assert deployments.decide(approval, ARI).json()["value"][0]["status"] == "approved"
    assert deployments.advance(run).state == "passed"


def test_a_rejection_fails_the_stage_with_who_and_why(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY), identity(ARI))
    run = deployments.run()
    approval = deployments.pending(run)
    assert deployments.decide(approval, ARI, "rejected", "not before the holidays").status_code == 200
    gate = deployments.advance(run)
    assert (gate.state, gate.result) == ("failed", "failed")
    assert gate.reason == "The deployment to production was rejected by Ari Approver: not before the holidays"
    assert record(gate, "Checkpoint")["issues"][0]["message"] == gate.reason
    late = deployments.decide(approval, AVERY)
    assert (late.status_code, "is rejected already" in late.json()["message"]) == (409, True)
    assert deployments.advance(run).state == "failed"


def test_an_approval_that_nobody_gives_in_time_skips_the_stage(
    deployments: Deployments, at: Callable[[datetime], None]
) -> None:
    deployments.approval(identity(AVERY))
    run = deployments.run()
    approval = deployments.pending(run)
    at(MONDAY_MORNING + timedelta(minutes=59))
    assert deployments.pending(run) == approval
    at(MONDAY_MORNING + timedelta(minutes=60))
    gate = deployments.advance(run)
    assert (gate.state, gate.result, "timed out" in gate.reason) == ("failed", "skipped", True)
    assert deployments.read(approval)["status"] == "timedOut"
    assert deployments.decide(approval, AVERY).status_code == 409


def test_a_stage_that_is_tried_again_is_approved_again(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    run = deployments.run()
    approval = deployments.pending(run)
    deployments.decide(approval, AVERY)
    assert deployments.advance(run).state == "passed"
    deployments.leave(run)
    gate = deployments.advance(run, attempt=2)
    assert (gate.state, record(gate, "Checkpoint.Approval")["id"] != approval) == ("pending", True)


def test_approvers_that_are_named_while_a_stage_waits_are_none_for_it(deployments: Deployments) -> None:
    check = deployments.approval(identity(AVERY))
    run = deployments.run()
    approval = deployments.pending(run)
    with deployments.organization.http() as http:
        path = f"/{deployments.project['id']}/_apis/pipelines/checks/configurations/{check['id']}"
        settings = check["settings"] | {"approvers": [{"id": identity(DEVIN)}]}
        body = {"type": check["type"], "settings": settings, "resource": deployments.resources[0], "timeout": 60}
        http.patch(path, json=body).raise_for_status()
    assert deployments.decide(approval, DEVIN).status_code == 403
    later = deployments.pending(deployments.run())
    assert deployments.decide(later, AVERY).status_code == 403
    assert [deployments.decide(each, user).status_code for each, user in ((approval, AVERY), (later, DEVIN))] == [
        200,
        200,
    ]


def test_a_cancelled_stage_takes_its_approval_with_it(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    run = deployments.run()
    approval = deployments.pending(run)
    deployments.leave(run)
    assert deployments.read(approval)["status"] == "canceled"
    assert deployments.decide(approval, AVERY).status_code == 409


def test_approvals_are_found_by_person_state_and_id(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    first, second = (deployments.pending(deployments.run()) for _ in range(2))
    deployments.decide(first, AVERY)
    with deployments.organization.http(AVERY) as http:

        def found(**query: str) -> set[str]:
            answer = http.get(f"/{deployments.project['id']}/_apis/pipelines/approvals", params=query)
            return {each["id"] for each in answer.raise_for_status().json()["value"]}

        assert found() == {first, second}
        assert found(state="pending") == {second}
        assert found(approvalIds=f"{first},{identity(AVERY)}") == {first}
        assert found(userIds=identity(AVERY), state="approved") == {first}
        assert found(userIds=identity(ARI)) == set()
        assert found(top="1") == {second}


def test_a_run_from_another_branch_is_refused_before_anybody_is_asked(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    deployments.check(TASK, branch_control())
    gate = deployments.advance(deployments.run(branch="refs/heads/hotfix"))
    assert (gate.state, gate.result) == ("failed", "failed")
    assert gate.reason == (
        "Only main: the branch refs/heads/hotfix of the run is not among the allowed branches: refs/heads/main"
    )
    assert [each["type"] for each in gate.records] == ["Checkpoint", "Checkpoint.TaskCheck", "Checkpoint.Approval"]
    with deployments.organization.http() as http:
        listed = http.get(f"/{deployments.project['id']}/_apis/pipelines/approvals").json()
    assert listed["value"] == []


def test_a_run_of_main_that_consumes_a_build_of_another_branch_is_refused(deployments: Deployments) -> None:
    deployments.check(TASK, branch_control())
    chosen = {"definition": 2, "run": 1, "branch": "refs/heads/hotfix", "commit": "0" * 40, "number": "1"}
    gate = deployments.advance(deployments.run(pipelines={"build": chosen}))
    assert "refs/heads/hotfix of the pipeline resource 'build'" in gate.reason
    assert (
        deployments.advance(deployments.run(pipelines={"build": chosen | {"branch": "refs/heads/main"}})).state
        == "passed"
    )


def test_patterns_of_branches_are_taken(deployments: Deployments) -> None:
    deployments.check(TASK, branch_control(allowedBranches="refs/heads/main, refs/heads/releases/*"))
    assert deployments.advance(deployments.run(branch="refs/heads/releases/1.2")).state == "passed"
    assert deployments.advance(deployments.run(branch="refs/heads/main2")).state == "failed"


def test_a_branch_without_policies_is_refused_where_it_has_to_be_protected(deployments: Deployments) -> None:
    deployments.check(TASK, branch_control(ensureProtectionOfBranch="true"))
    assert "is not protected by any policy" in deployments.advance(deployments.run()).reason
    policies = deployments.organization.clients().get_policy_client()
    settings = {"allowSquash": True, "scope": scope(deployments.repository)}
    policies.create_policy_configuration(policy_body(MERGE_STRATEGY, settings), deployments.project["id"])
    assert deployments.advance(deployments.run()).state == "passed"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2026, 11, 23, 6, 59, tzinfo=UTC), "pending"),
        (datetime(2026, 11, 23, 7, 0, tzinfo=UTC), "passed"),
        (datetime(2026, 11, 23, 15, 29, tzinfo=UTC), "passed"),
        (datetime(2026, 11, 23, 15, 30, tzinfo=UTC), "pending"),
        (datetime(2026, 11, 25, 9, 0, tzinfo=UTC), "pending"),
        (datetime(2026, 7, 20, 6, 0, tzinfo=UTC), "passed"),
    ],
)
def test_a_deployment_waits_for_business_hours_in_their_time_zone(
    deployments: Deployments, at: Callable[[datetime], None], time: datetime, expected: str
) -> None:
    at(time)
    deployments.check(TASK, business_hours())
    assert deployments.advance(deployments.run()).state == expected


def test_hours_that_are_over_hold_again_a_stage_that_has_not_begun(
    deployments: Deployments, at: Callable[[datetime], None]
) -> None:
    deployments.check(TASK, business_hours(), timeout=1440)
    deployments.check(LOCK, {}, timeout=1440)
    first, second, third = (deployments.run() for _ in range(3))
    assert deployments.advance(first).state == "passed"
    assert "which run" in deployments.advance(second).reason
    at(MONDAY_MORNING + timedelta(hours=10))
    assert deployments.advance(second).reason.startswith("Office hours: waits for Monday, Tuesday from 08:00 to 16:30")
    deployments.leave(first)
    assert deployments.advance(second).state == "pending"
    at(MONDAY_MORNING + timedelta(hours=23))
    assert deployments.advance(third).state == "passed"


def test_hours_that_do_not_come_in_time_fail_the_stage(
    deployments: Deployments, at: Callable[[datetime], None]
) -> None:
    at(MONDAY_MORNING - timedelta(hours=6))
    deployments.check(TASK, business_hours())
    run = deployments.run()
    assert deployments.advance(run).state == "pending"
    at(MONDAY_MORNING - timedelta(hours=5))
    gate = deployments.advance(run)
    assert (gate.state, gate.result, "within the timeout" in gate.reason) == ("failed", "failed", True)


def test_releases_pass_the_lock_one_after_the_other_in_the_order_of_their_runs(deployments: Deployments) -> None:
    deployments.check(LOCK, {})
    first, second, third = (deployments.run() for _ in range(3))
    assert deployments.advance(first).state == "passed"
    assert deployments.advance(third).state == "pending"
    held = deployments.advance(second)
    assert held.reason == f"waits for the exclusive lock of production, which run {first['id']} has"
    assert record(held, "Checkpoint.ExclusiveLock")["currentOperation"] == held.reason
    deployments.leave(first)
    behind = deployments.advance(third)
    assert (behind.state, behind.reason) == (
        "pending",
        f"waits for the exclusive lock of production behind run {second['id']}",
    )
    assert deployments.advance(second).state == "passed"
    assert deployments.advance(third).state == "pending"
    deployments.leave(second)
    assert deployments.advance(third).state == "passed"


def test_a_run_that_has_not_been_approved_holds_up_no_other(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    deployments.check(LOCK, {})
    first, second = (deployments.run() for _ in range(2))
    deployments.pending(first)
    deployments.decide(deployments.pending(second), AVERY)
    assert deployments.advance(second).state == "passed"


def test_only_the_newest_run_of_a_pipeline_passes_the_lock_under_run_latest(deployments: Deployments) -> None:
    deployments.check(LOCK, {})
    first, second, third = (deployments.run() for _ in range(3))
    other = deployments.run(definition=2)
    assert deployments.advance(first, lock="runLatest").state == "passed"
    assert [deployments.advance(each, lock="runLatest").state for each in (second, third, other)] == ["pending"] * 3
    gate = deployments.advance(second, lock="runLatest")
    assert (gate.state, gate.result) == ("failed", "canceled")
    assert gate.reason == f"a newer run ({third['id']}) waits for the exclusive lock of production"
    deployments.leave(first)
    assert deployments.advance(third, lock="runLatest").state == "passed"
    assert deployments.advance(other, lock="runLatest").state == "pending"


def test_a_run_that_has_ended_holds_no_lock(deployments: Deployments) -> None:
    deployments.check(LOCK, {})
    first, second = (deployments.run() for _ in range(2))
    assert deployments.advance(first).state == "passed"
    assert deployments.advance(second).state == "pending"
    place = f"{deployments.project['id']}/{first['id']:09}"
    deployments.service.store.put("run", place, first | {"status": "completed"})
    assert deployments.advance(second).state == "passed"


def test_a_gate_goes_on_where_it_was_when_the_service_was_killed(deployments: Deployments, state: Path) -> None:
    deployments.approval(identity(AVERY))
    deployments.check(LOCK, {})
    run = deployments.run()
    approval = deployments.pending(run)
    after = Service(state, CREDENTIALS)
    again = Deployments(
        deployments.organization, after, deployments.project, deployments.repository, deployments.environment
    )
    assert again.pending(run) == approval
    deployments.decide(approval, AVERY)
    assert again.advance(run).state == "passed"
    after.store.close()
    assert deployments.advance(deployments.run()).state == "pending"


def test_a_check_that_cannot_be_evaluated_here_lets_nothing_through(deployments: Deployments) -> None:
    deployments.check(TASK, task("9c3e8943-130d-4c78-ac63-8af81df62dfb", "InvokeRESTAPI", {}, "ask the oracle"))
    gate = deployments.advance(deployments.run())
    assert (gate.state, gate.reason) == (
        "failed",
        "The check ask the oracle is of a kind that cannot be evaluated here.",
    )


def test_an_approver_cannot_be_named_or_put_off_by_the_update_of_an_approval(deployments: Deployments) -> None:
    deployments.approval(identity(AVERY))
    approval = deployments.pending(deployments.run())
    path = f"/{deployments.project['id']}/_apis/pipelines/approvals"
    body = {"approvalId": approval, "status": "approved", "reassignTo": {"id": identity(DEVIN)}}
    with deployments.organization.http(AVERY) as http:
        assert http.patch(path, json=[body]).status_code == 400
        assert http.patch(path, json=[{"approvalId": approval, "status": "skipped"}]).status_code == 400
        assert http.get(f"{path}/{identity(AVERY)}").status_code == 404
    assert deployments.read(approval)["status"] == "pending"
