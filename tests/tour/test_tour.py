"""The whole loop, by the pipelines' own YAML: pull request, build, release, approval, production, drift, rollback.

Everything is real but the two services: git, the Pulumi engine and its providers, processes for steps, Spark for jobs.
The tests are in the order of the story; each fixture is the next part of it.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from rehearsal import processes
from rehearsal.toolchain import compute, ensure
from rehearsal.tour import project
from rehearsal.tour.people import RefusedError
from rehearsal.tour.steps import NEW, NOTEBOOK, PRODUCTION, Tour

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2400)]

TEST = "/bike-sharing-test"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """Both stacks on stand-ins, and nothing built yet."""
    ensure(print)
    compute.ensure(print)
    made = Tour(tmp_path_factory.mktemp("tour") / "folder", print)
    made.folder.mkdir()
    try:
        made.bring_up()
        yield made
    finally:
        processes.stop(made.home)


@dataclass
class Deployed:
    """What both environments hold at a moment: path below the folder -> content, and the recorded releases."""

    test: dict[str, str]
    production: dict[str, str]
    records: dict[str, Any]


def held(tour: Tour, folder: str) -> dict[str, str]:
    """The sources of a folder of the workspace, by path; the record and the tests are left out."""
    token = tour.home.credentials.users["databricks"]["administrator"]
    found: dict[str, str] = {}
    with httpx.Client(
        trust_env=False, base_url=tour.home.workspace_host, headers={"Authorization": f"Bearer {token}"}
    ) as client:

        def walk(path: str) -> None:
            for each in client.get("/api/2.0/workspace/list", params={"path": path}).json().get("objects", []):
                name = each["path"].removeprefix(f"{folder}/")
                if name in (".release", "tests"):
                    continue
                if each["object_type"] == "DIRECTORY":
                    walk(each["path"])
                else:
                    query = {"path": each["path"], "format": "AUTO"}
                    answer = client.get("/api/2.0/workspace/export", params=query).raise_for_status().json()
                    found[name] = base64.b64decode(answer["content"]).decode()

        walk(folder)
    return found


def deployed(tour: Tour) -> Deployed:
    """Both environments now."""
    records = {folder: tour.record(folder) for folder in (TEST, PRODUCTION)}
    return Deployed(held(tour, TEST), held(tour, PRODUCTION), records)


@pytest.fixture(scope="module")
def first(tour: Tour) -> Deployed:
    """After the first release."""
    tour.first_release()
    return deployed(tour)


@pytest.fixture(scope="module")
def opened(tour: Tour, first: Deployed) -> Tour:
    """With a pull request that was built."""
    assert first
    tour.change_a_notebook()
    return tour


@pytest.fixture(scope="module")
def waiting(opened: Tour) -> Tour:
    """Merged, built, deployed to test, tested; and waiting for the approval of production."""
    opened.review()
    opened.merge()
    return opened


@pytest.fixture(scope="module")
def second(waiting: Tour) -> Deployed:
    """After the second release."""
    waiting.approve()
    return deployed(waiting)


@pytest.fixture(scope="module")
def back(tour: Tour, second: Deployed) -> Deployed:
    """After a drift that was repaired, and a rollback to the first release."""
    assert second
    tour.drift_and_repair()
    tour.roll_back()
    return deployed(tour)


def test_the_first_release_is_the_commit_that_was_pushed_first(tour: Tour, first: Deployed) -> None:
    commit = project.git(tour.project, "rev-parse", "HEAD")
    for record in first.records.values():
        assert record["state"] == "deployed"
        assert record["current"]["commit"] == commit
        assert record["current"]["build"]["id"] == tour.first
    assert first.test == first.production


def test_nobody_pushes_to_main(opened: Tour) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        opened.team.push("devin", opened.clone, "refs/heads/main")
    assert "TF402455" in str(refused.value.stderr)


def test_the_pull_request_has_one_comment_that_shows_the_changed_cell(opened: Tour) -> None:
    [comment] = opened.team.threads(opened.pull_request)[0]["comments"]
    assert len(opened.team.threads(opened.pull_request)) == 1
    assert NEW.removeprefix("# MAGIC ") in comment["content"]
    assert NOTEBOOK.removesuffix(".py") in comment["content"]


def test_a_pull_request_is_not_merged_with_its_authors_vote_alone_and_not_with_an_open_comment(opened: Tour) -> None:
    opened.team.vote("dana", opened.pull_request)
    standing = opened.team.evaluations(opened.pull_request)
    assert standing["Build"] == "approved"
    assert standing["Minimum number of reviewers"] != "approved"
    with pytest.raises(RefusedError, match="reviewer must approve"):
        opened.team.complete("dana", opened.pull_request)
    opened.team.ask_about("devin", opened.pull_request, "Which day?")
    assert opened.team.evaluations(opened.pull_request)["Comment requirements"] != "approved"
    with pytest.raises(RefusedError, match=r"(?i)comment"):
        opened.team.complete("dana", opened.pull_request)


def test_the_release_waits_with_test_deployed_and_tested_and_production_as_it_was(
    waiting: Tour, first: Deployed
) -> None:
    stages = {each["name"]: each for each in waiting.team.records(waiting.release) if each["type"] == "Stage"}
    assert stages["Test"]["result"] == "succeeded"
    assert stages["Production"]["state"] != "completed"
    assert NEW in held(waiting, TEST)[NOTEBOOK.removesuffix(".py")]
    assert held(waiting, PRODUCTION) == first.production


def test_the_suites_results_can_be_read_with_the_release(waiting: Tour) -> None:
    build = f"vstfs:///Build/Build/{waiting.release}"
    devin = waiting.team.person("devin")
    runs = devin.ask("GET", "_apis/test/runs", buildUri=build, includeRunDetails="true")["value"]
    assert sum(run["totalTests"] for run in runs) > 3
    assert all(run["passedTests"] == run["totalTests"] for run in runs)


@pytest.mark.parametrize("key", ["dana", "nobody"])
def test_who_is_no_approver_approves_nothing(waiting: Tour, key: str) -> None:
    approval = waiting.team.approval(waiting.release)
    with pytest.raises(RefusedError):
        waiting.team.decide(key, approval, "approved", "Let me.")
    assert waiting.team.approval(waiting.release)["status"] == "pending"


def test_production_gets_the_bytes_that_were_tested_and_the_record_says_so(tour: Tour, second: Deployed) -> None:
    assert second.production == second.test
    test, production = second.records[TEST]["current"], second.records[PRODUCTION]["current"]
    assert production["digest"] == test["digest"]
    assert production["content"] == test["content"]
    assert production["commit"] == tour.team.run(tour.build)["sourceVersion"]
    assert production["build"]["id"] == tour.build
    assert any("avery" in str(each).lower() for each in production["approvers"])


def test_what_is_deployed_is_what_the_commit_holds(tour: Tour, second: Deployed) -> None:
    project.git(tour.clone, "fetch", "--quiet", "origin", environment=tour.team.person("dana").git())
    commit = second.records[PRODUCTION]["current"]["commit"]
    written = project.git(tour.clone, "show", f"{commit}:notebooks/{NOTEBOOK}")
    assert second.production[NOTEBOOK.removesuffix(".py")].strip() == written


def test_a_rollback_puts_the_earlier_release_back_byte_for_byte(back: Deployed, first: Deployed) -> None:
    assert back.production == first.production
    assert back.test == first.test
    for folder in (TEST, PRODUCTION):
        assert back.records[folder]["current"]["content"] == first.records[folder]["current"]["content"]


def test_no_credential_is_in_a_log_a_comment_an_artifact_or_a_state(tour: Tour, back: Deployed) -> None:
    assert back
    known = json.loads((tour.home.path / "credentials.json").read_text())
    secrets = [known["control"], *(token for users in known["users"].values() for token in users.values())]
    secrets.append(tour.home.passphrase.read_text().strip())
    for thread in tour.team.threads(tour.pull_request):
        assert not any(secret in json.dumps(thread) for secret in secrets)
    needles = [secret.encode() for secret in secrets]
    needles += [base64.b64encode(f":{secret}".encode()) for secret in secrets]
    kept = {tour.home.path / "credentials.json", tour.home.passphrase}
    # The stand-in keeps the variable groups' values, as the service does; tokens of jobs are other ones.
    vaults = ("azuredevops.sqlite", "databricks.sqlite")
    for file in sorted(tour.home.path.rglob("*")):
        if file.is_symlink() or not file.is_file() or file in kept or file.name.startswith(vaults):
            continue
        content = file.read_bytes()
        assert not any(needle in content for needle in needles), file.relative_to(tour.home.path)
    for number in (tour.first, tour.build, tour.release):
        for record in tour.team.records(number):
            if record.get("log"):
                log = tour.team.person("devin").ask("GET", f"_apis/build/builds/{number}/logs/{record['log']['id']}")
                assert not any(secret in str(log) for secret in secrets), record["name"]


def test_the_checkouts_own_files_stay_as_they_are(tour: Tour, back: Deployed) -> None:
    assert back
    assert project.git(tour.project, "status", "--porcelain") == ""
