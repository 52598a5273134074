"""Who may start, see and cancel runs, and as whom they act."""

import json

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import AclPermission

from tests.rehearsal.databricks import run_helpers as jobs
from tests.rehearsal.databricks.clients import Workspace

DEPLOYER = "5d0c7a52-6d0f-4f0e-9a57-3f4f5f1c7e01"


def allow(workspace: Workspace, kind: str, number: object, level: str, **who: str) -> None:
    entry = AccessControlRequest(permission_level=PermissionLevel(level), **who)
    workspace.sdk().permissions.update(kind, str(number), access_control_list=[entry])


def test_starting_takes_can_manage_run_and_seeing_can_view(workspace: Workspace) -> None:
    job_id = jobs.graph(workspace, {"a": "exit x"}, {})
    dana, devin = workspace.sdk("dana"), workspace.sdk("devin")
    with pytest.raises(PermissionDenied, match=rf"does not have Manage Run .* on job {job_id}"):
        dana.jobs.run_now(job_id)
    allow(workspace, "jobs", job_id, "CAN_MANAGE_RUN", user_name="dana@rehearsal.example")
    run_id = jobs.start(workspace, job_id, user="dana")
    run = jobs.finished(workspace, run_id)
    assert (run.creator_user_name, jobs.result(run)) == ("dana@rehearsal.example", "SUCCESS")
    task_run_id = jobs.attempt_of(run, "a").run_id
    assert task_run_id is not None
    for refused in (devin.jobs.get_run, devin.jobs.cancel_run, devin.jobs.export_run):
        with pytest.raises(PermissionDenied, match=f"permissions on run {run_id}"):
            refused(run_id)
    with pytest.raises(PermissionDenied):
        devin.jobs.get_run_output(task_run_id)
    assert list(devin.jobs.list_runs()) == []
    allow(workspace, "jobs", job_id, "CAN_VIEW", user_name="devin@rehearsal.example")
    assert devin.jobs.get_run(run_id).run_id == run_id
    assert [each.run_id for each in devin.jobs.list_runs()] == [run_id]
    with pytest.raises(PermissionDenied):
        devin.jobs.cancel_run(run_id)
    with pytest.raises(PermissionDenied):
        devin.jobs.repair_run(run_id, rerun_tasks=["a"])


@pytest.mark.parametrize("level", [None, "CAN_READ", "CAN_RUN"])
def test_the_identity_of_the_run_must_be_allowed_to_run_the_notebook(workspace: Workspace, level: str | None) -> None:
    folder = workspace.folder("/delivery")
    path = jobs.notebook(workspace, "a", "show", folder="/delivery")
    if level:
        allow(workspace, "directories", folder, level, service_principal_name=DEPLOYER)
    run_as = {"service_principal_name": DEPLOYER}
    run = jobs.run(workspace, jobs.create(workspace, [jobs.task("a", path)], run_as=run_as))
    if level == "CAN_RUN":
        assert jobs.result(run) == "SUCCESS"
        assert jobs.printed(workspace, run, "a")["user"] == DEPLOYER
    else:
        assert jobs.result(run) == "FAILED"
        words = jobs.output(workspace, run, "a").error
        assert words == (
            'Unable to access the notebook "/delivery/a". Either it does not exist, or the identity used to run this '
            f"job, {DEPLOYER}, lacks the required permissions."
        )


def test_without_run_as_a_run_acts_as_the_jobs_owner_whoever_starts_it(workspace: Workspace) -> None:
    path = jobs.notebook(workspace, "a", "show")
    job_id = jobs.create(workspace, [jobs.task("a", path)], user="dana")
    run = jobs.run(workspace, job_id)
    assert run.creator_user_name == "admin@rehearsal.example"
    assert jobs.printed(workspace, run, "a")["user"] == "dana@rehearsal.example"


def test_the_task_finds_what_its_identity_may_read_and_nothing_else(workspace: Workspace) -> None:
    workspace.folder("/hidden")
    jobs.notebook(workspace, "secret", "", folder="/hidden")
    path = jobs.notebook(workspace, "a", "")
    jobs.notebook(workspace, "b", "")
    workspace.call("POST", "2.0/workspace-files/import-file/Shared/a.py?overwrite=true", content=b"x = 1\n")
    run = jobs.run(workspace, jobs.create(workspace, [jobs.task("a", path)], user="dana"))
    tree = workspace.state / "runs" / str(run.run_id) / "a-0" / "workspace"
    entries = {each["path"]: each for each in json.loads((tree / ".workspace.json").read_text())}
    assert {"/Shared", "/Shared/a", "/Shared/b", "/Shared/a.py"} <= set(entries)
    assert not any(each.startswith("/hidden") for each in entries)
    assert "/Users/devin@rehearsal.example" not in entries
    assert entries["/Shared/b"] | {"file": ""} == {
        "path": "/Shared/b",
        "object_type": "NOTEBOOK",
        "language": "PYTHON",
        "format": "SOURCE",
        "file": "",
    }
    # The notebook `a` beside the file `a.py`: each has its own bytes.
    assert (tree / entries["/Shared/a.py"]["file"]).read_bytes() == b"x = 1\n"
    assert (tree / entries["/Shared/a"]["file"]).read_bytes() == b"# Databricks notebook source\n"


def test_the_tokens_of_a_run_reads_the_secrets_of_its_identity(workspace: Workspace) -> None:
    sdk = workspace.sdk()
    sdk.secrets.create_scope("mine")
    sdk.secrets.put_secret("mine", "key", string_value="open sesame")
    path = jobs.notebook(workspace, "a", "secret mine key")
    job_id = jobs.create(workspace, [jobs.task("a", path)], user="dana")
    assert jobs.result(jobs.run(workspace, job_id)) == "FAILED"
    sdk.secrets.put_acl("mine", "dana@rehearsal.example", AclPermission.READ)
    run = jobs.run(workspace, job_id)
    assert jobs.output(workspace, run, "a").logs == "open sesame\n"


def test_nobody_submits_a_run_as_somebody_else(workspace: Workspace) -> None:
    body = {"tasks": [jobs.task("a", "/Shared/a")], "run_as": {"service_principal_name": DEPLOYER}}
    assert workspace.call("POST", "2.2/jobs/runs/submit", user="dana", json=body).status_code == 403
