"""The first push, with real git: into a bare repository in a folder."""

import asyncio
import base64
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import first_push
from components.first_push import first_push_hook, push_if_missing
from tests.components.conftest import Program

TOKEN = "canary-b07e"
CANARIES = (TOKEN, base64.b64encode(f":{TOKEN}".encode()).decode())


@pytest.fixture(autouse=True)
def _own_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git without the developer's settings, and with a token to hide."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", TOKEN)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@example.com")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    messages: dict[str, list[str]] = {"info": [], "warn": []}
    for level, kept in messages.items():
        monkeypatch.setattr(pulumi.log, level, kept.append)
    return messages


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The new, empty repository."""
    path = tmp_path / "new repository.git"
    git(tmp_path, "init", "--quiet", "--bare", str(path))
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two commits."""
    path = tmp_path / "checkout"
    git(tmp_path, "init", "--quiet", "--initial-branch=work", str(path))
    for number in (1, 2):
        commit(path, f"notebook_{number}.py")
    return path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(checkout: Path, name: str) -> str:
    (checkout / name).write_text(name, encoding="utf-8")
    git(checkout, "add", name)
    git(checkout, "commit", "--quiet", "--message", f"Add {name}")
    return git(checkout, "rev-parse", "HEAD")


def branches(bare: Path) -> dict[str, str]:
    """The branches of the repository with their commits."""
    lines = git(bare, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


def test_a_fresh_repository_gets_the_current_commit_as_its_branch(
    bare: Path, checkout: Path, told: dict[str, list[str]]
) -> None:
    push_if_missing(bare.as_uri(), "main", checkout)

    head = git(checkout, "rev-parse", "HEAD")
    assert branches(bare) == {"refs/heads/main": head}
    assert git(bare, "rev-list", "--count", "main") == "2"
    assert told == {"info": [f"pushed {head[:12]} to the new repository as main"], "warn": []}


def test_a_second_run_does_nothing(bare: Path, checkout: Path, told: dict[str, list[str]]) -> None:
    push_if_missing(bare.as_uri(), "main", checkout)
    before = branches(bare)
    commit(checkout, "later.py")

    push_if_missing(bare.as_uri(), "main", checkout)

    assert branches(bare) == before
    assert len(told["info"]) == 1


def test_a_branch_that_is_there_is_left_alone_whatever_it_holds(
    bare: Path, checkout: Path, tmp_path: Path, told: dict[str, list[str]]
) -> None:
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(other))
    theirs = commit(other, "something_else.py")
    git(other, "push", "--quiet", bare.as_uri(), "HEAD:refs/heads/main")
    (checkout / "draft.py").write_text("not committed", encoding="utf-8")

    push_if_missing(bare.as_uri(), "main", checkout)

    assert branches(bare) == {"refs/heads/main": theirs}
    assert told == {"info": [], "warn": []}


@pytest.mark.parametrize("existing", ["feature/main", "mainline"])
def test_another_branch_of_a_similar_name_is_not_taken_for_it(bare: Path, checkout: Path, existing: str) -> None:
    git(checkout, "push", "--quiet", bare.as_uri(), f"HEAD~1:refs/heads/{existing}")

    push_if_missing(bare.as_uri(), "main", checkout)

    assert branches(bare)["refs/heads/main"] == git(checkout, "rev-parse", "HEAD")


