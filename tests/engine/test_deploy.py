"""`delivery deploy` with the real engine: what it deploys and records, what it refuses, and what it survives."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk.service.workspace import ImportFormat, Language

from tests.engine.releases import (
    FOLDERS,
    content_of,
    delivery,
    deploy,
    package,
    read_json,
    record,
    release_of,
    said,
    there,
)
from tests.engine.shelf import Shelf
from tests.engine.system import System

pytestmark = pytest.mark.engine

LOAD = "load_trips"


@pytest.fixture(scope="module")
def shared(shelf: Shelf) -> Iterator[System]:
    """Both stacks brought up by an administrator, and a release deployed to both."""
    with shelf.system("small") as system:
        first = package(system, "first")
        for stack in FOLDERS:
            outcome = deploy(system, first, stack)
            assert outcome, outcome.text
        yield system


@pytest.fixture
def deployed(shared: System) -> Iterator[System]:
    """The shared system with some release deployed; what a test commits is taken back."""
    commit = shared.project.git("rev-parse", "HEAD")
    yield shared
    shared.workspace.forget()
    shared.project.git("reset", "--quiet", "--hard", commit)


@pytest.fixture
def with_first(deployed: System) -> System:
    """The same with the first release."""
    first = deployed.home / "first"
    for stack in FOLDERS:
        if record(deployed, stack)["current"]["content"] != content_of(first):
            outcome = deploy(deployed, first, stack)
            assert outcome, outcome.text
    return deployed


def snapshot(system: System) -> Any:
    """All that a refused deployment leaves alone: what is in the workspace, and Pulumi's state, history and locks."""
    backend = system.home / "backend" / ".pulumi"
    kept = {str(path.relative_to(backend)): path.read_bytes() for path in backend.rglob("*") if path.is_file()}
    return kept, [(there(system, stack), there(system, stack, record=True)) for stack in FOLDERS]


def test_after_an_administrators_up_a_first_release_is_deployed_and_recorded(with_first: System) -> None:
    deployed, first = with_first, with_first.home / "first"
    manifest = json.loads((first / "manifest.json").read_bytes())
    for stack in ("test", "prod"):
        found = record(deployed, stack)
        assert found["state"] == "deployed"
        assert {key: found["current"][key] for key in ("version", "content", "digest", "commit")} == {
            key: manifest[key] for key in ("version", "content", "digest", "commit")
        }
        assert found["current"]["by"] == "admin@rehearsal.example"
        kept = read_json(deployed, stack, f"{manifest['content']}.json")
        assert kept["files"] == manifest["files"]
        assert read_json(deployed, stack, "lock.json") is None
        history = json.loads(deployed.project.pulumi("stack", "history", "--json", "--stack", stack).text)
        assert history[0]["message"] == f"release {manifest['version']}"
    assert "tests/functional" in there(deployed, "test")
    assert not [path for path in there(deployed, "prod") if path.startswith("tests/")]


def test_what_was_edited_or_deleted_by_hand_is_put_back_and_strays_are_reported(with_first: System) -> None:
    deployed = with_first
    client = deployed.workspace_client().workspace
    before = there(deployed)
    for path in (LOAD, "my own"):
        text, place = b"# Databricks notebook source\nprint('by hand')", f"{FOLDERS['test']}/{path}"
        client.upload(place, text, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True)
    client.delete(f"{FOLDERS['test']}/lib/trips.py")
    outcome = deploy(deployed, deployed.home / "first")
    assert outcome, outcome.text
    assert f"stray, not of the release: {FOLDERS['test']}/my own" in outcome.text
    after = there(deployed)
    assert b"by hand" in after.pop("my own")
    assert after == before
    client.delete(f"{FOLDERS['test']}/my own")


def test_a_release_says_what_it_does_to_people_scripts_and_later_stages(deployed: System) -> None:
    artifact = release_of(deployed, "told", "told")
    pipeline = {"TF_BUILD": "True", "BUILD_BUILDID": "7", "BUILD_BUILDNUMBER": "20261124.7"}
    told = deploy(deployed, artifact, "test", "--approver", "Avery", **pipeline)
    assert told, told.text
    assert f"##vso[task.setvariable variable=content;isOutput=true]{content_of(artifact)}" in told.text
    assert said(deployed, "test") == "told"
    found = record(deployed)
    assert found["current"]["approvers"] == ["Avery"]
    assert found["current"]["run"] == {"id": 7, "number": "20261124.7"}
    assert found["history"][0]["content"] == content_of(artifact)
    again = deploy(deployed, artifact, "test", "--json")
    assert again, again.text
    document = json.loads(again.text[again.text.index("\n{") :])
    assert document["release"]["content"] == content_of(artifact)
    assert document["resources"] == {}


def no_approvers(settings: dict[str, Any]) -> None:
    settings["gate"]["approvers"] = ["avery@rehearsal.example"]


def unprotected(settings: dict[str, Any]) -> None:
    settings["workspace"]["protect"] = False


def no_access(settings: dict[str, Any]) -> None:
    settings["workspace"]["access"] = []


def elsewhere(settings: dict[str, Any]) -> None:
    settings["workspace"]["folder"] = "/elsewhere"


