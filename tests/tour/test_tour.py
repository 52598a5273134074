"""The whole loop, by the pipelines' own YAML: pull request, build, release, approval, production, drift, rollback.

Everything is real but the two services: git, the Pulumi engine and its providers, processes for steps, Spark for jobs,
and a browser for what people do by hand. The tests are in the order of the story; each fixture is the next part of it.
"""

import hashlib
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from rehearsal import pipelines, processes
from rehearsal.toolchain import compute, ensure
from rehearsal.tour import project
from rehearsal.tour.people import RefusedError
from rehearsal.tour.steps import BY_HAND, NEW, NOTEBOOK, OLD, PRODUCTION, Tour
from tests.pages.browsing import chromium
from tests.rehearsal.databricks.clients import Workspace
from tests.rehearsal.release_jobs import Release
from tests.tour import canary, noting_agent, planting
from tests.tour.browsers import Browsers
from tests.tour.outcomes import TEST, Deployed, artifact, deployed, held

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser | None]:
    """Chromium, for all of the story. Without one, outside CI, people do by the interface what they do by hand."""
    with ExitStack() as left:
        try:
            running = left.enter_context(chromium())
        except pytest.skip.Exception:
            running = None
        yield running


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the access tokens of all jobs are noted, one a line."""
    return tmp_path_factory.mktemp("tokens") / "of-jobs"


@pytest.fixture(scope="module")
def tour(browser: Browser | None, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """Both stacks on stand-ins, and nothing built yet. What people do by hand they do in browsers."""
    engine = ensure(print)
    compute.ensure(print)
    act = (lambda team: Browsers(browser, team)) if browser else None
    made = Tour(tmp_path_factory.mktemp("tour") / "folder", print, act)
    made.folder.mkdir()
    try:
        made.bring_up()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(noting_agent.VARIABLE, str(tokens))
            stop_agent(made)
            pipelines.start(made.home, engine, noting_agent.__name__)
        yield made
        if browser:
            browsers(made).close()
    finally:
        processes.stop(made.home)


def stop_agent(tour: Tour) -> None:
    """Ends the agent, in order."""
    agent = processes.find(tour.home, "agent")
    assert agent
    agent.terminate()
    agent.wait(timeout=60)


def browsers(tour: Tour) -> Browsers:
    """The people's browsers; a test that looks at pages is left out where there is none."""
    if not isinstance(tour.hands, Browsers):
        pytest.skip("there is no Chromium; install it, or name one: CHROMIUM=/path/to/chromium")
    return tour.hands


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
def repaired(tour: Tour, second: Deployed) -> Deployed:
    """After a change by hand in production, and its repair."""
    assert second
    tour.drift_and_repair()
    return deployed(tour)


@pytest.fixture(scope="module")
def back(tour: Tour, repaired: Deployed) -> Deployed:
    """After a rollback to the first release."""
    assert repaired
    tour.roll_back()
    return deployed(tour)


def test_the_daily_job_that_was_deployed_gives_the_right_answers_and_again_changes_nothing(tour: Tour) -> None:
    tokens = tour.home.credentials.users["databricks"]
    with Workspace(tour.home.workspace_host, credentials=tokens) as workspace:
        release = Release(workspace)
        [daily] = workspace.sdk().jobs.list(name="daily (test)")
        assert daily.job_id is not None
        seen = []
        for _ in range(2):
            outcome = release.run_job(daily.job_id)
            assert (outcome.errors, outcome.result) == ({}, "SUCCESS")
            assert set(outcome.tasks.values()) == {"SUCCESS"}
            seen.append(release.looked_at())
    first, second = seen
    assert (first["wrong"], second["wrong"]) == ([], [])
    assert {name for name, last in second["written"].items() if last != first["written"][name]} == set()


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


def test_the_pull_request_shows_its_checks_and_one_comment_with_the_changed_cell(opened: Tour) -> None:
    dana = browsers(opened).pull_request("dana", opened.pull_request)
    checks = dana.page.locator("#policies").inner_text()
    for name, state in (("build", "Approved"), ("Minimum number of reviewers", "Queued")):
        assert re.search(rf"{name}\s+{state}", checks), checks
    assert "Not yet: Minimum number of reviewers" in dana.text()
    comment = dana.page.locator("article.comment")
    assert comment.count() == 1
    told = comment.inner_text()
    assert "what a deployment would change" in told
    assert NOTEBOOK.removesuffix(".py") in told
    for mark, line in (("-", OLD), ("+", NEW)):
        assert f"{mark}{line.removeprefix('# MAGIC ')}" in told
    dana.follow(f"run {opened.team.build_of(opened.pull_request)}")
    assert "Succeeded" in dana.page.locator("h1").inner_text()
    dana.follow("Tests")
    assert "test_naming" in dana.text()


def test_the_files_of_the_pull_request_show_the_changed_line(opened: Tour) -> None:
    devin = browsers(opened).pull_request("devin", opened.pull_request, "files")
    assert NEW in devin.page.locator("tr.added").inner_text()
    assert OLD in devin.page.locator("tr.removed").inner_text()


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
    assert NEW.encode() in held(waiting, TEST)[NOTEBOOK.removesuffix(".py")]
    assert held(waiting, PRODUCTION) == first.production


def test_the_suites_results_can_be_read_with_the_release(waiting: Tour) -> None:
    build = f"vstfs:///Build/Build/{waiting.release}"
    devin = waiting.team.person("devin")
    runs = devin.ask("GET", "_apis/test/runs", buildUri=build, includeRunDetails="true")["value"]
    assert all(run["passedTests"] for run in runs)
    assert not any(run["unanalyzedTests"] for run in runs)
    shown = browsers(waiting).run("devin", waiting.release, "tests").text()
    for suite in ("test_ingest_takes_every_line_of_every_file", "test_the_week_at_once", "test_as_many_rows_a_second"):
        assert suite in shown
    assert "Failed" not in shown