def test_outside_of_a_checkout_the_error_says_what_to_do(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "downloaded"
    folder.mkdir()

    with pytest.raises(RuntimeError) as caught:
        push_if_missing(bare.as_uri(), "main", folder)

    message = str(caught.value)
    assert "'downloaded' is not a git checkout with a commit" in message
    assert "run it in a clone of the project" in message
    assert "`git init`, `git add .`, `git commit`" in message
    assert f"`git push {bare.as_uri()} HEAD:refs/heads/main`" in message
    assert branches(bare) == {}


def test_a_checkout_without_a_commit_is_told_the_same(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    git(tmp_path, "init", "--quiet", str(folder))

    with pytest.raises(RuntimeError, match="'begun' is not a git checkout with a commit"):
        push_if_missing(bare.as_uri(), "main", folder)


def test_what_is_not_committed_is_named_and_not_pushed(bare: Path, checkout: Path, told: dict[str, list[str]]) -> None:
    (checkout / "notebook_1.py").write_text("changed", encoding="utf-8")
    (checkout / "draft.py").write_text("new", encoding="utf-8")

    push_if_missing(bare.as_uri(), "main", checkout)

    assert told["warn"] == ["not committed and therefore not in the first push: notebook_1.py, draft.py"]
    assert git(bare, "ls-tree", "--name-only", "main").splitlines() == ["notebook_1.py", "notebook_2.py"]
    assert git(bare, "show", "main:notebook_1.py") == "notebook_1.py"


def test_of_many_uncommitted_files_ten_are_named_and_the_rest_counted(
    bare: Path, checkout: Path, told: dict[str, list[str]]
) -> None:
    for number in range(12):
        (checkout / f"draft_{number:02}.py").write_text("new", encoding="utf-8")

    push_if_missing(bare.as_uri(), "main", checkout)

    assert told["warn"][0].endswith("draft_08.py, draft_09.py and 2 more")


def test_a_shallow_clone_is_told_to_fetch_its_history(bare: Path, checkout: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", checkout.as_uri(), str(shallow))
    git(bare, "config", "receive.shallowUpdate", "false")

    with pytest.raises(RuntimeError, match="`git fetch --unshallow`"):
        push_if_missing(bare.as_uri(), "main", shallow)
    assert branches(bare) == {}


def test_a_repository_that_cannot_be_reached_is_an_error_with_a_remedy(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        push_if_missing((tmp_path / "nowhere.git").as_uri(), "main", checkout)

    assert "can't be reached with git" in str(caught.value)
    assert "AZDO_PERSONAL_ACCESS_TOKEN" in str(caught.value)
    assert "Code: read & write" in str(caught.value)


def test_a_refused_push_shows_the_words_of_the_service(bare: Path, checkout: Path) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\necho 'TF402455: Pushes to this branch are not permitted' >&2\nexit 1\n", encoding="utf-8"
    )
    hook.chmod(0o755)

    with pytest.raises(RuntimeError, match=r"the first push of [0-9a-f]{12} to main failed: .*TF402455"):
        push_if_missing(bare.as_uri(), "main", checkout)


def test_without_git_the_error_says_so(bare: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(RuntimeError, match="there is no git on the PATH"):
        push_if_missing(bare.as_uri(), "main", checkout)


def test_the_token_is_in_no_argument_and_in_no_message(
    bare: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, list[str]]
) -> None:
    calls: list[Any] = []
    run = subprocess.run

    def noted(arguments: list[str], **options: Any) -> Any:
        calls.append((arguments, options["env"]))
        return run(arguments, **options)

    monkeypatch.setattr("components.first_push.subprocess.run", noted)
    push_if_missing(bare.as_uri(), "main", checkout)
    with pytest.raises(RuntimeError) as caught:
        push_if_missing((tmp_path / "nowhere.git").as_uri(), "main", checkout)

    words = " ".join([*(" ".join(arguments) for arguments, _ in calls), str(caught.value), repr(told)])
    assert not [canary for canary in CANARIES if canary in words]
    sent = [environment for arguments, environment in calls if arguments[1] in ("push", "ls-remote")]
    assert all(environment["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {CANARIES[1]}" for environment in sent)
    assert all(environment["GIT_TERMINAL_PROMPT"] == "0" for environment in sent)


def test_the_token_goes_to_the_repository_alone(bare: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = first_push._git_environment("https://dev.azure.com/contoso/p/_git/r")

    assert environment["GIT_CONFIG_KEY_0"] == "http.https://dev.azure.com/contoso/p/_git/r.extraHeader"
    monkeypatch.delenv("AZDO_PERSONAL_ACCESS_TOKEN")
    assert first_push._git_environment("https://dev.azure.com/contoso") == {"GIT_TERMINAL_PROMPT": "0"}


def test_the_hook_pushes_to_the_repository_of_the_policy(
    program: Program, checkout: Path, tmp_path: Path, told: dict[str, list[str]]
) -> None:
    target = tmp_path / "organization" / "p" / "_git" / "r"
    git(tmp_path, "init", "--quiet", "--bare", str(target))
    url = (tmp_path / "organization").as_uri()
    hooks = program.part(lambda _: first_push_hook(url, "main", checkout)).hooks

    args = pulumi.ResourceHookArgs(
        urn="u", id="", name="n", type="t", new_inputs={"projectId": "p", "repositoryIds": ["r"]}
    )
    asyncio.run(hooks["first-push"](args))

    assert branches(target) == {"refs/heads/main": git(checkout, "rev-parse", "HEAD")}
