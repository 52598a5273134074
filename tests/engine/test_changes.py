"""One change in the files or the settings: exactly the resources concerned, and after `up` just that in the service."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.samples import sample_release
from tests.engine.shelf import Shelf
from tests.engine.system import System

pytestmark = pytest.mark.engine

FOLDER = "/bike-sharing-production"


@pytest.fixture(scope="module")
def deployed(shelf: Shelf) -> Iterator[System]:
    """A system with both stacks deployed, prod with a release and two jobs of its own."""
    with shelf.system("prod") as system:
        sample_release(system.project.path)
        system.project.settings("prod", small)
        system.project.commit("another release")
        system.bring_up("prod")
        yield system


def small(settings: dict[str, Any]) -> None:
    settings["notebooks"] = {"folder": "sample"}
    settings["jobs"] = {"trips": {"notebook": "load_trips"}, "usage": {"notebook": "reports/daily_usage"}}


@pytest.fixture
def changed(deployed: System) -> Iterator[System]:
    """The deployed system; what a test changes in the project is undone and, where it was deployed, deployed back."""
    yield deployed
    deployed.project.git("checkout", "--quiet", "--", ".")
    deployed.project.git("clean", "--quiet", "--force", "-d", "--", "sample")
    outcome = deployed.project.up("prod")
    assert outcome, outcome.text


def edit(notebooks: Path) -> None:
    notebook = notebooks / "load_trips.py"
    notebook.write_text(notebook.read_text() + "\n# COMMAND ----------\nprint('edited')\n")


def add(notebooks: Path) -> None:
    (notebooks / "fresh.py").write_text("# Databricks notebook source\nprint('fresh')\n")


def remove(notebooks: Path) -> None:
    (notebooks / "plan_vans.py").unlink()


def rename(notebooks: Path) -> None:
    (notebooks / "plan_vans.py").rename(notebooks / "plan_trucks.py")


def move(notebooks: Path) -> None:
    (notebooks / "moved").mkdir()
    shutil.move(notebooks / "plan_vans.py", notebooks / "moved" / "plan_vans.py")


CHANGES: dict[str, tuple[Callable[[Path], None], list[tuple[str, str]]]] = {
    "edited": (edit, [("update", "load_trips")]),
    "added": (add, [("create", "fresh")]),
    "removed": (remove, [("delete", "plan_vans")]),
    "renamed": (rename, [("create", "plan_trucks"), ("delete", "plan_vans")]),
    "moved": (
        move,
        [("create", "moved"), ("create", "moved/plan_vans"), ("delete", "plan_vans")],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_notebook_changes_its_own_resource_and_the_digest_in_the_jobs(changed: System, change: str) -> None:
    alter, expected = CHANGES[change]
    before = workspace(changed)
    alter(changed.project.path / "sample")
    changed.workspace.forget()
    outcome = changed.project.up("prod")
    assert outcome, outcome.text
    # And the digest of the release in both jobs.
    assert operations(outcome.text) == Counter(operation for operation, _ in expected) + Counter(update=2)
    digest = changed.project.outputs("prod")["release_digest"]
    for job in changed.workspace_client().jobs.list(expand_tasks=True):
        if job.settings and str(job.settings.name).endswith("(production)"):
            assert (job.settings.tags or {})["release"] == digest[:12]
            assert (job.settings.tags or {})["commit"].endswith("+uncommitted")
    after = workspace(changed)
    for operation, what in expected:
        path = f"{FOLDER}/{what}"
        if what == "moved":  # a folder; the client lists files and notebooks
            continue
        assert (path in after) == (operation != "delete")
        assert (path in before) == (operation != "create")
    untouched = set(before) - {f"{FOLDER}/{what}" for _, what in expected}
    assert {path: before[path] for path in untouched} == {path: after[path] for path in untouched}


def workspace(system: System) -> dict[str, int | None]:
    """All that is in the folder, with the time of its last change."""
    listed = system.workspace_client().workspace.list(FOLDER, recursive=True)
    return {str(each.path): each.modified_at for each in listed}


def operations(text: str) -> dict[str, int]:
    """The counts at the end of what `up` prints; a change of an output is none."""
    words = {"created": "create", "updated": "update", "deleted": "delete", "replaced": "replace"}
    counts = {}
    for line in text[text.rindex("Resources:") :].splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[0] in ("+", "~", "-", "+-") and fields[2] in words:
            counts[words[fields[2]]] = int(fields[1])
    return counts


SETTINGS: dict[str, tuple[str, Callable[[dict[str, Any]], object], list[tuple[str, str]]]] = {
    "instructions of the approval": (
        "prod",
        lambda settings: settings["gate"].update(instructions="Look at the figures first."),
        [("update", "gate-approval")],
    ),
    "approval left out": (
        "prod",
        lambda settings: settings["gate"].pop("approvers"),
        [("delete", "gate-approval"), ("delete", "gate-approvers"), ("delete", "gate-approvers-members")],
    ),
    "one more group": (
        "prod",
        lambda settings: settings["workspace"]["access"].append(
            {"user": "devin@rehearsal.example", "level": "CAN_READ"}
        ),
        [("update", "permissions-access")],
    ),
    "a task's retries": (
        "prod",
        lambda settings: settings["jobs"]["usage"].update(retries=3),
        [("update", "job-usage")],
    ),
    "one job less": (
        "prod",
        lambda settings: settings.update(jobOverrides={"usage": None}),
        [("delete", "job-usage"), ("delete", "job-usage-permissions")],
    ),
    "two reviewers": (
        "test",
        lambda settings: settings["controlPlane"].update(review={"minimumReviewers": 2}),
        [("update", "review-minimum-reviewers")],
    ),
    "a linked work item": (
        "test",
        lambda settings: settings["controlPlane"].update(review={"linkedWorkItem": "required"}),
        [("create", "review-linked-work-item")],
    ),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_changed_setting_changes_exactly_the_resource_concerned(deployed: System, setting: str) -> None:
    stack, change, expected = SETTINGS[setting]
    deployed.project.settings(stack, change)
    try:
        assert deployed.project.steps(stack) == expected
    finally:
        deployed.project.git("checkout", "--quiet", "--", ".")


def test_an_unknown_approver_is_named_and_changes_nothing(deployed: System) -> None:
    deployed.azure.forget()
    deployed.workspace.forget()
    deployed.project.settings("prod", lambda settings: settings["gate"].update(approvers=["nemo@rehearsal.example"]))
    try:
        outcome = deployed.project.up("prod")
    finally:
        deployed.project.git("checkout", "--quiet", "--", ".")
    assert not outcome
    assert "nemo@rehearsal.example" in outcome.text
    assert "Traceback" not in outcome.text
    asked = [*deployed.azure.requests(), *deployed.workspace.requests()]
    assert {each["method"] for each in asked} <= {"GET", "OPTIONS"}
