"""`__main__.py` as a whole, with the stack files as committed: what both stacks own, protect and export."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import naming
from components.control_plane import LEFT
from release_files import scan
from tests.components.conftest import ROOT, TOKEN, Program, committed_config, prepared, some_notebook
from tests.components.recording import Recording
from tests.components.services import User

OWNER = "organization/databricks-cicd/test"
SHARED = ("Project", "Git", "BuildDefinition", "RepositoryPolicy", "BranchPolicy")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """Both stacks as committed, the second with what the first exports."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        program = with_approvers(prepared(monkeypatch, tmp_path_factory.mktemp("home")))
        owner = program.committed("test")
        program.answers.stacks[OWNER] = owner.exports
        return {"test": owner, "prod": program.committed("prod")}


@pytest.fixture
def of_test(stacks: dict[str, Recording]) -> Recording:
    return stacks["test"]


@pytest.fixture
def of_prod(stacks: dict[str, Recording]) -> Recording:
    return stacks["prod"]


def with_approvers(program: Program) -> Program:
    """The approvers whom Pulumi.prod.yaml names are users of the organisation."""
    names = committed_config("prod")["gate"]["approvers"]
    program.answers.users += [User(principal_name=name, display_name=name.split("@")[0], mail=name) for name in names]
    return program


def test_the_test_stack_owns_the_control_plane_and_the_prod_stack_does_not(
    of_test: Recording, of_prod: Recording
) -> None:
    def shared(recorded: Recording) -> list[str]:
        return [kind for kind in recorded.kinds() if kind.startswith(SHARED)]

    assert len(shared(of_test)) == 14
    assert shared(of_prod) == []


def test_each_stack_owns_its_environment_and_its_folder(of_test: Recording, of_prod: Recording) -> None:
    for recorded, environment, folder in (
        (of_test, "test", "/bike-sharing-test"),
        (of_prod, "production", "/bike-sharing-production"),
    ):
        assert recorded.one("Environment").inputs["name"] == environment
        assert recorded.named("folder-directory").inputs["path"] == folder


def test_production_asks_its_approvers_and_test_asks_nobody(of_test: Recording, of_prod: Recording) -> None:
    assert of_test.all("CheckApproval") == []
    assert of_prod.one("GroupMembership").inputs["members"] == ["descriptor of avery", "descriptor of ari"]


def test_the_gate_of_production_stands_in_the_project_and_for_the_pipeline_of_the_owner(
    of_test: Recording, of_prod: Recording
) -> None:
    release = next(each for each in of_test.all("BuildDefinition") if each.inputs["name"] == "release")

    assert of_prod.one("Environment").inputs["projectId"] == "id of source-project"
    used = [each.inputs for each in of_prod.all("PipelineAuthorization")]
    assert [each["pipelineId"] for each in used if each["type"] == "environment"] == [int(release.id)]


def test_the_credentials_of_production_are_read_by_release_and_drift_of_main_alone(
    of_test: Recording, of_prod: Recording
) -> None:
    ids = {each.inputs["name"]: int(each.id) for each in of_test.all("BuildDefinition")}

    group = of_prod.one("VariableGroup")
    readers = [each.inputs for each in of_prod.all("PipelineAuthorization") if each.inputs["type"] == "variablegroup"]
    assert group.inputs["name"] == "databricks-cicd-production"
    assert {(each["resourceId"], each["pipelineId"]) for each in readers} == {
        (group.id, ids["release"]),
        (group.id, ids["drift"]),
    }
    assert group.id in [each.inputs["targetResourceId"] for each in of_prod.all("CheckBranchControl")]


def test_production_protects_its_folder_its_permissions_and_its_environment_alone(
    of_test: Recording, of_prod: Recording
) -> None:
    protected = {each.name for each in of_prod.resources if each.protect}

    assert protected == {"gate-environment", "folder-directory", "folder-record", "permissions-access"}
    assert not any(each.protect for each in of_test.resources)


