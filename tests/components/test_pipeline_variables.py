"""The component `PipelineVariables`: a variable group that only some pipelines may read."""

import pulumi

from components.pipeline_variables import PipelineVariables, PipelineVariablesArgs
from tests.components.conftest import Program
from tests.components.recording import Recording


def made(program: Program, *, only_from: str | None = "main") -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        args = PipelineVariablesArgs(
            project_id="p", purpose="production", pipelines={"release": 8, "drift": 9}, only_from=only_from
        )
        pulumi.export("id", PipelineVariables("variables", args, opts).group_id)

    return program.part(make)


def test_the_group_has_the_name_that_the_yaml_uses_and_no_secret(program: Program) -> None:
    recorded = made(program)

    group = recorded.one("VariableGroup")
    assert group.inputs["name"] == "databricks-cicd-production"
    assert group.inputs["variables"] == [{"name": "purpose", "value": "production"}]
    assert recorded.exports["id"] == int(group.id)


def test_what_an_administrator_has_put_into_the_group_is_left_alone(program: Program) -> None:
    assert "variables" in made(program).one("VariableGroup").ignore_changes


def test_the_named_pipelines_may_read_it_and_no_other(program: Program) -> None:
    recorded = made(program)

    group = recorded.one("VariableGroup")
    assert group.inputs["allowAccess"] is False
    assert [each.inputs for each in recorded.all("PipelineAuthorization")] == [
        {"projectId": "p", "type": "variablegroup", "resourceId": group.id, "pipelineId": pipeline}
        for pipeline in (8, 9)
    ]


def test_it_is_read_by_runs_of_the_default_branch_alone(program: Program) -> None:
    recorded = made(program)

    check = recorded.one("CheckBranchControl").inputs
    assert (check["targetResourceType"], check["targetResourceId"]) == (
        "variablegroup",
        recorded.one("VariableGroup").id,
    )
    assert (check["allowedBranches"], check["verifyBranchProtection"]) == ("refs/heads/main", True)


def test_a_pull_requests_build_may_read_a_group_that_is_meant_for_it(program: Program) -> None:
    assert "CheckBranchControl" not in made(program, only_from=None).kinds()
