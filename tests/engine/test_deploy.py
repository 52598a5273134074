"""`delivery deploy` with the real engine: what it deploys and records, what it refuses, and what it survives."""

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk.service.workspace import ImportFormat, Language

from rehearsal.toolchain import Toolchain
from tests.engine.releases import (
    FOLDERS,
    content_of,
    delivery,
    deploy,
    killed,
    package,
    read_json,
    record,
    release_of,
    small,
    there,
)
from tests.engine.system import System

pytestmark = pytest.mark.engine

LOAD = "load_trips"
# When a deployment is killed: after so many percent of the requests that a whole one makes to Databricks.
PERCENT = range(2, 100, 3)
MOMENTS = sorted(random.Random("killed deployments").sample(PERCENT, 4))  # noqa: S311 - a choice of moments


@pytest.fixture(scope="module")
def shared(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Both stacks brought up by an administrator, with a small release."""
    system = System(tmp_path_factory.mktemp("system"), toolchain)
    try:
        small(system)
        for stack in ("test", "prod"):
            outcome = system.project.up(stack)
            assert outcome, outcome.text
        yield system
    finally:
        system.close()


@pytest.fixture
def deployed(shared: System) -> Iterator[System]:
    """The shared system with its release deployed; what a test commits is taken back."""
    commit = shared.project.git("rev-parse", "HEAD")
    first = shared.home / "first"
    if not first.exists():
        package(shared, "first")
    for stack in ("test", "prod"):
        current = record(shared, stack)["current"]
        if not current or current["content"] != content_of(first) or record(shared, stack)["state"] != "deployed":
            outcome = deploy(shared, first, stack)
            assert outcome, outcome.text
    yield shared
    shared.workspace.forget()
    shared.project.git("reset", "--quiet", "--hard", commit)


def said(system: System, stack: str = "test") -> str:
    """What the notebook in the workspace prints."""
    return there(system, stack)[LOAD].decode().split("'")[1]


def snapshot(system: System) -> Any:
    """All that a refused deployment leaves alone."""
    return [(there(system, stack), there(system, stack, record=True)) for stack in FOLDERS]


def test_after_an_administrators_up_a_first_release_is_deployed_and_recorded(deployed: System) -> None:
    first = deployed.home / "first"
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
    assert "tests/functional" in there(deployed, "test")
    assert not [path for path in there(deployed, "prod") if path.startswith("tests/")]


def test_a_release_says_what_it_does_to_people_scripts_and_later_stages(deployed: System) -> None:
    artifact = release_of(deployed, "told", "told")
    pipeline = {"TF_BUILD": "True", "BUILD_BUILDID": "7", "BUILD_BUILDNUMBER": "20261124.7"}
    told = deploy(deployed, artifact, "test", "--approver", "Avery", **pipeline)
    assert told, told.text
    assert f"##vso[task.setvariable variable=content;isOutput=true]{content_of(artifact)}" in told.text
    assert said(deployed) == "told"
    found = record(deployed)
    assert found["current"]["approvers"] == ["Avery"]
    assert found["current"]["run"] == {"id": 7, "number": "20261124.7"}
    assert found["history"][0]["content"] == content_of(artifact)
    again = deploy(deployed, artifact, "test", "--json")
    assert again, again.text
    document = json.loads(again.text[again.text.index("\n{") :])
    assert document["release"]["content"] == content_of(artifact)
    assert document["resources"] == {}


def test_what_was_edited_or_deleted_by_hand_is_put_back_and_strays_are_reported(deployed: System) -> None:
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


def no_approvers(settings: dict[str, Any]) -> None:
    settings["gate"]["approvers"] = ["avery@rehearsal.example"]


def unprotected(settings: dict[str, Any]) -> None:
    settings["workspace"]["protect"] = False


def no_access(settings: dict[str, Any]) -> None:
    settings["workspace"]["access"] = []


def elsewhere(settings: dict[str, Any]) -> None:
    settings["workspace"]["folder"] = "/elsewhere"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_approvers, "it changes the gate"),
        (unprotected, "protected from deletion"),
        (no_access, "protect"),
        (elsewhere, "/elsewhere"),
    ],
)
def test_what_a_release_may_not_do_is_refused_with_the_administrators_command(
    deployed: System, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    deployed.project.settings("prod", change)
    artifact = release_of(deployed, words, change.__name__)
    before = snapshot(deployed)
    refused = deploy(deployed, artifact, "prod")
    assert refused.code == 1
    assert words in refused.text
    assert "pulumi up --stack prod" in refused.text
    assert snapshot(deployed) == before


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
    assert said(deployed) == "in the end"
    assert record(deployed)["state"] == "deployed"


def check_truth(system: System, releases: dict[str, str]) -> None:
    """The record is true: a release that it says is deployed is there, and otherwise it doesn't say so.

    `releases` has what the notebook prints, by the release's content.
    """
    found = record(system)
    current = releases[found["current"]["content"]]
    if found["state"] == "deployed":
        assert found["attempt"] is None
        assert said(system) == current
    else:
        assert found["state"] == "deploying"
        assert said(system) in (current, releases[found["attempt"]["content"]])


def kill_and_repeat(system: System, moment: int) -> None:
    old, new = f"before {moment}", f"after {moment}"
    releases = {}
    for text in (old, new):
        artifact = release_of(system, text, text.replace(" ", "-"))
        releases[content_of(artifact)] = text
        if text == old:
            system.workspace.forget()
            outcome = deploy(system, artifact)
            assert outcome, outcome.text
    last = len(system.workspace.requests()) * moment // 100
    system.workspace.forget()
    arguments = ["deploy", "--artifact", str(artifact), "--stack", "test"]
    # Of this test's own requests there are none meanwhile: those to the control endpoints aren't in the log.
    cut = killed(system, arguments, lambda: len(system.workspace.requests()) >= last, artifact)
    check_truth(system, releases)
    assert cut or moment > 80, "the deployment was over before it was killed"
    if not cut:
        assert said(system) == new
        return
    outcome = deploy(system, artifact)
    assert outcome, outcome.text
    assert said(system) == new
    found = record(system)
    assert (found["state"], releases[found["current"]["content"]]) == ("deployed", new)
    assert read_json(system, "test", "lock.json") is None
    preview = delivery(system, "drift", "--stack", "test")
    assert preview, preview.text


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment_the_record_is_true_and_a_repetition_finishes(deployed: System, moment: int) -> None:
    kill_and_repeat(deployed, moment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [each for each in PERCENT if each not in MOMENTS])
def test_killed_at_any_moment_the_record_is_true_and_a_repetition_finishes(deployed: System, moment: int) -> None:
    kill_and_repeat(deployed, moment)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_with_databricks_down_in_the_middle_a_repetition_finishes(deployed: System) -> None:
    artifact = release_of(deployed, "after the outage", "outage")
    old = record(deployed)["current"]
    # The clients repeat for minutes before they give up.
    deployed.workspace.fault("reset-before", path="/workspace/", skip=12, count=1_000_000)
    failed = deploy(deployed, artifact)
    assert failed.code in (1, 2)
    assert "Traceback" not in failed.text
    deployed.workspace.forget()
    assert record(deployed)["state"] in ("deploying", "failed")
    assert record(deployed)["current"] == old
    outcome = deploy(deployed, artifact)
    assert outcome, outcome.text
    assert said(deployed) == "after the outage"
