"""The component `DeploymentGate`: an environment and what a deployment to it has to pass."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.deployment_gate import DeploymentGate, DeploymentGateArgs
from components.settings_model import BusinessHours, Gate
from tests.components.conftest import Program
from tests.components.recording import Recording

GATE = Gate(
    approvers=("ann@example.com", "Release managers"),
    minimum_approvals=2,
    requester_may_approve=False,
    timeout_hours=72,
    instructions="Read the tests' results first.",
    exclusive_lock=True,
    only_from_default_branch=True,
    business_hours=None,
)
HOURS = BusinessHours(days=("monday", "friday"), start="08:00", end="16:30", time_zone="W. Europe Standard Time")


def made(program: Program, *, protect: bool = False, **changed: Any) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        args = DeploymentGateArgs(
            project_id="p",
            environment="production",
            default_branch="main",
            release_pipeline_id=8,
            gate=replace(GATE, **changed),
            organization_url="https://dev.azure.com/contoso",
            protect=protect,
        )
        gate = DeploymentGate("gate", args, opts)
        pulumi.export("id", gate.environment_id)
        pulumi.export("url", gate.url)

    return program.part(make)


def test_the_environment_has_the_name_that_the_pipeline_deploys_to(program: Program) -> None:
    environment = made(program).one("Environment").inputs

    assert (environment["projectId"], environment["name"]) == ("p", "production")


def test_the_release_pipeline_alone_may_use_the_environment(program: Program) -> None:
    recorded = made(program)

    assert recorded.one("PipelineAuthorization").inputs == {
        "projectId": "p",
        "type": "environment",
        "resourceId": recorded.one("Environment").id,
        "pipelineId": 8,
    }


def test_the_approvers_are_the_members_of_a_group_of_the_project(program: Program) -> None:
    recorded = made(program)

    group, members = recorded.one("Group"), recorded.one("GroupMembership")
    assert (group.inputs["scope"], group.inputs["displayName"]) == ("p", "Production approvers")
    assert members.inputs == {
        "group": "descriptor of gate-approvers",
        "members": ["descriptor of Ann", "descriptor of Release managers"],
        "mode": "overwrite",
    }


def test_an_approval_asks_that_group_as_the_settings_say(program: Program) -> None:
    recorded = made(program)

    assert recorded.one("CheckApproval").inputs == {
        "projectId": "p",
        "targetResourceType": "environment",
        "targetResourceId": recorded.one("Environment").id,
        "approvers": ["origin of gate-approvers"],
        "minimumRequiredApprovers": 2,
        "requesterCanApprove": False,
        "instructions": "Read the tests' results first.",
        "timeout": 72 * 60,
    }


def test_the_requester_may_approve_only_where_the_settings_say_so(program: Program) -> None:
    assert made(program, requester_may_approve=True).one("CheckApproval").inputs["requesterCanApprove"] is True


def test_without_approvers_nobody_is_asked_and_there_is_no_group(program: Program) -> None:
    recorded = made(program, approvers=())

    assert recorded.kinds() == ["CheckBranchControl", "CheckExclusiveLock", "Environment", "PipelineAuthorization"]


def test_deployments_come_from_the_protected_default_branch_alone(program: Program) -> None:
    recorded = made(program)

    branch = dict(recorded.one("CheckBranchControl").inputs)
    assert branch["targetResourceId"] == recorded.one("Environment").id
    assert branch["allowedBranches"] == "refs/heads/main"
    assert branch["verifyBranchProtection"] is True
    assert branch["ignoreUnknownProtectionStatus"] is False


def test_other_branches_deploy_where_the_settings_say_so(program: Program) -> None:
    assert made(program, only_from_default_branch=False).all("CheckBranchControl") == []


def test_one_deployment_at_a_time(program: Program) -> None:
    recorded = made(program)

    assert recorded.one("CheckExclusiveLock").inputs == {
        "projectId": "p",
        "targetResourceType": "environment",
        "targetResourceId": recorded.one("Environment").id,
    }
    assert made(program, exclusive_lock=False).all("CheckExclusiveLock") == []


def test_deployments_start_within_business_hours_where_there_are_some(program: Program) -> None:
    hours = dict(made(program, business_hours=HOURS).one("CheckBusinessHours").inputs)

    days = [day for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday") if hours[day]]
    assert days == ["monday", "friday"]
    assert (hours["startTime"], hours["endTime"], hours["timeZone"]) == ("08:00", "16:30", "W. Europe Standard Time")
    assert made(program).all("CheckBusinessHours") == []


@pytest.mark.parametrize("protect", [True, False])
def test_the_environment_is_protected_and_its_checks_follow_the_settings(program: Program, protect: bool) -> None:
    recorded = made(program, protect=protect, business_hours=HOURS)

    assert [each.name for each in recorded.resources if each.protect] == ["gate-environment"] * protect


def test_the_id_is_a_number_and_the_address_leads_to_the_environment(program: Program) -> None:
    recorded = made(program)

    number = int(recorded.one("Environment").id)
    assert recorded.exports["id"] == number
    assert recorded.exports["url"] == f"https://dev.azure.com/contoso/p/_environments/{number}"


def test_an_unknown_approver_ends_the_program_with_a_remedy(program: Program) -> None:
    with pytest.raises(pulumi.RunError, match=r"no user 'eve@example\.com'.*Organization settings > Users"):
        made(program, approvers=("eve@example.com",))


def test_an_unknown_group_of_approvers_ends_the_program(program: Program) -> None:
    with pytest.raises(Exception, match="Could not find Group with Name: Nobody"):
        made(program, approvers=("Nobody",))
