"""What may be pushed: rights, branch policies, and what the repository's policies say about the files.

https://learn.microsoft.com/azure/devops/repos/git/branch-policies and
https://learn.microsoft.com/azure/devops/repos/git/repository-settings.
"""

import fnmatch
import re
from collections.abc import Iterator

from rehearsal.azuredevops import permissions, policy
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.git_store import NOTHING, Git, RefUpdate, git
from rehearsal.azuredevops.permissions import GIT
from rehearsal.store import Document

PROTECTED = "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."
# Names that Windows can't have as a file. https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*[<>:\"|?*\\\x00-\x1f].*|.*[. ]", re.IGNORECASE)


def refusal(service: Service, repository: Document, user: Document, update: RefUpdate) -> str | None:
    """Why this update is refused, in the service's words, or None.

    Looked at in the order of the real service as far as it is known: rights first, then the branch's policies, then
    the files. The new objects must be in the repository already.
    """
    if update.name.startswith("refs/pull/"):
        # The trial merges of pull requests, which builds check out. The service's words aren't known.
        return f"The ref {update.name} is the service's own; it can't be pushed to."
    here = git(service, repository)
    wanting = _lacking_right(service, repository, user, update, here)
    if wanting:
        return wanting
    if is_protected(service, repository, user, update):
        return PROTECTED
    if update.new == NOTHING:
        return None
    return _offending_files(service, repository, update, here)


def may(service: Service, repository: Document, user: Document, action: str, ref: str = "") -> bool:
    """Whether the user has a git permission on the repository, or on a branch of it."""
    token = permissions.git_token(repository["project"], repository["id"], ref)
    return permissions.may(service.store, user, GIT, token, action)


def is_protected(service: Service, repository: Document, user: Document, update: RefUpdate) -> bool:
    """Whether a policy on the branch lets nobody push, and this user isn't exempt from it.

    A branch that doesn't exist yet can be made although a policy waits for it; it can't be changed or deleted then.
    """
    if update.old == NOTHING or not update.name.startswith("refs/heads/"):
        return False
    rules = policy.in_force(service.store, repository, update.name, on_branch=True)
    return bool(rules) and not may(service, repository, user, "PolicyExempt", update.name)


def _lacking_right(service: Service, repository: Document, user: Document, update: RefUpdate, here: Git) -> str | None:
    needed = "GenericContribute"
    if update.old == NOTHING and here.refs("refs/heads/"):
        needed = "CreateTag" if update.name.startswith("refs/tags/") else "CreateBranch"
    elif update.old != NOTHING and (update.new == NOTHING or not here.is_ancestor(update.old, update.new)):
        # Who made a branch may rewrite and delete it.
        needed = needed if _is_mine(service, repository, user, update.name) else "ForcePush"
    if may(service, repository, user, needed, update.name):
        return None
    return permissions.lacking_git(user, needed, "branch").message


def _is_mine(service: Service, repository: Document, user: Document, ref: str) -> bool:
    made_by = None
    for push in service.store.all("push", f"{repository['project']}/{repository['id']}/"):
        for update in push["refUpdates"]:
            if update["name"] == ref and update["oldObjectId"] == NOTHING:
                made_by = push["pushedBy"]
    return bool(made_by == user["id"])


def _offending_files(service: Service, repository: Document, update: RefUpdate, here: Git) -> str | None:
    for rule in policy.in_force(service.store, repository, None, on_branch=False):
        message = _FILE_RULES[rule["type"]](rule["settings"], update, here)
        if message:
            return message
    return None


def _commits(update: RefUpdate, here: Git) -> list[str]:
    known = [f"^{each}" for each in set(here.refs().values())]
    return here.text("rev-list", update.new, *known).splitlines()


def _added(update: RefUpdate, here: Git) -> Iterator[tuple[str, str]]:
    """Path and blob of every file that the new commits add or change."""
    for commit in _commits(update, here):
        raw = here.text(
            "diff-tree", "--root", "-r", "-m", "--no-renames", "--diff-filter=AMT", "-z", "--no-commit-id", commit
        )
        fields = raw.split("\0")
        for entry, path in zip(fields[::2], fields[1::2], strict=False):
            mode, blob = entry.split(" ")[1], entry.split(" ")[3]
            if mode != "160000":
                yield path, blob


def _file_size(settings: Document, update: RefUpdate, here: Git) -> str | None:
    limit = settings["maximumGitBlobSizeInBytes"]
    blobs = dict(_added(update, here))
    asked = "".join(f"{blob}\n" for blob in blobs.values()).encode()
    sizes = here.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).decode().split()
    large = [path for path, size in zip(blobs, sizes, strict=True) if int(size) > limit]
    return f"The push was rejected because it contains files larger than {limit} bytes: {large[0]}" if large else None


def _path_length(settings: Document, update: RefUpdate, here: Git) -> str | None:
    # https://learn.microsoft.com/azure/devops/repos/git/limits has these words.
    limit = settings["maxPathLength"]
    if any(len(path) + 1 > limit for path, _ in _added(update, here)):
        return (
            f"VS403729: The push was rejected because commit '{update.new}' contains a path, which exceeds the maximum "
            f"length of {limit} characters."
        )
    return None


def _reserved_name(_settings: Document, update: RefUpdate, here: Git) -> str | None:
    for path, _ in _added(update, here):
        if any(_RESERVED.fullmatch(part) for part in path.split("/")):
            return f"The push was rejected because it contains a reserved name: {path}"
    return None


def _case(settings: Document, update: RefUpdate, here: Git) -> str | None:
    """Files, folders and branches whose names differ in nothing but their case."""
    if not settings.get("enforceConsistentCase"):
        return None
    seen: dict[str, str] = {}
    for path in here.text("ls-tree", "-r", "-t", "-z", "--name-only", update.new).split("\0"):
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            return f"The push was rejected because it contains names that differ only in case: {other}, {path}"
    for name in here.refs():
        if name != update.name and name.casefold() == update.name.casefold():
            return f"The push was rejected because the ref {name} differs from it only in case."
    return None


def _path_pattern(settings: Document, update: RefUpdate, here: Git) -> str | None:
    for path, _ in _added(update, here):
        if not _allowed(f"/{path}", settings["filenamePatterns"]):
            return f"The push was rejected because the path is not allowed by policy: {path}"
    return None


def _author_email(settings: Document, update: RefUpdate, here: Git) -> str | None:
    for commit in _commits(update, here):
        email = here.text("show", "--no-patch", "--format=%ae", commit)
        if not _allowed(email, settings["authorEmailPatterns"]):
            return (
                f"VS403702: The push was rejected because one or more commits contain author email '{email}' which "
                "does not match the policy-specified patterns."
            )
    return None


_FILE_RULES = {
    policy.FILE_SIZE: _file_size,
    policy.PATH_LENGTH: _path_length,
    policy.RESERVED_NAMES: _reserved_name,
    policy.CASE: _case,
    policy.PATH_PATTERNS: _path_pattern,
    policy.AUTHOR_EMAILS: _author_email,
}


def _allowed(text: str, patterns: list[str]) -> bool:
    """Patterns with wildcards, read in order; one with `!` before it takes back what an earlier one allowed."""
    allowed = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(text.casefold(), pattern.removeprefix("!").casefold()):
            allowed = not pattern.startswith("!")
    return allowed
