"""What the product's own pipelines and policies refuse, and where one reads why; and several changes at once.

One small project on one rehearsal, brought up by the program: its YAML is run by the agent, with real git and the real
engine. The tests are in the order of the story. Its releases are small, and none needs Spark.
"""

import itertools
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from rehearsal.tour import project
from rehearsal.tour.people import RefusedError
from rehearsal.tour.team import until
from tests.tour.changes import Merge, Pulls, content, without_approvers
from tests.tour.company import Company, brought_up
from tests.tour.small import NOTEBOOK, PACKAGE, PRICE_LISTS, PRODUCTION, SUITES, TEST

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

NO_BUILD = "build must succeed to update main."
NO_VOTE = "At least 1 reviewer must approve; 0 did."
DRIFT_REPORTS = ("drift-test", "drift-production")
OPEN_COMMENT = "All comments must be resolved; 1 is active."


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The project as the program makes it; nothing is built yet."""
    with brought_up(tmp_path_factory.mktemp("small")) as made:
        yield made


@pytest.fixture(scope="module")
def build(company: Company) -> int:
    """The first build of `main`, which Avery has asked for. Its end starts the first release."""
    number = company.queue("avery", "build")
    company.finished(number)
    return number


@pytest.fixture(scope="module")
def pulls(company: Company, build: int) -> Pulls:
    """Five pull requests, opened one after the other; their builds run, or wait for the agent."""
    assert build
    return Pulls(
        gate=company.propose("dana", "no-approvers", {"Pulumi.prod.yaml": without_approvers}),
        package=company.propose("devin", "dearer", {PACKAGE: content("minutes / 60", "minutes / 30")}),
        untidy=company.propose("dana", "untidy", {"notebooks/bike_sharing/zones.py": lambda _: "import os\n"}),
        notebook=company.propose("dana", "heading", {NOTEBOOK: content("# Fares", "# Fares in euros")}),
        draft=company.propose("devin", "other-heading", {NOTEBOOK: content("# Fares", "# Prices")}, draft=True),
    )


@pytest.fixture(scope="module")
def unanswered(company: Company, build: int) -> int:
    """A release that waits for an approval which nobody gives."""
    with company.short_approval("production"):
        number = company.release("dana", build=build, skip=("Test",))
        company.approval(number)
    return number


@pytest.fixture(scope="module")
def released(company: Company, build: int, pulls: Pulls) -> Any:
    """The first release in both environments: what is recorded there."""
    assert pulls
    number = company.release_of(build)
    company.decide("ari", company.approval(number), "approved", "The first one.")
    company.finished(number)
    return [company.recorded(TEST), company.recorded(PRODUCTION)]


# ------------------------------------------------------------------------------------------------ pushes and approvals


@pytest.mark.parametrize("key", ["dana", "devin", "avery"])
def test_nobody_pushes_to_main(company: Company, pulls: Pulls, unanswered: int, key: str) -> None:
    assert pulls
    assert unanswered
    with pytest.raises(subprocess.CalledProcessError) as refused:
        company.push(key, company.folder, "refs/heads/main")
    assert "TF402455: Pushes to this branch are not permitted; you must use a pull request" in refused.value.stderr


def test_who_has_started_a_release_does_not_approve_it(company: Company, build: int) -> None:
    approval = company.approval(company.release_of(build))
    with pytest.raises(RefusedError, match="Avery Approver requested the run and may not approve it"):
        company.decide("avery", approval, "approved", "My own.")
    assert company.approval(company.release_of(build))["status"] == "pending"


def test_who_is_not_in_the_group_does_not_approve(company: Company, build: int) -> None:
    approval = company.approval(company.release_of(build))
    with pytest.raises(RefusedError, match="Dana Developer is not an approver of this approval"):
        company.decide("dana", approval, "approved", "Let me.")
    assert company.approval(company.release_of(build))["status"] == "pending"


def test_what_an_approver_lets_through_is_in_both_environments(company: Company, build: int, released: Any) -> None:
    assert [each["current"]["build"]["id"] for each in released] == [build, build]
    assert [each["state"] for each in released] == ["deployed", "deployed"]
    assert company.run(company.release_of(build))["result"] == "succeeded"
    [lease] = company.leases(build)
    assert lease["ownerId"] == "databricks-cicd"
    with pytest.raises(RefusedError, match="retained by a lease"):
        company.person("administrator").ask("DELETE", f"_apis/build/builds/{build}")


def test_a_rejected_release_says_who_rejected_it_and_why(company: Company, build: int, released: Any) -> None:
    number = company.release("dana", build=build, skip=("Test",))
    company.decide("ari", company.approval(number), "rejected", "Not on a Friday.")
    company.finished(number, "failed")
    assert "The deployment to production was rejected by Ari Approver: Not on a Friday." in company.run_page(number)
    assert company.steps(number, "Production") == []
    assert company.recorded(PRODUCTION) == released[1]


def test_a_release_that_leaves_the_tests_out_is_not_deployed_even_if_it_is_approved(
    company: Company, build: int, released: Any
) -> None:
    number = company.release("dana", build=build, skip=("Test",))
    company.decide("ari", company.approval(number), "approved", "By mistake.")
    company.finished(number, "failed")
    assert "--digest: empty: no stage has tested an artifact" in company.run_page(number, view="logs")
    assert company.recorded(PRODUCTION) == released[1]


# ----------------------------------------------------------------------------------------------------- pull requests


def test_a_failing_unit_test_holds_a_merge(company: Company, pulls: Pulls) -> None:
    build = company.build_of(pulls.package)
    company.finished(build, "failed")
    company.vote("dana", pulls.package)
    assert company.refused_merge("devin", pulls.package) == NO_BUILD
    assert "assert 2.0 == 1.5" in company.run_page(build, view="logs")
    assert "test_half_an_hour_costs_one_and_a_half" in company.run_page(build)
    assert "Not yet: build." in company.pull_request_page(pulls.package)
    artifacts = company.person("dana").ask("GET", f"_apis/build/builds/{build}/artifacts")["value"]
    assert artifacts == []


def test_a_lint_error_holds_a_merge(company: Company, pulls: Pulls) -> None:
    build = company.build_of(pulls.untidy)
    company.finished(build, "failed")
    company.vote("devin", pulls.untidy)
    assert company.refused_merge("dana", pulls.untidy) == NO_BUILD
    log = company.run_page(build, view="logs")
    assert "F401" in log
    assert "zones.py" in log


def test_a_vote_counts_only_for_what_was_there_when_it_was_given(company: Company, pulls: Pulls) -> None:
    right = {PACKAGE: content("minutes / 30", "minutes / 60"), NOTEBOOK: content("fare(30)", "fare(60)")}
    company.push_changes("devin", "dearer", right)
    company.approved_build(pulls.package)
    assert company.refused_merge("devin", pulls.package) == NO_VOTE
    assert "The votes were reset: the source branch has changed." in company.pull_request_page(pulls.package)
    company.vote("dana", pulls.package)


def test_without_votes_and_with_ones_own_alone_nothing_is_merged(company: Company, pulls: Pulls) -> None:
    company.approved_build(pulls.notebook)
    assert company.refused_merge("dana", pulls.notebook) == NO_VOTE
    company.vote("dana", pulls.notebook)
    assert company.refused_merge("dana", pulls.notebook) == f"{NO_VOTE} The vote of Dana Developer does not count."
    assert "Not yet: Minimum number of reviewers." in company.pull_request_page(pulls.notebook)


def test_an_open_comment_holds_a_merge(company: Company, pulls: Pulls) -> None:
    company.vote("devin", pulls.notebook)
    company.ask_about("devin", pulls.notebook, "Which currency?")
    assert company.refused_merge("dana", pulls.notebook) == OPEN_COMMENT
    assert "Not yet: Comment requirements." in company.pull_request_page(pulls.notebook)
    for thread in company.threads(pulls.notebook):
        if thread.get("status") == "active":
            company.resolve("dana", pulls.notebook, thread["id"])


def test_a_pull_request_that_takes_approvers_away_is_flagged_and_waits_until_somebody_has_looked(
    company: Company, pulls: Pulls
) -> None:
    company.approved_build(pulls.gate)
    company.vote("devin", pulls.gate)
    [thread] = company.threads(pulls.gate)
    told = thread["comments"][0]["content"]
    assert "a check of deployments is taken away" in told
    assert "approvers: 2 before, 0 after" in told
    assert "refuses to change control plane and gate of prod" in told
    assert thread["status"] == "active"
    assert company.refused_merge("dana", pulls.gate) == OPEN_COMMENT
    company.resolve("devin", pulls.gate, thread["id"])


def test_a_draft_is_neither_built_nor_merged(company: Company, pulls: Pulls) -> None:
    company.vote("dana", pulls.draft)
    assert "draft" in company.refused_merge("devin", pulls.draft)
    assert (
        company.person("dana").ask("GET", "_apis/build/builds", branchName=f"refs/pull/{pulls.draft}/merge")["value"]
        == []
    )


# ---------------------------------------------------------------------------------------------------------- releases


def test_a_release_from_another_branch_reaches_no_environment(company: Company, build: int, pulls: Pulls) -> None:
    assert pulls
    number = company.release("dana", build=build, branch="refs/heads/untidy")
    company.stopped(number)
    page = company.run_page(number)
    assert "the branch refs/heads/untidy of the run is not among the allowed branches: refs/heads/main" in page
    assert company.steps(number, "Test") == []


def test_what_a_pull_request_has_built_is_released_nowhere(company: Company, pulls: Pulls) -> None:
    number = company.release("dana", build=company.build_of(pulls.notebook))
    company.stopped(number)
    branch = f"refs/pull/{pulls.notebook}/merge"
    assert f"the branch {branch} of the pipeline resource 'build' is not among the allowed" in company.run_page(number)
    assert company.steps(number, "Test") == []


@pytest.fixture(scope="module")
def cut_off(company: Company, build: int, released: Any) -> int:
    """A release whose agent died in the middle of the deployment to test, and was started again."""
    assert released
    number = company.release("dana", build=build)
    until(lambda: company.recorded(TEST)["state"] == "deploying" or None, f"the deployment of run {number}")
    with company.without_workspace():
        company.kill_agent()
        company.start_agent()
        company.stopped(number)
    return number


def test_a_release_whose_agent_died_says_so_and_the_record_does_not_say_that_it_is_there(
    company: Company, cut_off: int
) -> None:
    assert "We stopped hearing from agent rehearsal" in company.run_page(cut_off)
    assert "Deploy" in company.steps(cut_off, "Test")
    record = company.recorded(TEST)
    assert (record["state"], record["attempt"]["run"]["id"]) == ("deploying", cut_off)


@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_that_fails_stops_a_release_before_anybody_is_asked_to_approve_it(
    company: Company, cut_off: int, released: Any, suite: str
) -> None:
    """What failed is run again: first the deployment, which is finished by that, with the suites; then these alone."""
    with company.arrived(PRICE_LISTS[suite], "1.6"):
        company.run_again("dana", cut_off, "Test")
        company.stopped(cut_off)
    failed = f"test_half_an_hour_costs_what_the_list_says_{suite}"
    log = company.run_page(cut_off, view="logs")
    assert f"{suite}: 1 of 1 tests failed: {failed}" in log
    for other in set(SUITES) - {suite}:
        assert f"{other}: 1 tests passed" in log
    assert failed in company.run_page(cut_off, view="tests")
    assert company.stage_of(cut_off, "Production")["result"] == "skipped"
    assert company.recorded(TEST)["state"] == "deployed"
    assert company.recorded(PRODUCTION) == released[1]


def test_a_release_whose_failed_jobs_succeed_at_last_comes_to_the_approval(company: Company, cut_off: int) -> None:
    company.run_again("dana", cut_off, "Test")
    approval = company.approval(cut_off)
    record = company.recorded(TEST)
    assert (record["state"], record["current"]["run"]["id"]) == ("deployed", cut_off)
    company.decide("ari", approval, "rejected", "It was only to see whether somebody is asked.")


def test_the_nightly_comparison_succeeds_while_all_is_as_it_was_deployed(company: Company, cut_off: int) -> None:
    assert cut_off
    number = company.queue("dana", "drift")
    company.finished(number)
    reports = [json.loads(company.published(number, name)["drift.json"]) for name in DRIFT_REPORTS]
    assert [(each["stack"], each["differences"]) for each in reports] == [("test", []), ("prod", [])]


def test_the_nightly_comparison_names_what_was_edited_by_hand_and_fails(company: Company, released: Any) -> None:
    assert released
    path = f"{PRODUCTION}/{PurePosixPath(NOTEBOOK).stem}"
    with company.edited(path, "# Nobody has reviewed this.\n"):
        number = company.queue("dana", "drift")
        company.finished(number, "failed")
    assert f"edited        {path}: another content than was deployed" in company.run_page(number, view="logs")
    reports = {name: json.loads(company.published(number, name)["drift.json"]) for name in DRIFT_REPORTS}
    assert reports["drift-test"]["differences"] == []
    [edited] = reports["drift-production"]["differences"]
    assert (edited["kind"], edited["name"]) == ("edited", path)


def test_one_other_bit_in_a_file_of_any_kind_stops_a_release_before_anything_of_it_is_used(
    company: Company, build: int, released: Any
) -> None:
    assert released
    # With what would compare it, if it compared itself.
    where = company.kinds_of_files(build) | {"delivery/__main__.py": -1, "delivery/verify.py": -1}
    assert {PurePosixPath(each).suffix for each in where} >= {".py", ".sql", ".ipynb", ".csv", ".yaml", ".lock"}
    with company.damaged(build, "release", where):
        one, other = (company.release("dana", build=build) for _ in range(2))
        log = company.stopped_as_changed(one, other)
    for name in where:
        assert f"changed   {name}: SHA-256" in log
    # They were started at the same time, and test is the one's until it has ended.
    asked = company.waited_for_lock(other, "Test")["startTime"]
    turns = [company.stage_of(number, "Test") for number in (one, other)]
    assert asked < turns[0]["finishTime"] <= turns[1]["startTime"]


def test_a_manifest_that_was_altered_stops_a_release(company: Company, build: int, released: Any) -> None:
    assert released
    manifest = company.published(build, "release")["manifest.json"]
    at = re.search(rb'"sha256": "[a-f]*([0-9])', manifest)
    assert at
    with company.damaged(build, "release", {"manifest.json": at.start(1)}):
        assert "manifest.json" in company.stopped_as_changed(company.release("dana", build=build))


def test_another_digest_than_the_build_has_told_stops_a_release(company: Company, build: int, released: Any) -> None:
    at = re.search("[0-9]", company.published(build, "digest")["release.sha256"].decode())
    assert at
    with company.damaged(build, "digest", {"release.sha256": at.start()}):
        log = company.stopped_as_changed(company.release("dana", build=build))
    assert f"digest    manifest.json: {released[0]['current']['digest']} instead of" in log


def test_a_release_of_a_stack_that_somebody_works_on_says_who_and_what_to_do(
    company: Company, build: int, released: Any
) -> None:
    assert released
    before = company.recorded(TEST)
    lock = company.home.backend / ".pulumi/locks/organization/databricks-cicd/test/ada.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = {"pid": os.getpid(), "username": "ada", "hostname": socket.gethostname()}
    lock.write_text(json.dumps({**holder, "timestamp": "2026-11-24T00:00:00Z"}))
    try:
        number = company.release("dana", build=build)
        company.stopped(number)
    finally:
        lock.unlink()
    log = company.run_page(number, view="logs")
    assert "currently locked" in log
    assert f"ada@{socket.gethostname()}" in log
    assert "nothing was changed. Wait for its end, and repeat" in log
    assert "pulumi cancel --stack test" in log
    assert company.recorded(TEST) == before


# ---------------------------------------------------------------------------------------------------- several at once


@pytest.fixture(scope="module")
def merges(company: Company, pulls: Pulls, released: Any) -> list[Merge]:
    """Three merges, each as soon as it is possible, while the builds and releases of those before go on."""
    assert released
    last = max(company.runs_after("build", 0))
    commits = [company.complete("dana", pulls.notebook)]
    # What was built is no longer what would be merged.
    assert company.refused_merge("devin", pulls.package).startswith(f"{NO_BUILD} Its last build has expired")
    commits.append(company.merge_when_ready("devin", pulls.package, "dana"))
    commits.append(company.merge_when_ready("dana", pulls.gate, "devin"))

    def builds() -> list[Any] | None:
        found = [company.run(each) for each in company.runs_after("build", last)]
        mine = [each for each in found if each["sourceBranch"] == "refs/heads/main"]
        return mine if len(mine) >= len(commits) else None

    found = until(builds, "the builds of the merges")
    assert [each["sourceVersion"] for each in found] == commits
    for each in found:
        company.finished(each["id"])
    return [
        Merge(commit=each["sourceVersion"], build=each["id"], release=company.release_of(each["id"])) for each in found
    ]


def test_what_conflicts_with_a_merge_is_not_merged(company: Company, pulls: Pulls, merges: list[Merge]) -> None:
    assert merges
    company.change_pull_request("devin", pulls.draft, isDraft=False)
    assert company.refused_merge("devin", pulls.draft) == f"The pull request has merge conflicts: {NOTEBOOK}."


def test_every_merge_is_built_once_and_released_to_test_one_after_the_other(
    company: Company, merges: list[Merge]
) -> None:
    project.git(company.folder, "fetch", "--quiet", "origin", environment=company.person("dana").git())
    history = project.git(company.folder, "log", "--format=%H", "--reverse", "-3", "origin/main").split()
    assert history == [each.commit for each in merges]
    for each in merges:
        company.approval(each.release)
    turns = [company.stage_of(number, "Test") for number in sorted(each.release for each in merges)]
    assert [each["result"] for each in turns] == ["succeeded"] * 3
    for one, other in itertools.pairwise(turns):
        assert one["finishTime"] <= other["startTime"]
    assert company.recorded(TEST)["current"]["build"]["id"] == merges[-1].build


@pytest.fixture(scope="module")
def approved(company: Company, merges: list[Merge]) -> list[Merge]:
    """The first two are approved at the same time; the third goes on waiting."""
    for each in merges[:2]:
        company.decide("avery", company.approval(each.release), "approved", "Good.")
    for each in merges[:2]:
        company.finished(each.release)
    return merges


def test_approved_releases_take_turns_and_production_ends_with_the_last_of_them(
    company: Company, approved: list[Merge]
) -> None:
    one, other = (company.stage_of(each.release, "Production") for each in approved[:2])
    asked = company.waited_for_lock(approved[1].release, "Production")["startTime"]
    assert asked < one["finishTime"] <= other["startTime"]
    record = company.recorded(PRODUCTION)
    assert record["state"] == "deployed"
    assert record["current"]["commit"] == approved[1].commit
    assert record["current"]["digest"] != company.recorded(TEST)["current"]["digest"]
    assert [each["build"]["id"] for each in record["history"][:2]] == [approved[1].build, approved[0].build]


def test_an_older_release_does_not_go_over_a_newer_one(company: Company, approved: list[Merge]) -> None:
    before = company.recorded(PRODUCTION)
    older = approved[0]
    company.run_again("dana", older.release, "Production", whole=True)
    company.decide("avery", company.approval(older.release), "approved", "Once more.")
    company.finished(older.release, "failed")
    log = company.run_page(older.release, view="logs")
    assert "is older than" in log
    assert "which is deployed to prod" in log
    assert company.recorded(PRODUCTION) == before


def test_an_approval_that_nobody_gives_in_time_deploys_nothing(
    company: Company, approved: list[Merge], unanswered: int
) -> None:
    assert approved
    assert company.stage(unanswered, "Production")["result"] == "skipped"
    words = "The approval for production timed out: nobody decided it in time."
    assert words in company.run_page(unanswered)
    assert company.steps(unanswered, "Production") == []
    assert unanswered not in [each["run"]["id"] for each in company.recorded(PRODUCTION)["history"]]


# --------------------------------------------------------------------------------------------- without any approvers


@pytest.fixture(scope="module")
def refused_gate(company: Company, approved: list[Merge]) -> int:
    """The approved release of a commit that takes the approvers away."""
    number = approved[2].release
    company.decide("avery", company.approval(number), "approved", "Without looking.")
    company.finished(number, "failed")
    return number


def test_a_release_cannot_take_approvers_away(company: Company, approved: list[Merge], refused_gate: int) -> None:
    log = company.run_page(refused_gate, view="logs")
    assert "it changes the gate, and a release changes Databricks alone" in log
    assert "An administrator does this, with the same commit: pulumi up --stack prod" in log
    assert company.recorded(PRODUCTION)["current"]["commit"] == approved[1].commit
    number = company.release("dana", build=approved[2].build, skip=("Test",))
    assert company.approval(number)["status"] == "pending"
    company.decide("ari", company.approval(number), "rejected", "It was only to see whether somebody is asked.")


def test_without_approvers_a_release_runs_through_to_production(
    company: Company, approved: list[Merge], refused_gate: int
) -> None:
    assert refused_gate
    checkout = company.folder.parent / "project"
    company.administrator_runs(checkout, "pulumi", "up", "--yes", "--skip-preview", "--stack", "prod")
    built = company.queue("devin", "build")
    company.finished(built)
    number = company.release_of(built)
    company.finished(number)
    assert company.run(number)["reason"] == "resourceTrigger"
    assert not company.asked_for_approval(number)
    record = company.recorded(PRODUCTION)
    assert record["state"] == "deployed"
    assert record["current"]["commit"] == approved[2].commit
    assert record["current"]["approvers"] == []
    assert record["current"]["digest"] == company.recorded(TEST)["current"]["digest"]
