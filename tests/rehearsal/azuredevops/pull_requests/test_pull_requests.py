"""Pull requests as people open, read and complete them, with Microsoft's client and git."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.devops.exceptions import AzureDevOpsServiceError
from azure.devops.v7_1.git.models import GitPullRequestSearchCriteria

from rehearsal.azuredevops import create_app
from rehearsal.azuredevops.users import ADMINISTRATOR, BUILD_SERVICE, DEVIN, NOBODY
from rehearsal.service import Background
from tests.rehearsal.azuredevops.organization import (
    CONTROL_TOKEN,
    CREDENTIALS,
    SOCKETS_LEFT_OPEN,
    Organization,
    commit,
    git,
    work_tree,
)

pytestmark = SOCKETS_LEFT_OPEN


def test_a_pull_request_is_opened_and_shows_what_it_brings(place: Any) -> None:
    made = place.push()
    answer = place.http(
        "POST",
        "pullrequests",
        json={"sourceRefName": "refs/heads/feature", "targetRefName": "refs/heads/main", "title": "t"},
    )
    assert (answer.status_code, answer.json()["mergeStatus"]) == (201, "queued")
    (pull,) = place.client().get_pull_requests(place.repository.id, _criteria(status="active"))
    assert (pull.status, pull.merge_status, pull.created_by.unique_name) == (
        "active",
        "succeeded",
        "dana@rehearsal.example",
    )
    assert pull.last_merge_source_commit.commit_id == made
    number = pull.pull_request_id
    client = place.client()
    (listed,) = client.get_pull_request_commits(place.repository.id, number)
    assert (listed.commit_id, listed.comment) == (made, "change b.py")
    (iteration,) = client.get_pull_request_iterations(place.repository.id, number)
    assert (iteration.id, iteration.source_ref_commit.commit_id) == (1, made)
    changes = client.get_pull_request_iteration_changes(place.repository.id, number, 1)
    assert [
        (each.additional_properties["item"]["path"], each.additional_properties["changeType"])
        for each in changes.change_entries
    ] == [("/b.py", "add")]
    assert client.get_pull_request_by_id(number).pull_request_id == number
    assert [each.pull_request_id for each in client.get_pull_requests_by_project(place.project.id, _criteria())] == [
        number
    ]


def _criteria(**given: Any) -> Any:
    return GitPullRequestSearchCriteria(**given)


def test_agents_fetch_the_merge_as_a_ref(place: Any) -> None:
    made = place.push()
    pull = place.open()
    git(place.tree, "fetch", "--quiet", "origin", f"refs/pull/{pull.pull_request_id}/merge")
    parents = git(place.tree, "rev-parse", "FETCH_HEAD^1", "FETCH_HEAD^2").stdout.split()
    assert parents == [place.main(), made]
    assert git(place.tree, "rev-parse", "FETCH_HEAD").stdout.strip() == pull.last_merge_commit.commit_id
    names = git(place.tree, "ls-tree", "-r", "--name-only", "FETCH_HEAD").stdout.split()
    assert names == ["b.py", "notebooks/a.py", "pipelines/build.yml"]


def test_a_squash_puts_one_commit_on_the_target(place: Any) -> None:
    before = place.main()
    place.push()
    place.push(content="3\n")
    pull = place.open()
    done = place.complete(pull, deleteSourceBranch=True)
    assert (done.status, done.merge_status, done.closed_by.unique_name) == (
        "completed",
        "succeeded",
        "dana@rehearsal.example",
    )
    place.fetch()
    assert git(place.tree, "log", "--format=%P %s", "-1", "origin/main").stdout == (
        f"{before} Merged PR {pull.pull_request_id}: Bring feature\n"
    )
    assert git(place.tree, "show", "origin/main:b.py").stdout == "3\n"
    assert done.last_merge_commit.commit_id == place.main()
    assert "feature" not in git(place.tree, "ls-remote", "--heads", "origin").stdout


@pytest.mark.parametrize(
    ("strategy", "subjects", "parents"),
    [
        ("noFastForward", ["Merged PR", "change c.py", "change b.py", "change d.py"], 2),
        ("rebase", ["change c.py", "change b.py", "change d.py"], 1),
        ("rebaseMerge", ["Merged PR", "change c.py", "change b.py", "change d.py"], 2),
    ],
)
def test_each_strategy_leaves_its_own_history(place: Any, strategy: str, subjects: list[str], parents: int) -> None:
    place.push(path="b.py")
    place.push(path="c.py")
    pull = place.open()
    place.push("other", path="d.py")
    assert (
        place.complete(place.open("other"), strategy="squash", mergeCommitMessage="change d.py").status == "completed"
    )
    assert place.complete(pull, strategy=strategy).status == "completed"
    place.fetch()
    told = git(place.tree, "log", "--topo-order", "--format=%s", f"-{len(subjects)}", "origin/main").stdout
    assert [each.replace(f" PR {pull.pull_request_id}: Bring feature", " PR") for each in told.splitlines()] == subjects
    assert len(git(place.tree, "log", "-1", "--format=%P", "origin/main").stdout.split()) == parents
    assert set(git(place.tree, "ls-tree", "--name-only", "origin/main").stdout.split()) >= {"b.py", "c.py", "d.py"}


def test_a_conflict_is_shown_and_not_merged_until_it_is_solved(place: Any) -> None:
    place.push(path="notebooks/a.py", content="dana\n")
    pull = place.open()
    place.push("other", path="notebooks/a.py", content="devin\n")
    place.complete(place.open("other"))
    assert place.get(pull).merge_status == "conflicts"
    (conflict,) = place.http("GET", f"pullRequests/{pull.pull_request_id}/conflicts").json()["value"]
    assert conflict["conflictPath"] == "/notebooks/a.py"
    with pytest.raises(AzureDevOpsServiceError, match=r"merge conflicts: notebooks/a\.py"):
        place.complete(pull)
    assert git(place.tree, "ls-remote", "origin", f"refs/pull/{pull.pull_request_id}/merge").stdout == ""
    place.fetch()
    git(place.tree, "checkout", "--quiet", "feature")
    git(place.tree, "merge", "--quiet", "-s", "ours", "origin/main")
    place.push(path="c.py")
    assert place.get(pull).merge_status == "succeeded"
    assert place.complete(pull).status == "completed"
    place.fetch()
    assert git(place.tree, "show", "origin/main:notebooks/a.py").stdout == "dana\n"


def test_what_was_not_reviewed_is_not_merged(place: Any) -> None:
    old = place.push()
    pull = place.open()
    place.push(content="3\n")
    stale = {"status": "completed", "lastMergeSourceCommit": {"commitId": old}}
    with pytest.raises(AzureDevOpsServiceError, match="TF401192"):
        place.update(pull, stale)
    with pytest.raises(AzureDevOpsServiceError, match="lastMergeSourceCommit"):
        place.update(pull, {"status": "completed"})
    assert place.get(pull).status == "active"


def test_a_push_is_a_new_iteration(place: Any) -> None:
    place.push()
    pull = place.open()
    second = place.push(content="3\n")
    iterations = place.client().get_pull_request_iterations(place.repository.id, pull.pull_request_id)
    assert [(each.id, each.reason) for each in iterations] == [(1, "create"), (2, "push")]
    assert place.get(pull).last_merge_source_commit.commit_id == second
    changes = place.http("GET", f"pullRequests/{pull.pull_request_id}/iterations/2/changes", params={"$compareTo": 1})
    assert [each["changeType"] for each in changes.json()["changeEntries"]] == ["edit"]


def test_pull_requests_that_make_no_sense_are_refused(place: Any) -> None:
    place.push()
    place.open()
    for more, message in (
        ({}, "TF401179"),
        ({"source": "nowhere"}, "TF401398"),
        ({"source": "main"}, "not valid for a pull request"),
        ({"title": " "}, "title"),
        ({"description": "x" * 4001}, "must not be longer than 4000 characters"),
    ):
        with pytest.raises(AzureDevOpsServiceError, match=message):
            place.open(**more)
    with pytest.raises(AzureDevOpsServiceError, match="TF401180"):
        place.client().get_pull_request(place.repository.id, 4711)


def test_abandoned_is_not_merged_and_can_be_taken_up_again(place: Any) -> None:
    place.push()
    pull = place.open()
    place.update(pull, {"status": "abandoned"})
    assert place.get(pull).status == "abandoned"
    with pytest.raises(AzureDevOpsServiceError, match="TF401181"):
        place.complete(pull)
    new = place.push(content="3\n")
    place.update(pull, {"status": "active"})
    again = place.get(pull)
    assert (again.status, again.merge_status, again.last_merge_source_commit.commit_id) == ("active", "succeeded", new)
    place.complete(pull)
    with pytest.raises(AzureDevOpsServiceError, match="TF401181"):
        place.update(pull, {"status": "abandoned"})


def test_a_draft_is_published_before_it_is_completed(place: Any) -> None:
    place.push()
    pull = place.open(isDraft=True)
    with pytest.raises(AzureDevOpsServiceError, match="draft"):
        place.complete(pull)
    place.update(pull, {"isDraft": False, "title": "ready"})
    assert place.get(pull).title == "ready"
    assert place.complete(pull).status == "completed"


def test_only_who_may_sees_and_touches_a_pull_request(place: Any) -> None:
    place.push()
    pull = place.open()
    with pytest.raises(AzureDevOpsServiceError, match="VS800075"):
        place.client(NOBODY).get_pull_request(place.repository.id, pull.pull_request_id)
    with pytest.raises(AzureDevOpsServiceError, match="TF401180"):
        place.client(NOBODY).get_pull_request_by_id(pull.pull_request_id)
    with pytest.raises(AzureDevOpsServiceError, match="TF401027: You need the Git 'PullRequestContribute' permission"):
        place.comment(pull, "from a pipeline without the right", BUILD_SERVICE)
    assert place.client(DEVIN).get_pull_request(place.repository.id, pull.pull_request_id).title == "Bring feature"


def test_a_deleted_project_takes_its_pull_requests_along(place: Any) -> None:
    place.push()
    pull = place.open()
    place.organization.wait(place.organization.clients().get_core_client().queue_delete_project(place.project.id))
    with pytest.raises(AzureDevOpsServiceError, match="TF401180"):
        place.client(ADMINISTRATOR).get_pull_request_by_id(pull.pull_request_id)


def test_the_trial_merge_belongs_to_the_service(place: Any) -> None:
    place.push()
    pull = place.open()
    refused = git(
        place.tree, "push", "--force", "origin", f"feature:refs/pull/{pull.pull_request_id}/merge", check=False
    )
    assert "it can't be pushed to" in refused.stderr
    assert place.get(pull).last_merge_commit.commit_id == pull.last_merge_commit.commit_id


def test_merges_at_the_same_time_all_arrive(place: Any) -> None:
    for number in range(5):
        place.push(f"feature-{number}", path=f"file-{number}.py")
    with ThreadPoolExecutor(5) as pool:
        pulls = list(pool.map(lambda number: place.open(f"feature-{number}"), range(5)))
        assert len({each.pull_request_id for each in pulls}) == 5
        done = list(pool.map(place.complete, pulls[:3]))
    assert [each.status for each in done] == ["completed"] * 3
    place.fetch()
    names = git(place.tree, "ls-tree", "--name-only", "origin/main").stdout.split()
    assert {each for each in names if each.startswith("file")} == {"file-0.py", "file-1.py", "file-2.py"}
    # The merges stand in a row, and the others are merged with the last one.
    assert len(git(place.tree, "log", "--first-parent", "--format=%h", "origin/main").stdout.split()) == 5
    for pull in pulls[3:]:
        assert (place.get(pull).merge_status, place.get(pull).last_merge_target_commit.commit_id) == (
            "succeeded",
            place.main(),
        )


def test_a_push_that_arrived_while_the_service_died_is_heard_of_at_its_next_start(folder: Path) -> None:
    state = folder / "state"
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as root:
        organization = Organization(root)
        project = organization.new_project("Survivor")
        tree = work_tree(folder / "tree")
        git(tree, "remote", "add", "origin", organization.remote("Survivor", "Survivor"))
        git(tree, "push", "--quiet", "origin", "main", "main:refs/heads/feature")
        body = {"sourceRefName": "refs/heads/feature", "targetRefName": "refs/heads/main", "title": "t"}
        with organization.http() as http:
            made = http.post(f"/{project.id}/_apis/git/repositories/Survivor/pullrequests", json=body).json()
    app.close()
    # As git has moved the branch, and nothing of it was noted.
    (repository,) = (state / "repositories").iterdir()
    new = commit(tree, "b.py", "2")
    git(tree, "push", "--quiet", str(repository), "main:refs/heads/feature")
    app = create_app(state, control_token=CONTROL_TOKEN, credentials=CREDENTIALS)
    with Background(app) as root:
        found = Organization(root).clients().get_git_client().get_pull_request_by_id(made["pullRequestId"])
        assert (found.last_merge_source_commit.commit_id, found.merge_status) == (new, "succeeded")
        client = Organization(root).clients().get_git_client()
        assert len(client.get_pull_request_iterations(found.repository.id, found.pull_request_id)) == 2
    app.close()