def test_the_stacks_export_ids_addresses_and_the_release(of_test: Recording, of_prod: Recording) -> None:
    own = {"environment_id", "environment_url", "folder", "folder_url", "notebooks", "release_digest"}

    assert set(of_prod.exports) == own
    assert set(of_test.exports) == own | {
        "build_pipeline_id",
        "build_pipeline_url",
        "default_branch",
        "drift_pipeline_id",
        "drift_pipeline_url",
        "project_id",
        "project_url",
        "release_pipeline_id",
        "release_pipeline_url",
        "repository_id",
        "repository_url",
    }
    release = scan(ROOT / "notebooks")
    assert of_test.exports["release_digest"] == release.digest
    assert of_test.exports["notebooks"] == sum(file.kind == "notebook" for file in release.files)
    assert of_test.exports["repository_url"].endswith("/Databricks%20CI-CD/_git/databricks-notebooks")
    assert all(isinstance(of_test.exports[name], int) for name in ("build_pipeline_id", "environment_id"))


def test_no_credential_is_in_anything_that_the_engine_gets(of_test: Recording, of_prod: Recording) -> None:
    for recorded in (of_test, of_prod):
        assert TOKEN not in repr((recorded.resources, recorded.invokes, recorded.outputs, recorded.logs))
        for name in ("azure-devops", "databricks"):
            assert set(recorded.named(name).inputs) <= {"orgServiceUrl", "host", "rateLimit", "version"}


def test_every_azure_devops_resource_is_repeated_after_passing_faults(of_test: Recording, of_prod: Recording) -> None:
    for recorded in (of_test, of_prod):
        for each in recorded.resources:
            repeated = "repeat-after-passing-fault" in each.hooks.get("on_error", ())
            assert repeated == each.type.startswith("azuredevops:")


def test_the_first_push_hook_stays_beside_those_for_passing_faults(of_test: Recording) -> None:
    assert of_test.one("RepositoryPolicyReservedNames").hooks["before_create"] == (
        "first-push",
        "look-before-create",
    )


def test_the_settings_reach_the_providers(program: Program) -> None:
    recorded = program.committed("test", services={"databricksRequestsPerSecond": 7})

    assert recorded.named("azure-devops").inputs["orgServiceUrl"] == "https://dev.azure.com/contoso"
    assert recorded.named("databricks").inputs["host"] == "https://adb-1.7.azuredatabricks.net"
    assert recorded.named("databricks").inputs["rateLimit"] == "7"


def test_with_everything_on_all_resources_are_still_accepted(program: Program) -> None:
    config = committed_config("test")
    config["controlPlane"]["review"] = {
        "linkedWorkItem": "required",
        "requiredReviewers": [{"paths": ["/pipelines/*"], "reviewers": ["ann@example.com", "Release managers"]}],
    }
    config["controlPlane"]["agents"] = {"pool": "Linux agents"}
    config["gate"] = {
        "approvers": ["ann@example.com"],
        "businessHours": {"days": ["monday"], "start": "08:00", "end": "16:00", "timeZone": "UTC"},
    }
    schedule = {"cron": "0 0 6 * * ?", "timeZone": "UTC"}
    config["jobOverrides"] = {}
    config["jobs"] = {"refresh": {"notebook": some_notebook(), "schedule": schedule}}

    recorded = program.whole("test", config)

    assert {"BranchPolicyAutoReviewers", "CheckBusinessHours", "Job"} <= set(recorded.kinds())


def refusal(program: Program, stack: str = "prod", **more: Any) -> str:
    """The message with which the program ends; nothing but the providers may be registered by then."""
    with pytest.raises(pulumi.RunError) as caught:
        program.committed(stack, **more)
    assert program.recording.kinds() == []
    assert [each.kind for each in program.recording.resources if each.type.startswith("databricks-cicd:")] == []
    return str(caught.value)


def test_without_the_stack_that_owns_the_control_plane_nothing_is_made(program: Program) -> None:
    message = refusal(program)

    assert f'unknown stack "{OWNER}"' in message
    assert "`pulumi up --stack test`" in message
    assert "Nothing was changed" in message


def test_with_a_control_plane_that_was_never_deployed_nothing_is_made(program: Program) -> None:
    program.answers.stacks[OWNER] = {"folder": "/bike-sharing-test"}

    message = refusal(program)

    assert "exports no project_id, default_branch, release_pipeline_id" in message
    assert "`pulumi up --stack test`" in message


