"""What is kept of a pull request.

| kind | key | what |
|---|---|---|
| `pull-request` | project / number | branches, reviewers with their votes, iterations, and how the merge stands |
| `pull-request-thread` | project / number / thread | a thread with its comments |
| `pull-request-status` | project / number / status | what an outside service says of it |
| `policy-evaluation` | project / number / configuration | how a branch policy stands, see `evaluation` |
"""

from collections.abc import Iterator

from rehearsal.azuredevops import build
from rehearsal.azuredevops.context import Service, now
from rehearsal.azuredevops.git_store import Git, GitError, git
from rehearsal.store import Document, Store

APPROVED, APPROVED_WITH_SUGGESTIONS, NO_VOTE, WAITING, REJECTED = 10, 5, 0, -5, -10
VOTES = (APPROVED, APPROVED_WITH_SUGGESTIONS, NO_VOTE, WAITING, REJECTED)


def key(pull: Document) -> str:
    return build.key(pull["project"], pull["id"])


def find(store: Store, project_id: str, number: int) -> Document | None:
    """The pull request, or None."""
    return store.get("pull-request", build.key(project_id, number))


def keep(store: Store, pull: Document) -> None:
    """Keeps the pull request."""
    store.put("pull-request", key(pull), pull)


def active(store: Store, repository: Document) -> list[Document]:
    """The pull requests of a repository that are open, the oldest first."""
    found = store.all("pull-request", f"{repository['project']}/")
    return [each for each in found if each["repository"] == repository["id"] and each["status"] == "active"]


def repository_of(store: Store, pull: Document) -> Document | None:
    """The repository of a pull request, or None when it was deleted."""
    return store.get("repository", f"{pull['project']}/{pull['repository']}")


def git_of(service: Service, pull: Document) -> Git:
    """Its repository on disk."""
    return git(service, {"id": pull["repository"]})


def reviewer(pull: Document, identity_id: str) -> Document | None:
    """The entry of a reviewer, or None."""
    return next((each for each in pull["reviewers"] if each["id"] == identity_id), None)


def new_reviewer(identity_id: str) -> Document:
    """Somebody who is asked, and has not voted."""
    return {
        "id": identity_id,
        "vote": NO_VOTE,
        "approvedOn": [],  # the iterations that were approved
        "isRequired": False,
        "isFlagged": False,
        "hasDeclined": False,
    }


def add_iteration(here: Git, pull: Document, author: str, reason: str) -> Document:
    """Notes where source and target are after a push.

    Args:
        author: the id of who pushed.
        reason: `create`, `push` or `forcePush` (IterationReason).
    """
    iteration = {
        "id": len(pull["iterations"]) + 1,
        "source": pull["sourceCommit"],
        "target": pull["targetCommit"],
        "base": base(here, pull["targetCommit"], pull["sourceCommit"]),
        "author": author,
        "reason": reason,
        "date": now(),
    }
    pull["iterations"].append(iteration)
    return iteration


def base(here: Git, target: str, source: str) -> str:
    """Where both branches part; the target itself, where they have nothing in common."""
    try:
        return here.text("merge-base", target, source)
    except GitError:
        return target


def changed_paths(here: Git, pull: Document) -> list[str]:
    """What the pull request changes, each path from the root on, as filters of policies have it."""
    source = pull["sourceCommit"]
    return [path for _, path, _ in changes(here, base(here, pull["targetCommit"], source), source)]


def changes(here: Git, old: str, new: str) -> Iterator[tuple[str, str, str]]:
    """Of every file that differs: git's letter for what was done (`A`, `M`, `D`, `T`), path, and the object's id."""
    fields = here.text("diff-tree", "-r", "--no-renames", "-z", old, new).split("\0")
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        _, _, before, after, letter = about.split(" ")
        yield letter, f"/{path}", before if letter == "D" else after


def threads(store: Store, pull: Document) -> list[Document]:
    """The comment threads, the oldest first."""
    return store.all("pull-request-thread", f"{key(pull)}/")


def statuses(store: Store, pull: Document) -> list[Document]:
    """What outside services say, the oldest first."""
    return store.all("pull-request-status", f"{key(pull)}/")


def evaluation_key(pull: Document, configuration_id: int) -> str:
    return f"{key(pull)}/{configuration_id:09}"


def evaluations(store: Store, pull: Document) -> list[Document]:
    """How the policies stood when they were last looked at."""
    return store.all("policy-evaluation", f"{key(pull)}/")