@pytest.mark.parametrize(
    ("change", "words", "command"),
    [
        (no_approvers, "it changes the gate", "pulumi up --stack prod --target '**:azuredevops:**'"),
        (unprotected, "protected from deletion", "pulumi state unprotect --stack prod 'urn:"),
        (no_access, "protect", "pulumi state unprotect --stack prod URN"),
        (elsewhere, "/elsewhere", "pulumi up --stack prod"),
    ],
)
def test_what_a_release_may_not_do_is_refused_with_the_administrators_command(
    deployed: System, change: Callable[[dict[str, Any]], None], words: str, command: str
) -> None:
    deployed.project.settings("prod", change)
    artifact = release_of(deployed, words, change.__name__)
    before = snapshot(deployed)
    # Nobody's environment says yes for it.
    refused = deploy(deployed, artifact, "prod", PULUMI_SKIP_CONFIRMATIONS="true", PULUMI_OPTION_YES="true")
    assert refused.code == 1
    assert words in refused.text
    assert command in refused.text
    assert snapshot(deployed) == before


def other_checks(settings: dict[str, Any]) -> None:
    hours = {"days": ["monday"], "start": "08:00", "end": "17:00", "timeZone": "UTC"}
    settings["gate"] |= {"exclusiveLock": False, "businessHours": hours}


def gate(system: System) -> set[str]:
    """The ids of the checks on production."""
    project = system.project.outputs("test")["project_id"]
    found = system.checks(project, system.project.outputs("prod")["environment_id"])
    return {str(each["id"]) for each in found}


def test_a_rollback_passes_a_gate_that_an_administrator_has_changed_and_leaves_it_as_it_is(deployed: System) -> None:
    """The gate's change takes one check away and adds one, so that the older release has one that isn't there."""
    project, target = deployed.project, ("--target", "**:azuredevops:**", "--target-dependents")
    commit, first = project.git("rev-parse", "HEAD"), gate(deployed)
    old = release_of(deployed, "old", "gate-old", build=1)
    outcome = deploy(deployed, old, "prod")
    assert outcome, outcome.text
    holds = there(deployed, "prod")

    project.settings("prod", other_checks)
    new = release_of(deployed, "new", "gate-new", build=2)
    before = snapshot(deployed)
    refused = deploy(deployed, new, "prod")
    assert refused.code == 1
    assert "pulumi up --stack prod --target '**:azuredevops:**' --target-dependents" in refused.text
    changed = project.up("prod", *target)
    assert changed, changed.text
    assert snapshot(deployed)[1] == before[1], "the administrator's command has deployed something"
    second = gate(deployed)
    assert len(second - first) == len(first - second) == 1
    # A notebook and a folder of its own, which the rollback takes away again.
    (project.path / "sample/later").mkdir()
    (project.path / "sample/later/more.py").write_text("# Databricks notebook source\n")
    newer = release_of(deployed, "newer", "gate-newer", build=3)
    for artifact in (new, newer):
        outcome = deploy(deployed, artifact, "prod", BUILD_REASON="ResourceTrigger")
        assert outcome, outcome.text
    overtaken = deploy(deployed, old, "prod", BUILD_REASON="ResourceTrigger")
    assert "is older than 20261124.3" in overtaken.text

    outcome = deploy(deployed, old, "prod", BUILD_REASON="Manual")
    assert outcome, outcome.text
    for each in ("CheckExclusiveLock gate-lock", "CheckBusinessHours gate-hours"):
        assert f"left as it is today, and not as in that release: gate {each}" in outcome.text
    assert (there(deployed, "prod"), record(deployed, "prod")["state"]) == (holds, "deployed")
    assert gate(deployed) == second
    nothing = delivery(deployed, "drift", "--stack", "prod")
    assert nothing, nothing.text
    outcome = deploy(deployed, newer, "prod", BUILD_REASON="Manual")
    assert outcome, outcome.text
    assert "left as it is today" not in outcome.text

    project.git("reset", "--quiet", "--hard", commit)
    restored = project.up("prod")
    assert restored, restored.text
    assert len(gate(deployed) - second) == 1


def test_a_stack_whose_lock_is_held_is_left_alone_with_a_clear_message(deployed: System) -> None:
    artifact = release_of(deployed, "locked out", "locked")
    locks = deployed.home / "backend" / ".pulumi" / "locks" / "organization" / "databricks-cicd" / "test"
    locks.mkdir(parents=True, exist_ok=True)
    lock = locks / "somebody.json"
    holder = {
        "pid": os.getpid(),
        "username": "ada",
        "hostname": socket.gethostname(),
        "timestamp": "2026-11-24T00:00:00Z",
    }
    lock.write_text(json.dumps(holder))
    before = there(deployed), record(deployed)
    refused = deploy(deployed, artifact)
    lock.unlink()
    assert refused.code == 1
    assert "currently locked" in refused.text
    assert f"ada@{socket.gethostname()}" in refused.text
    assert "nothing was changed" in refused.text
    assert (there(deployed), record(deployed)) == before
    outcome = deploy(deployed, artifact)
    assert outcome, outcome.text


def test_a_deployment_that_fails_on_the_way_is_recorded_so_and_a_repetition_finishes_it(deployed: System) -> None:
    artifact = release_of(deployed, "in the end", "failing")
    old = record(deployed)["current"]
    deployed.workspace.fault("status", method="POST", path="/workspace/import$", status=403, skip=3, count=1000)
    failed = deploy(deployed, artifact)
    assert failed.code == 1
    deployed.workspace.forget()
    assert record(deployed)["current"] == old
    assert record(deployed)["state"] in ("deploying", "failed")
    outcome = deploy(deployed, artifact)
    assert outcome, outcome.text
    assert said(deployed, "test") == "in the end"
    assert record(deployed)["state"] == "deployed"