def test_a_control_plane_of_another_name_is_asked_for_by_that_name(program: Program, of_test: Recording) -> None:
    program.answers.stacks["organization/databricks-cicd/shared"] = of_test.exports

    with_approvers(program).committed("prod", controlPlaneStack="shared")

    assert "databricks-cicd:controlPlaneStack is 'other'" in refusal(program, controlPlaneStack="other")


def test_mistakes_in_the_settings_are_told_before_any_service_is_asked(program: Program) -> None:
    message = refusal(program, gate={"approver": []}, workspace={"folder": "relative"})

    assert "3 mistakes" in message  # a protected stack wants access, too
    assert program.recording.invokes == []
    assert [each.kind for each in program.recording.resources] == ["Stack"]


def test_refused_credentials_of_both_services_are_told_at_once(program: Program) -> None:
    program.answers.failures["getProjects"] = "TF400813: The user '' is not authorized"
    program.answers.failures["getCurrentUser"] = "default auth: cannot configure default credentials"

    message = refusal(program, "test")

    for words in (
        "Azure DevOps at https://dev.azure.com/contoso doesn't let this program in",
        "TF400813",
        "AZDO_PERSONAL_ACCESS_TOKEN",
        "Databricks at https://adb-1.7.azuredatabricks.net doesn't let this program in",
        "cannot configure default credentials",
        "DATABRICKS_TOKEN",
    ):
        assert words in message
    assert TOKEN not in message


def test_warnings_of_the_settings_are_shown_and_the_program_goes_on(program: Program) -> None:
    recorded = program.committed("test", workspace={"folder": "/Shared/bike-sharing"})

    assert any("/Shared" in message for message in recorded.messages("warning"))
    assert recorded.one("Environment")


def test_the_main_program_reads_as_a_table_of_contents() -> None:
    assert len((ROOT / "__main__.py").read_text(encoding="utf-8").splitlines()) <= 80


def test_names_that_the_stacks_share_in_the_organisation_do_not_meet(of_test: Recording, of_prod: Recording) -> None:
    for kind in ("Environment", "Directory", "Group"):
        names = [
            {json.dumps(each.inputs.get("name") or each.inputs.get("path") or each.inputs["displayName"])}
            for recorded in (of_test, of_prod)
            for each in recorded.all(kind)
        ]
        assert len(set().union(*names)) == len(names)
    assert naming.folders_overlap("/bike-sharing-test", "/bike-sharing-production") is False


@pytest.mark.parametrize("left", [True, False])
def test_nothing_in_databricks_depends_on_gates_that_an_update_leaves_as_they_are(
    program: Program, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi would write a state that it can't read, where such a thing isn't there yet."""
    monkeypatch.setenv(LEFT, "true" if left else "")

    recorded = program.committed("test")

    ours = [each for each in recorded.resources if each.type.startswith("databricks:")]
    guards = {urn for each in ours for urn in each.dependencies if ":azuredevops:" in urn}
    assert bool(guards) != left


def test_an_adopted_project_and_repository_are_left_as_they_are(program: Program) -> None:
    plane = {"project": {"name": "Old", "adopt": True}, "repository": {"name": "old", "adopt": True}}

    recorded = program.committed("test", controlPlane=plane)

    assert not {"Project", "Git", "ProjectPipelineSettings"} & set(recorded.kinds())
    assert recorded.exports["project_id"] == "id of project Old"
    assert recorded.exports["repository_id"] == "id of repository old"
    assert not any(each.protect for each in recorded.resources)


def test_the_notebooks_of_another_folder_are_deployed_where_the_settings_say_so(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "only.py").write_text("# Databricks notebook source\n", encoding="utf-8")

    nothing: dict[str, Any] = {"tests": {}, "jobs": {}, "jobOverrides": {}}
    config = {**committed_config("test"), **nothing, "notebooks": {"folder": "artifact"}}

    recorded = program.whole("test", config, root=tmp_path)

    assert recorded.one("Notebook").inputs["source"] == "artifact/only.py"
