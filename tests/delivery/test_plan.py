"""The engine's events as a plan, and the area of each step."""

import json
from typing import Any

import pytest

from delivery.plan import SECRET, SECRET_SIGNATURE, Step, area, errors_of, plan_of
from delivery.preview_changes import changes_of
from delivery.pulumi_cli import masker
from tests.delivery.reports import step

NOTEBOOK = "databricks:index/notebook:Notebook"
URN = f"urn:pulumi:prod::databricks-cicd::databricks-cicd:databricks:Notebooks${NOTEBOOK}::notebook-load"


def event(operation: str, *, name: str = "resourcePreEvent", urn: str = URN, **more: Any) -> dict[str, Any]:
    old = {"inputs": {"path": "/p/load"}, "outputs": {"md5": "1"}, "id": "/p/load"}
    metadata = {
        "op": operation,
        "urn": urn,
        "type": urn.split("::")[2].rsplit("$", maxsplit=1)[-1],
        "old": old,
        "new": old,
        **more,
    }
    return {name: {"metadata": metadata}}


def test_a_step_has_its_operation_names_and_properties() -> None:
    [found] = plan_of([event("update", detailedDiff={"md5": {"diffKind": "update"}})]).changes
    assert (found.operation, found.kind, found.name, found.changed) == ("update", "Notebook", "notebook-load", ("md5",))
    assert found.components == ("databricks-cicd:databricks:Notebooks",)
    assert found.new == {"path": "/p/load"}


def test_a_replacement_is_one_step_and_names_its_cause() -> None:
    cause = {"path": {"diffKind": "update-replace"}, "language": {"diffKind": "update"}}
    events = [event(each, detailedDiff=cause) for each in ("create-replacement", "replace", "delete-replaced")]
    [found] = plan_of(events).changes
    assert (found.operation, found.replaces, found.destroys) == ("replace", ("path",), True)


def test_protection_that_is_taken_off_is_a_change_though_the_engine_calls_it_the_same() -> None:
    states: dict[str, Any] = {side: {"inputs": {}, "outputs": {}, "protect": side == "old"} for side in ("old", "new")}
    [found] = plan_of([event("same", **states)]).changes
    assert (found.operation, found.changed, found.protected) == ("update", ("protect",), True)
    [change], _ = changes_of({"prod": plan_of([event("same", **states)])})
    assert change.reason == "protection against deletion is taken off"


def test_what_a_refresh_finds_is_known_afterwards() -> None:
    after = {"inputs": {}, "outputs": {"md5": "2"}, "id": "/p/load"}
    plan = plan_of([event("refresh"), event("update", name="resOutputsEvent", new=after)])
    assert [(each.operation, each.changed) for each in plan.changes] == [("update", ("md5",))]


def test_a_secret_never_leaves_the_events() -> None:
    state = {"inputs": {"value": {SECRET_SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}}}
    [found] = plan_of([event("update", old=state, new=state)]).changes
    assert found.new == {"value": SECRET}
    environment = {"DATABRICKS_TOKEN": 'canary"\\token', "DATABRICKS_HOST": "https://host.example"}
    text = json.dumps({"words": 'canary"\\token', "host": "https://host.example"})
    assert json.loads(masker(environment)(text)) == {"words": "***", "host": "https://host.example"}


def test_the_engines_errors_name_the_resource() -> None:
    told = {"diagnosticEvent": {"urn": URN, "severity": "error", "message": " it can't\n"}}
    assert errors_of([told, told]) == ["notebook-load: it can't"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("BranchPolicyMinReviewers", "control plane"),
        ("CheckApproval", "gate"),
        ("Permissions", "permissions"),
        ("Directory", "folder"),
        ("Notebook", "notebooks"),
        ("Job", "jobs"),
    ],
)
def test_every_component_has_its_area(kind: str, expected: str) -> None:
    assert area(step("update", kind, "x")) == expected


def test_what_is_new_in_azure_devops_belongs_to_the_control_plane() -> None:
    for token in ("azuredevops:index/wiki:Wiki", "databricks-cicd:azuredevops:Anything"):
        assert area(Step(operation="update", urn="urn", type=token, name="x")) == "control plane"


def test_a_job_that_only_takes_over_the_release_is_counted_and_not_shown() -> None:
    def inputs(digest: str, **more: Any) -> dict[str, Any]:
        described = f"Daily.\n\nRelease {digest * 64}, commit {digest * 40}"
        return {"name": "daily", "description": described, "tags": {"release": digest, "commit": digest}, **more}

    quiet = step("update", "Job", "job-daily", old=inputs("a"), new=inputs("b"))
    loud = step("update", "Job", "job-late", old=inputs("a", timeout=1), new=inputs("b", timeout=2))
    changes, following = changes_of({"prod": plan_of([]), "test": type(plan_of([]))(steps=(quiet, loud))})
    assert following == 1
    assert [(each.step.name, [value.path for value in each.values]) for each in changes] == [("job-late", ["timeout"])]
