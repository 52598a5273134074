"""Merges, made by git itself in the bare repository: `git merge-tree` needs no work tree.

The strategies are those of
https://learn.microsoft.com/azure/devops/repos/git/complete-pull-requests#complete-a-pull-request.
"""

import subprocess
from dataclasses import dataclass

from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.git_store import Git, environment
from rehearsal.azuredevops.pull_requests import documents
from rehearsal.store import Document

STRATEGIES = ("noFastForward", "squash", "rebase", "rebaseMerge")


class ConflictError(Exception):
    """Both sides changed the same.

    Args:
        paths: the files in question.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


@dataclass(frozen=True)
class Signature:
    """Who makes a commit."""

    name: str
    email: str

    @classmethod
    def of(cls, identity: Document) -> "Signature":
        return cls(identity["displayName"], identity["mailAddress"] or "build@rehearsal")


def try_again(service: Service, pull: Document) -> None:
    """Merges the branches as they are now for a trial, and keeps that merge as `refs/pull/{number}/merge`.

    That is the commit which the pull request's builds check out. After a conflict the ref stays away.
    """
    here = documents.git_of(service, pull)
    ref = ref_of(pull)
    service_itself = Signature("Azure DevOps", "noreply@rehearsal.example")
    message = f"Merge pull request {pull['id']} from {_short(pull['source'])} into {_short(pull['target'])}"
    try:
        tree = _tree(here, pull["targetCommit"], pull["sourceCommit"])
    except ConflictError as conflict:
        pull |= {"mergeStatus": "conflicts", "mergeCommit": None, "conflicts": conflict.paths}
        if here.refs(ref):
            here.run("update-ref", "-d", ref)
        return
    parents = (pull["targetCommit"], pull["sourceCommit"])
    commit = _commit(here, tree, parents, message, author=service_itself, committer=service_itself)
    here.run("update-ref", ref, commit)
    pull |= {"mergeStatus": "succeeded", "mergeCommit": commit, "conflicts": []}


def ref_of(pull: Document) -> str:
    """Where the trial merge is found."""
    return f"refs/pull/{pull['id']}/merge"


def _short(ref: str) -> str:
    return str(ref).removeprefix("refs/heads/")


def merge(here: Git, pull: Document, strategy: str, message: str, *, author: Signature, committer: Signature) -> str:
    """The commit to which the target goes when the pull request is completed.

    Args:
        strategy: one of `STRATEGIES`.
        message: of the commit that is made; a rebase without a merge has none.
        author: of a squashed commit. Whom the service names there isn't documented; it is who made the pull request.
        committer: who completes.

    Raises:
        ConflictError: it can't be merged so.
    """
    target, source = pull["targetCommit"], pull["sourceCommit"]
    if strategy == "squash":
        return _commit(here, _tree(here, target, source), (target,), message, author=author, committer=committer)
    if strategy == "noFastForward":
        return _commit(
            here, _tree(here, target, source), (target, source), message, author=committer, committer=committer
        )
    top = _rebased(here, target, source, committer)
    if strategy == "rebase":
        return top
    tree = here.text("rev-parse", f"{top}^{{tree}}")
    return _commit(here, tree, (target, top), message, author=committer, committer=committer)


def _rebased(here: Git, target: str, source: str, committer: Signature) -> str:
    """The source's own commits, without its merges, one after the other on the target."""
    listed = here.text("rev-list", "--reverse", "--topo-order", "--no-merges", f"{target}..{source}")
    top = target
    for commit in listed.splitlines():
        # merge-tree can't be told a base (before git 2.40): a commit with the state so far, but with the parent of
        # the one that is to be put on top, makes that parent the base.
        parent = here.resolve(f"{commit}^")
        state = here.text("rev-parse", f"{top}^{{tree}}")
        ours = _commit(here, state, (parent,) if parent else (), "", author=committer, committer=committer)
        raw = here.text("show", "--no-patch", "--format=%an%x00%ae%x00%aI%x00%B", commit)
        name, email, date, message = raw.split("\0", 3)
        tree = _tree(here, ours, commit)
        top = _commit(here, tree, (top,), message, author=Signature(name, email), committer=committer, date=date)
    return top


def _commit(
    here: Git,
    tree: str,
    parents: tuple[str, ...],
    message: str,
    *,
    author: Signature,
    committer: Signature,
    date: str | None = None,
) -> str:
    variables = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": committer.name,
        "GIT_COMMITTER_EMAIL": committer.email,
    }
    if date:
        variables["GIT_AUTHOR_DATE"] = date
    given = [word for parent in parents for word in ("-p", parent)]
    return here.run("commit-tree", tree, *given, stdin=message.encode(), variables=variables).decode().strip()


def _tree(here: Git, ours: str, theirs: str) -> str:
    """The tree that holds both.

    Raises:
        ConflictError: see https://git-scm.com/docs/git-merge-tree; also where the branches share no commit.
    """
    done = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "merge-tree",
            "--write-tree",
            "--name-only",
            "--no-messages",
            "-z",
            ours,
            theirs,
        ],
        cwd=here.path,
        capture_output=True,
        env=environment(GIT_DIR=str(here.path)),
        check=False,
    )
    tree, *paths = done.stdout.decode(errors="replace").split("\0")
    if done.returncode:
        raise ConflictError([path for path in paths if path])
    return tree
