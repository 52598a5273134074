"""What `deploy` refuses before anything is started: altered artifacts, plans that do more than a release may."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from delivery.__main__ import main
from delivery.console import Progress, RefusedError
from delivery.deploy_refusals import only_guarded, refuse
from delivery.manifest import NAME, Manifest
from delivery.plan import Operation, Plan, Step
from delivery.workdir import prepared
from tests.delivery.repository import Repository, contents, packaged

PARTS = {
    "databricks-cicd:azuredevops:DeploymentGate": "azuredevops:index/checkApproval:CheckApproval",
    "databricks-cicd:azuredevops:BranchPolicies": "azuredevops:index/branchPolicyMinReviewers:BranchPolicyMinReviewers",
    "databricks-cicd:databricks:WorkspaceFolder": "databricks:index/directory:Directory",
    "databricks-cicd:databricks:FolderPermissions": "databricks:index/permissions:Permissions",
    "databricks-cicd:databricks:Notebooks": "databricks:index/notebook:Notebook",
    "databricks-cicd:databricks:Jobs": "databricks:index/job:Job",
    "databricks-cicd:somewhere:Else": "kubernetes:core/v1:Pod",
}


# Neither deploys notebooks, of which the record would know nothing.
GUARDED_ONLY = "up --stack prod --target '**:azuredevops:**'"
WITH_DEPENDENTS = f"{GUARDED_ONLY} --target-dependents"
UNPROTECT = "state unprotect --stack prod 'urn:pulumi:prod::databricks-cicd::"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("release")
    output = folder / "artifact"
    return output, packaged(Repository.full(folder / "repository"), output)


@pytest.fixture
def artifact(release: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # No service and no engine: a refusal must need none.
    for name in ("PATH", "DATABRICKS_HOST", "DATABRICKS_TOKEN", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(release[0], tmp_path / "artifact")
    return tmp_path / "artifact"


def kinds(folder: Path) -> list[str]:
    """A file of every kind that an artifact has: by part and extension."""
    chosen: dict[tuple[str, str], str] = {}
    for path in contents(folder):
        chosen.setdefault((path.split("/", maxsplit=1)[0], Path(path).suffix), path)
    return sorted({*chosen.values(), NAME, "notebooks/report.ipynb"})


def test_one_bit_changed_in_any_kind_of_file_is_refused(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = kinds(artifact)
    assert len(chosen) > 10
    for path in chosen:
        before = (artifact / path).read_bytes()
        if not before:
            continue
        altered = bytearray(before)
        altered[len(altered) // 2] ^= 1
        (artifact / path).write_bytes(altered)
        assert main(["deploy", "--artifact", str(artifact), "--stack", "prod"]) == 1, path
        assert path in capsys.readouterr().err
        (artifact / path).write_bytes(before)


def test_another_artifact_than_the_tested_one_is_refused(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "--artifact", str(artifact), "--stack", "prod", "--digest", "0" * 64]) == 1
    assert f"{'0' * 64}" in capsys.readouterr().err


@pytest.mark.parametrize("digest", [["--digest"], ["--digest", ""]])
def test_without_the_digest_of_a_tested_artifact_nothing_is_deployed_where_one_is_asked_for(
    artifact: Path, digest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "--artifact", str(artifact), "--stack", "prod", *digest]) == 1
    assert "no stage has tested an artifact" in capsys.readouterr().err


def test_an_added_file_and_a_link_are_refused(artifact: Path) -> None:
    (artifact / "components" / "more.py").write_text("")
    (artifact / "notebooks" / "link").symlink_to("load.py")
    with pytest.raises(RefusedError) as raised, prepared(artifact, None, Progress()):
        pytest.fail("it is run")
    assert {mistake.key for mistake in raised.value.mistakes} == {"components/more.py", "notebooks/link"}


def test_what_runs_is_a_copy_that_was_verified_and_the_artifact_stays(
    artifact: Path, release: tuple[Path, Manifest]
) -> None:
    before = contents(artifact)
    with prepared(artifact, release[1].digest, Progress()) as copy:
        assert copy.manifest == release[1]
        assert (copy.folder / ".venv" / "bin" / "python").exists()
        (copy.folder / "Pulumi.prod.yaml").write_text("what Pulumi writes")
        (artifact / "__main__.py").write_text("changed after it was verified")
        assert (copy.folder / "__main__.py").read_bytes() == before["__main__.py"]
        folder = copy.folder
    assert not folder.exists()
    (artifact / "__main__.py").write_bytes(before["__main__.py"])
    assert contents(artifact) == before


def step(component: str, operation: Operation = "update", **more: Any) -> Step:
    token = PARTS[component]
    urn = f"urn:pulumi:prod::databricks-cicd::{component}${token}::thing"
    return Step(operation=operation, urn=urn, type=token, name="thing", components=(component,), **more)


@pytest.mark.parametrize(
    ("wrong", "words", "command"),
    [
        (step("databricks-cicd:azuredevops:DeploymentGate"), "changes the gate", GUARDED_ONLY),
        (step("databricks-cicd:azuredevops:DeploymentGate", "create"), "changes the gate", GUARDED_ONLY),
        (step("databricks-cicd:azuredevops:DeploymentGate", "delete"), "changes the gate", WITH_DEPENDENTS),
        (step("databricks-cicd:azuredevops:BranchPolicies"), "changes the control plane", GUARDED_ONLY),
        (step("databricks-cicd:somewhere:Else", "create"), "kubernetes", "up --stack prod"),
        (step("databricks-cicd:databricks:WorkspaceFolder", "replace"), "replaces the folder", "up --stack prod"),
        (step("databricks-cicd:databricks:WorkspaceFolder", "delete", protected=True), "is protected", UNPROTECT),
        (step("databricks-cicd:databricks:FolderPermissions", "delete", protected=True), "is protected", UNPROTECT),
        (
            step("databricks-cicd:databricks:FolderPermissions", protected=True, changed=("protect",)),
            "is protected",
            UNPROTECT,
        ),
        (step("databricks-cicd:databricks:FolderPermissions", changed=("protect",)), "is protected", "state protect"),
    ],
)
def test_a_plan_that_does_too_much_is_refused_as_a_whole(wrong: Step, words: str, command: str) -> None:
    allowed = step("databricks-cicd:databricks:Notebooks")
    with pytest.raises(RefusedError) as raised:
        refuse(Plan(steps=(allowed, wrong)), "prod")
    [mistake] = raised.value.mistakes
    assert words in mistake.found
    assert f"An administrator does this, with the same commit: pulumi {command}" in mistake.remedy


def test_notebooks_jobs_and_permissions_are_a_releases_own() -> None:
    operations: tuple[Operation, ...] = ("create", "update", "delete", "replace")
    steps = [
        step(component, operation)
        for component in PARTS
        if component.endswith((":Notebooks", ":Jobs", ":FolderPermissions"))
        for operation in operations
    ]
    same = step("databricks-cicd:azuredevops:DeploymentGate", "same")
    made = step("databricks-cicd:databricks:WorkspaceFolder", "create")
    refuse(Plan(steps=(*steps, same, made)), "prod")


def test_the_administrators_command_is_one_that_the_engine_carries_out() -> None:
    """What permissions depend on is taken away only with them, and these want all of the stack to be there."""
    made, gone = (step("databricks-cicd:azuredevops:DeploymentGate", how) for how in ("create", "delete"))
    new, changed = (step("databricks-cicd:databricks:Notebooks", how) for how in ("create", "update"))
    assert only_guarded([made, new], "prod") == f"pulumi {GUARDED_ONLY}"
    assert only_guarded([gone, changed], "prod") == f"pulumi {WITH_DEPENDENTS}"
    assert only_guarded([gone, new], "prod").startswith("pulumi up --stack prod, and at once the release again")
