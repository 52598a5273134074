"""An `up` that is killed: the next one says what to do, and finishes it."""

import pytest

from tests.engine.system import System

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("moment", ["create of the project", "create of a policy", "import of a notebook"])
def test_after_a_killed_up_the_next_one_says_what_to_do_about_the_lock_and_converges(
    system: System, moment: str
) -> None:
    service, method, path = {
        "create of the project": (system.azure, "POST", "/_apis/projects$"),
        "create of a policy": (system.azure, "POST", "/policy/configurations"),
        "import of a notebook": (system.workspace, "POST", "/workspace/import"),
    }[moment]
    # The request's work is done, its answer is never seen.
    service.fault("delay", method=method, path=path, seconds=0)
    system.project.killed_up("test", lambda: any(each["fault"] for each in service.requests()))

    locked = system.project.up("test")
    assert not locked
    assert "pulumi cancel" in locked.text
    cancelled = system.project.pulumi("cancel", "--yes", "--stack", "test")
    assert cancelled, cancelled.text
    outcome = system.project.up("test")
    assert outcome, outcome.text
    nothing = system.project.preview("test", "--expect-no-changes")
    assert nothing, nothing.text
    assert_nothing_is_doubled(system)


def assert_nothing_is_doubled(system: System) -> None:
    """No policy twice, no project, repository, pipeline or environment besides those of the stack."""
    outputs = system.project.outputs("test")
    clients = system.azure_clients()
    assert [each.name for each in clients.get_core_client().get_projects()] == ["Databricks CI-CD"]
    policies = clients.get_policy_client().get_policy_configurations(outputs["project_id"])
    types = [each.type.display_name for each in policies]
    assert sorted(types) == sorted(set(types))
    pipelines = clients.get_build_client().get_definitions(outputs["project_id"])
    assert sorted(each.name for each in pipelines) == ["build", "drift", "release"]
