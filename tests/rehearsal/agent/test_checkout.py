"""`checkout`: which files are there afterwards, and where the token is not."""

import subprocess
from pathlib import Path

import pytest

from rehearsal.agent.tasks.checkout import git_environment

from .jobs import JOB_TOKEN, Bench, repository


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Dana", "-c", "user.email=dana@rehearsal.example"]
    answer = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return answer.stdout.strip()


class Remote:
    """A repository to fetch from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.first = self.commit("a.txt", "one")

    def commit(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "-m", f"{name} is {text}")
        return git(self.folder, "rev-parse", "HEAD")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


def test_the_commit_of_the_run_is_checked_out_even_if_the_branch_has_moved_on(bench: Bench, remote: Remote) -> None:
    remote.commit("a.txt", "two")
    assert bench.run("steps:\n- bash: cat a.txt", repositories={"self": repository(remote.url, remote.first)}) == (
        "Succeeded"
    )
    assert (bench.workspace / "s/a.txt").read_text() == "one"
    assert git(bench.workspace / "s", "rev-parse", "HEAD") == remote.first
    assert bench.service.named("Checkout notebooks@main to s")["result"] == "succeeded"


def test_what_a_run_left_stays_unless_the_checkout_cleans(bench: Bench, remote: Remote) -> None:
    repositories = {"self": repository(remote.url, remote.first)}
    bench.run("steps:\n- bash: echo x > left; echo y > a.txt", repositories=repositories)
    second = {"self": repository(remote.url, remote.commit("b.txt", "b"))}
    bench.run("steps:\n- checkout: self\n", repositories=second)
    folder = bench.workspace / "s"
    assert sorted(path.name for path in folder.iterdir() if path.name != ".git") == ["a.txt", "b.txt", "left"]
    bench.run("steps:\n- checkout: self\n  clean: true\n", repositories=second)
    assert sorted(path.name for path in folder.iterdir() if path.name != ".git") == ["a.txt", "b.txt"]
    assert (folder / "a.txt").read_text() == "one"


@pytest.mark.parametrize(("depth", "commits"), [("1", 1), ("2", 2), ("0", 3)])
def test_the_depth_says_how_much_history_there_is(bench: Bench, remote: Remote, depth: str, commits: int) -> None:
    remote.commit("a.txt", "two")
    last = remote.commit("a.txt", "three")
    yaml = f"steps:\n- checkout: self\n  fetchDepth: {depth}\n"
    assert bench.run(yaml, repositories={"self": repository(remote.url, last)}) == "Succeeded"
    assert len(git(bench.workspace / "s", "log", "--format=%H").splitlines()) == commits
    whole = "steps:\n- checkout: self\n  fetchDepth: 0\n"
    assert bench.run(whole, repositories={"self": repository(remote.url, last)}) == "Succeeded"
    assert len(git(bench.workspace / "s", "log", "--format=%H").splitlines()) == 3


def test_a_merge_of_a_pull_request_is_fetched_by_its_own_ref(bench: Bench, remote: Remote) -> None:
    merge = remote.commit("merged.txt", "m")
    git(remote.folder, "update-ref", "refs/pull/1/merge", merge)
    git(remote.folder, "reset", "--quiet", "--hard", remote.first)
    found = repository(remote.url, merge, "refs/pull/1/merge")
    assert bench.run("steps:\n- bash: cat merged.txt", repositories={"self": found}) == "Succeeded"


def test_a_merge_is_checked_out_though_its_pull_request_has_another_one_by_now(bench: Bench, remote: Remote) -> None:
    merges = []
    for text in ("old", "new"):
        merges.append(remote.commit("merged.txt", text))
        git(remote.folder, "update-ref", "refs/pull/1/merge", merges[-1])
        git(remote.folder, "reset", "--quiet", "--hard", remote.first)
    found = repository(remote.url, merges[0], "refs/pull/1/merge")
    yaml = "steps:\n- checkout: self\n  fetchDepth: 0\n"
    assert bench.run(yaml, repositories={"self": found}) == "Succeeded"
    assert (bench.workspace / "s/merged.txt").read_text() == "old"
    assert git(bench.workspace / "s", "rev-parse", "HEAD") == merges[0]


def test_a_commit_is_checked_out_though_its_branch_is_gone(bench: Bench, remote: Remote) -> None:
    git(remote.folder, "checkout", "--quiet", "-b", "topic")
    commit = remote.commit("b.txt", "b")
    git(remote.folder, "checkout", "--quiet", "main")
    git(remote.folder, "branch", "--quiet", "-D", "topic")
    found = repository(remote.url, commit, "refs/heads/topic")
    assert bench.run("steps:\n- bash: cat b.txt", repositories={"self": found}) == "Succeeded"


def test_several_repositories_go_into_folders_of_their_names(bench: Bench, remote: Remote, tmp_path: Path) -> None:
    other = Remote(tmp_path / "other")
    yaml = """
    resources:
      repositories:
        - repository: tools
          type: git
          name: tools
    steps:
    - checkout: self
    - checkout: tools
      path: elsewhere
    - bash: pwd; ls .. ../elsewhere
      displayName: Show
    """
    mine = repository(remote.url, remote.first)
    repositories = {"self": mine, "tools": repository(other.url, other.first)}
    assert bench.run(yaml, repositories=repositories) == "Succeeded"
    assert (bench.workspace / "s/notebooks/a.txt").exists()
    assert (bench.workspace / "elsewhere/a.txt").exists()
    assert f"\n{bench.workspace}/s\n" in bench.service.log("Show")


def test_a_path_outside_of_the_workspace_is_refused(bench: Bench, remote: Remote) -> None:
    yaml = "steps:\n- checkout: self\n  path: ../../evil\n  displayName: It\n"
    assert bench.run(yaml, repositories={"self": repository(remote.url, remote.first)}) == "Failed"
    assert "should resolve to a directory under" in bench.service.named("It")["issues"][0]["message"]


def test_the_token_is_nowhere_in_the_folder(bench: Bench, remote: Remote) -> None:
    bench.run("steps:\n- bash: env\n", repositories={"self": repository(remote.url, remote.first)})
    assert not _holding(bench.workspace.parent, JOB_TOKEN)
    assert JOB_TOKEN not in bench.service.everything()


def test_credentials_are_kept_for_later_steps_if_asked_for_and_gone_after_the_job(bench: Bench, remote: Remote) -> None:
    yaml = "steps:\n- checkout: self\n  persistCredentials: true\n- bash: grep -c bearer .git/config\n"
    assert bench.run(yaml, repositories={"self": repository(remote.url, remote.first)}) == "Succeeded"
    assert not _holding(bench.workspace.parent, JOB_TOKEN)
    assert JOB_TOKEN not in bench.service.everything()


def _holding(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_token_is_added_to_what_git_is_told_already() -> None:
    base = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    assert git_environment(base, "http://localhost/r", "t") == {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_1": "http.http://localhost/r.extraheader",
        "GIT_CONFIG_VALUE_1": "AUTHORIZATION: bearer t",
    }


def test_a_folder_with_another_repository_is_made_anew(bench: Bench, remote: Remote, tmp_path: Path) -> None:
    other = Remote(tmp_path / "other")
    bench.run("steps:\n- bash: echo x > left", repositories={"self": repository(other.url, other.first)})
    bench.run("steps:\n- checkout: self\n", repositories={"self": repository(remote.url, remote.first)})
    assert not (bench.workspace / "s/left").exists()


def test_a_repository_that_cannot_be_reached_fails_the_checkout(bench: Bench, tmp_path: Path) -> None:
    missing = repository(f"file://{tmp_path}/missing", "0" * 40)
    assert bench.run("steps:\n- checkout: self\n  displayName: It\n", repositories={"self": missing}) == "Failed"
    assert "Git fetch failed with exit code" in bench.service.named("It")["issues"][0]["message"]