def test_the_approval_shows_what_it_would_change_who_may_give_it_and_what_else_holds(waiting: Tour) -> None:
    avery = browsers(waiting).run("avery", waiting.release)
    assert "Production waits for an approval" in avery.text()
    avery.follow("Review")
    shown = avery.page.locator("main").inner_text()
    for words in (
        "production gets 1 commit",
        "Say when demand is published",
        f"/notebooks/{NOTEBOOK}",
        "Production approvers",
    ):
        assert words in shown
    assert NEW in avery.page.locator("tr.added").inner_text()
    assert OLD in avery.page.locator("tr.removed").inner_text()
    for check in ("Exclusive lock", "Branch control", "Approval"):
        assert check in shown
    dana = browsers(waiting).run("dana", waiting.release)
    dana.follow("Review")
    dana.press("Approve")
    assert dana.refusal
    assert waiting.team.approval(waiting.release)["status"] == "pending"


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


def test_artifact_manifest_record_build_and_commit_agree(tour: Tour, second: Deployed) -> None:
    built = artifact(tour, tour.build)
    run = tour.team.run(tour.build)
    manifest = built.manifest
    assert manifest["commit"] == run["sourceVersion"]
    assert manifest["branch"] == run["sourceBranch"] == "refs/heads/main"
    assert manifest["build"] == {"id": tour.build, "number": run["buildNumber"]}
    assert manifest["digest"] == built.digest
    for record in second.records.values():
        for name in ("version", "commit", "branch", "build", "digest", "content"):
            assert record["current"][name] == manifest[name], name
    # Every file is the commit's, and the manifest tells the truth of it.
    project.git(tour.clone, "fetch", "--quiet", "origin", environment=tour.team.person("dana").git())
    assert project.git(tour.clone, "rev-parse", "origin/main") == manifest["commit"]
    assert set(built.files) == {each["path"] for each in manifest["files"]}
    command = ["git", "show"]
    for each in manifest["files"]:
        content = built.files[each["path"]]
        assert hashlib.sha256(content).hexdigest() == each["sha256"], each["path"]
        committed = subprocess.run(
            [*command, f"{manifest['commit']}:{each['path']}"], cwd=tour.clone, check=True, capture_output=True
        )
        assert content == committed.stdout, each["path"]


def test_test_and_production_hold_the_artifacts_bytes(tour: Tour, second: Deployed) -> None:
    built = artifact(tour, tour.build)
    wanted = {}
    for each in built.manifest["files"]:
        if each["part"] == "notebooks":
            content = built.files[each["path"]]
            path = each["path"].removeprefix("notebooks/")
            is_notebook = b"Databricks notebook source" in content.partition(b"\n")[0] or path.endswith(".ipynb")
            wanted[path.rpartition(".")[0] if is_notebook else path] = content
    assert len(wanted) > 10
    assert second.test == wanted
    assert second.production == wanted


def test_production_is_seen_in_the_workspace_with_the_notebook_rendered(tour: Tour, second: Deployed) -> None:
    assert second
    dana = browsers(tour).at_databricks("dana")
    dana.open("/browse/")
    dana.follow(f"{PRODUCTION.removeprefix('/')}/")
    dana.follow(NOTEBOOK.removesuffix(".py"))
    first_cell = dana.page.locator("section.cell").first
    assert first_cell.locator("h1").inner_text() == "Publish"
    assert NEW.removeprefix("# MAGIC ") in first_cell.inner_text()
    dana.follow("Edit")
    dana.press("Save")
    assert "does not have Edit permissions" in dana.refusal


def test_the_status_page_shows_the_same_release_in_both_environments(tour: Tour, second: Deployed) -> None:
    dana = browsers(tour).at_databricks("dana")
    dana.open("/status")
    assert "All environments have the same release." in dana.text()
    for folder, record in second.records.items():
        shown = dana.page.get_by_label(folder, exact=True).inner_text()
        for name in ("version", "commit", "content", "digest"):
            assert record["current"][name] in shown
    assert "Avery Approver" in dana.page.get_by_label(PRODUCTION, exact=True).inner_text()


def test_a_change_by_hand_is_found_and_taken_back(repaired: Deployed, second: Deployed) -> None:
    assert repaired.production == second.production
    assert not any(BY_HAND.strip().encode() in content for content in repaired.production.values())


def test_a_rollback_puts_the_earlier_release_back_byte_for_byte(back: Deployed, first: Deployed) -> None:
    assert back.production == first.production
    assert back.test == first.test
    for folder in (TEST, PRODUCTION):
        assert back.records[folder]["current"]["content"] == first.records[folder]["current"]["content"]


def test_no_credential_is_anywhere_and_one_that_is_planted_is_found_in_each_kind_of_place(
    tour: Tour, back: Deployed, tokens: Path
) -> None:
    assert back
    of_jobs = tokens.read_text(encoding="ascii").split()
    # Builds, releases with a job for each stage and one for the suites, a preview.
    assert len(of_jobs) >= 12
    planted = secrets.token_urlsafe(32)
    planting.plant(tour, planted)
    search = canary.Search([*canary.secrets(tour.home), *of_jobs, planted])
    for place in canary.places(tour.team):
        search.look(place)
    assert {kind for kind, _ in search.found.pop(planted)} == canary.KINDS
    assert sorted({place for places in search.found.values() for place in places}) == []


def test_the_checkouts_own_files_stay_as_they_are(tour: Tour, back: Deployed) -> None:
    assert back
    assert project.git(tour.project, "status", "--porcelain") == ""
