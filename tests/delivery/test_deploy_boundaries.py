"""What `deploy` and `drift --repair` leave alone: gates, newer releases, and what people have put into the folder."""

import json
from typing import Any, Literal

import pytest
from databricks.sdk.service.workspace import ImportFormat

from delivery.plan import GUARDED, Operation, Plan, Step
from delivery.pulumi_cli import PulumiError
from tests.delivery.pretended import FOLDER, Site


def newer(site: Site, what: Literal["current", "attempt"] = "current") -> Any:
    """Lets what is recorded be of a later build than any other here; gives the record."""
    told = site.record()
    later = {"id": told[what]["build"]["id"] + 1, "number": "20261123.5"}
    for each in (told[what], *(told["history"][:1] if what == "current" else ())):
        each["build"] = later
    site.workspace().write_json("record.json", told)
    return told


def test_a_release_that_started_by_itself_does_not_put_an_older_build_over_a_newer_one(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("new") == 0
    record = newer(site)
    monkeypatch.setenv("BUILD_REASON", "ResourceTrigger")
    assert site.deploy("old") == 1
    assert "is older than 20261123.5, which is deployed to prod" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"new"}, record)
    monkeypatch.setenv("BUILD_REASON", "Manual")  # a rollback
    assert site.deploy("old") == 0
    assert site.there() == {"old"}


def test_a_newer_build_that_is_half_deployed_is_not_overtaken_either(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("old") == 0
    site.engine.error = PulumiError("pulumi up", ["no quota left"], Plan())
    assert site.deploy("new") == 1
    record = newer(site, "attempt")
    site.engine.error = None
    monkeypatch.setenv("BUILD_REASON", "ResourceTrigger")
    assert site.deploy("old") == 1
    assert "is older than 20261123.5, which has begun to be deployed to prod" in capsys.readouterr().err
    assert site.record() == record


def guarded(component: str = "DeploymentGate", kind: str = "CheckApproval") -> Step:
    token = f"azuredevops:index/{kind[0].lower()}{kind[1:]}:{kind}"
    outer = f"databricks-cicd:azuredevops:{component}"
    urn = f"urn:pulumi:prod::databricks-cicd::{outer}${token}::the-{kind.lower()}"
    return Step(operation="update", urn=urn, type=token, name=f"the-{kind.lower()}", components=(outer,))


def test_a_rollback_leaves_control_plane_and_gate_as_they_are_and_names_what_it_leaves(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("new") == 0
    newer(site)
    site.engine.planned = (guarded(), guarded("BranchPolicies", "BranchPolicyMinReviewers"))
    monkeypatch.setenv("BUILD_REASON", "Manual")
    capsys.readouterr()
    assert site.deploy("old", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left"] == [
        "gate CheckApproval the-checkapproval",
        "control plane BranchPolicyMinReviewers the-branchpolicyminreviewers",
    ]
    assert site.there() == {"old"}
    assert site.engine.excluded == [(), (GUARDED,)]
    # What lies between the two is older than something that was there, too.
    assert site.deploy("new") == 0
    assert "left as it is today, and not as in that release: gate CheckApproval" in capsys.readouterr().out


def test_a_release_that_is_no_rollback_may_not_change_a_gate(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.deploy("old") == 0
    record = site.record()
    site.engine.planned = (guarded(),)
    for reason in ("Manual", "ResourceTrigger"):
        monkeypatch.setenv("BUILD_REASON", reason)
        assert site.deploy("new") == 1
        assert f"pulumi up --stack prod --target '{GUARDED}'" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"old"}, record)


def test_a_rollback_is_refused_where_the_engine_would_change_a_gate_all_the_same(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("new") == 0
    record = newer(site)
    site.engine.planned, site.engine.obeys = (guarded(),), False
    assert site.deploy("old") == 1
    assert "it changes the gate" in capsys.readouterr().err
    assert (site.there(), site.record()) == ({"new"}, record)


def test_a_gate_that_has_drifted_does_not_keep_the_rest_from_being_put_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy("old") == 0
    site.by_hand("data/stations.csv")
    token = "databricks:index/permissions:Permissions"
    urn = f"urn:pulumi:prod::databricks-cicd::databricks-cicd:databricks:FolderPermissions${token}::access"
    site.engine.planned = (guarded(), Step(operation="update", urn=urn, type=token, name="access"))
    assert site.drift("--repair", "--artifact", str(site.releases["old"])) == 0
    assert site.engine.excluded == [(), [GUARDED]]
    told = capsys.readouterr().err
    assert "not put back: CheckApproval the-checkapproval: it changes the gate" in told
    assert f"an administrator does it: pulumi up --stack prod --target '{GUARDED}' --refresh" in told
    site.engine.obeys = False
    site.by_hand("data/stations.csv")
    assert site.drift("--repair", "--artifact", str(site.releases["old"])) == 0
    assert len(site.engine.excluded) == 2


NEW = "databricks:index/workspaceFile:WorkspaceFile"
DIRECTORY = "databricks:index/directory:Directory"


def own(operation: Operation, token: str, path: str) -> Step:
    """A step of the plan about a notebook, a file or a folder."""
    outer = "databricks-cicd:databricks:Notebooks"
    urn = f"urn:pulumi:prod::databricks-cicd::{outer}${token}::{path}"
    inputs = {"path": f"{FOLDER}/{path}"}
    old, new = (inputs, {}) if operation == "delete" else ({}, inputs)
    return Step(operation=operation, urn=urn, type=token, name=path, components=(outer,), old=old, new=new)


STATIONS = "data/stations.csv"


@pytest.mark.parametrize(
    ("stray", "plan", "words"),
    [
        (STATIONS, (own("create", NEW, STATIONS),), "which has a file there"),
        ("data", (own("create", DIRECTORY, "data"),), "which has a folder there"),
        ("load/mine.csv", (own("create", "databricks:index/notebook:Notebook", "load"),), "which has a notebook there"),
        ("past/mine.csv", (own("delete", DIRECTORY, "past"), own("delete", NEW, "past/ours.csv")), "this one removes"),
        ("past/a/b.csv", (own("delete", DIRECTORY, "past"), own("delete", NEW, "past/ours.csv")), "this one removes"),
    ],
)
def test_what_a_person_has_put_in_a_releases_way_is_refused_by_name_before_anything_is_changed(
    site: Site, stray: str, plan: tuple[Step, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (stray, "past/ours.csv"):
        site.by_hand(path)
    before = site.workspace().tree(folders=True)
    site.engine.planned = plan
    assert site.deploy("new") == 1
    told = capsys.readouterr().err
    assert words in told
    assert f"error: {FOLDER}/{stray.removesuffix('/mine.csv') if words.startswith('which') else stray}: " in told
    assert "past/ours.csv" not in told
    assert site.workspace().tree(folders=True) == before
    assert site.record() is None


def test_what_a_cut_off_deployment_has_left_is_no_stray_nor_is_what_is_the_same(site: Site) -> None:
    client = site.workspace().client.workspace
    client.mkdirs(f"{FOLDER}/data")
    client.upload(f"{FOLDER}/{STATIONS}", b"new", format=ImportFormat.RAW)
    site.engine.planned = (own("create", DIRECTORY, "data"), own("create", NEW, STATIONS))
    site.engine.error = PulumiError("pulumi up", ["no quota left"], Plan())
    assert site.deploy("new") == 1
    assert site.record()["state"] == "failed"
    site.by_hand(STATIONS)
    site.engine.error = None
    assert site.deploy("new") == 0
    assert site.there() == {"new"}
