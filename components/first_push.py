"""The first commit of a fresh repository: the checkout's current one, pushed before any policy protects the branch.

A push to a branch with a blocking policy is refused (TF402455), so whatever puts the first commit there has to come
before the policies exist. The hook runs before the first policy is created; after a failure the next `up` runs it
again, and where the branch exists it does nothing.
"""

import os
import subprocess
from pathlib import Path

import pulumi

from components import naming
from components.azure_devops_token import NoTokenError, authorization
from components.hook_threads import in_thread

SECONDS = 600
NAMED_FILES = 10


class GitError(Exception):
    """A git command failed; the message is git's own."""


def first_push_hook(organization_url: str, default_branch: str, checkout: Path) -> pulumi.ResourceHook:
    """A `before_create` hook for a resource that is made right after the repository, with its id in `repositoryIds`.

    Args:
        organization_url: without a slash at the end.
        default_branch: the short name of the branch to make.
        checkout: the git checkout whose current commit is pushed.

    Source: https://learn.microsoft.com/azure/devops/repos/git/branch-policies#can-i-push-changes-directly-to-a-branch
    """

    async def push(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        url = f"{organization_url}/{inputs['projectId']}/_git/{inputs['repositoryIds'][0]}"
        await in_thread(push_if_missing, url, default_branch, checkout)

    return pulumi.ResourceHook("first-push", push)


def push_if_missing(url: str, branch: str, checkout: Path) -> None:
    """Pushes the checkout's current commit as `branch`, unless the repository has that branch already.

    Uncommitted changes stay where they are; a warning names them.

    Args:
        url: the repository's address, without credentials.
        branch: the short name of the branch.
        checkout: the git checkout.

    Raises:
        RuntimeError: it can't be pushed; the message says what to do.
    """
    ref = naming.branch_ref(branch)
    environment = _git_environment(url)
    try:
        if _git(["ls-remote", "--heads", url, ref], checkout, environment):
            return
    except GitError as failed:
        raise RuntimeError(
            f"the repository {url} can't be reached with git: {failed}. Git signs in as the provider does (a token "
            "in AZDO_PERSONAL_ACCESS_TOKEN needs the scope Code: read & write) or else with its own credential helper."
        ) from None
    try:
        commit = _git(["rev-parse", "--verify", "HEAD^{commit}"], checkout)
    except GitError:
        raise RuntimeError(
            f"the new repository needs a first commit on {branch}, and {checkout.name!r} is not a git checkout with a "
            "commit. Do one of these and run `pulumi up` again: run it in a clone of the project; or make one here "
            f"(`git init`, `git add .`, `git commit`); or push {branch} yourself: `git push {url} HEAD:{ref}`."
        ) from None
    _warn_of_uncommitted(checkout)
    try:
        _git(["push", "--quiet", url, f"{commit}:{ref}"], checkout, environment)
    except GitError as failed:
        hint = " Fetch the whole history first: `git fetch --unshallow`." if "shallow" in str(failed) else ""
        raise RuntimeError(f"the first push of {commit[:12]} to {branch} failed: {failed}.{hint}") from None
    pulumi.log.info(f"pushed {commit[:12]} to the new repository as {branch}")


def _warn_of_uncommitted(checkout: Path) -> None:
    changed = _git(["status", "--porcelain", "--no-renames"], checkout).splitlines()
    if changed:
        named = ", ".join(line[3:] for line in changed[:NAMED_FILES])
        more = f" and {len(changed) - NAMED_FILES} more" if len(changed) > NAMED_FILES else ""
        pulumi.log.warn(f"not committed and therefore not in the first push: {named}{more}")


def _git_environment(url: str) -> dict[str, str]:
    """The credential as a header in the environment: arguments are visible to every process of the machine."""
    environment = {"GIT_TERMINAL_PROMPT": "0"}
    try:
        header = authorization()
    except NoTokenError:
        return environment  # git's own credential helper may know one
    return environment | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{url}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
    }


def _git(arguments: list[str], checkout: Path, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands; the address and the branch come from checked settings
            ["git", *arguments],  # noqa: S607 - the user's git, wherever it is
            cwd=checkout,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("there is no git on the PATH") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} took longer than {SECONDS} seconds") from None
    if done.returncode != 0:
        raise GitError(" ".join(done.stderr.split()) or f"git {arguments[0]} ended with {done.returncode}")
    return done.stdout.rstrip("\n")
