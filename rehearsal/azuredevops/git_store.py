"""Repositories: what is known of each, and the bare git repository on disk behind it."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.azuredevops import events
from rehearsal.azuredevops.context import Service, new_id, now
from rehearsal.azuredevops.errors import ServiceError, stale_reference
from rehearsal.store import Document

NOTHING = "0" * 40


class GitError(ServiceError):
    """git refused; its own words are the message. Where nobody expects that, it is the request's mistake: 400."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message, "GitArgumentException")


def environment(**more: str) -> dict[str, str]:
    """For git as a server: nothing of this machine's or this user's configuration has an effect."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": os.devnull, "LC_ALL": "C.UTF-8"}
    return kept | fixed | more


@dataclass(frozen=True)
class Git:
    """The bare repository in a folder."""

    path: Path

    def run(self, *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        """What `git …` prints.

        Raises:
            GitError: it ended with another code than 0.
        """
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            env=environment(GIT_DIR=str(self.path), **(variables or {})),
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def text(self, *arguments: str) -> str:
        """What `git …` prints, as text without the last line's end."""
        return self.run(*arguments).decode(errors="replace").rstrip("\n")

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """The refs below a prefix, with what they point at."""
        lines = self.text("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ") for line in lines)

    def resolve(self, name: str) -> str | None:
        """The commit that a name stands for, or None."""
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except GitError:
            return None

    def has(self, object_id: str) -> bool:
        """Whether the object is there."""
        try:
            self.run("cat-file", "-e", object_id)
        except GitError:
            return False
        return True

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` holds everything that `old` does."""
        try:
            self.run("merge-base", "--is-ancestor", old, new)
        except GitError:
            return False
        return True

    def size(self) -> int:
        """Bytes on disk of the objects."""
        counted = dict(line.split(": ") for line in self.text("count-objects", "-v").splitlines())
        return (int(counted["size"]) + int(counted["size-pack"])) * 1024


def key(repository: Document) -> str:
    return f"{repository['project']}/{repository['id']}"


def git(service: Service, repository: Document) -> Git:
    """The repository on disk."""
    return Git(service.repositories / f"{repository['id']}.git")


def create(service: Service, project: Document, name: str, creator: Document) -> Document:
    """A new, empty repository. The folder comes first: a folder that nobody knows does no harm, see `sweep`."""
    repository = {
        "id": new_id(),
        "project": project["id"],
        "name": name,
        "defaultBranch": None,
        "isDisabled": False,
        "createdBy": creator["id"],
        "createdDate": now(),
    }
    path = git(service, repository).path
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)],
        check=True,
        capture_output=True,
        env=environment(),
    )
    service.store.put("repository", key(repository), repository)
    return repository


def remove(service: Service, repository: Document) -> None:
    """The repository is gone, with all that was pushed. The folder goes last, by `sweep` if need be."""
    service.store.delete("repository", key(repository))
    for place, _ in service.store.items("push", f"{key(repository)}/"):
        service.store.delete("push", place)
    shutil.rmtree(git(service, repository).path, ignore_errors=True)


def sweep(service: Service) -> None:
    """Puts folders and database in step again, after a process that died in the middle of something.

    A folder that belongs to no repository goes. A push of which the refs arrived, but not what is noted of it, is
    noted, and whoever waits for pushes hears of it.
    """
    known = {f"{each['id']}.git": each for each in service.store.all("repository")}
    for path in service.repositories.iterdir():
        repository = known.get(path.name)
        if repository is None:
            shutil.rmtree(path, ignore_errors=True)
            continue
        heads = Git(path).refs("refs/heads/")
        if repository["defaultBranch"] is None and heads:
            set_default_branch(service, repository, "refs/heads/main" if "refs/heads/main" in heads else min(heads))
        with service.store.transaction():
            _note_missed(service, repository, heads)


def _note_missed(service: Service, repository: Document, heads: dict[str, str]) -> None:
    pushes = service.store.all("push", f"{key(repository)}/")
    noted = {each["name"]: each["newObjectId"] for push in pushes for each in push["refUpdates"]}
    branches = sorted({*heads, *(name for name in noted if name.startswith("refs/heads/"))})
    found = [RefUpdate(name, noted.get(name, NOTHING), heads.get(name, NOTHING)) for name in branches]
    updates = [each for each in found if each.old != each.new]
    # Who it was is forgotten: it is put down to who pushed last, or to who made the repository.
    pusher = service.store.get("identity", pushes[-1]["pushedBy"] if pushes else repository["createdBy"])
    if updates and pusher is not None:
        _note(service, repository, updates, pusher)


@dataclass(frozen=True)
class RefUpdate:
    """A ref that is to point elsewhere; `NOTHING` stands for "no ref"."""

    name: str
    old: str
    new: str


def update_refs(service: Service, repository: Document, updates: Iterable[RefUpdate], pusher: Document) -> Document:
    """Moves the refs, all or none, and writes the push down. Rights and policies have been looked at before.

    Returns:
        The push.

    Raises:
        ServiceError: 409, when one of the refs isn't where the update says it is.
    """
    updates = list(updates)
    lines = "".join(
        f"delete {each.name}\0{each.old}\0" if each.new == NOTHING else f"update {each.name}\0{each.new}\0{each.old}\0"
        for each in updates
    )
    try:
        git(service, repository).run("update-ref", "-z", "--stdin", stdin=lines.encode())
    except GitError as error:
        names = ", ".join(each.name for each in updates)
        raise stale_reference(names) from error
    created = [each for each in updates if each.new != NOTHING and each.name.startswith("refs/heads/")]
    if repository["defaultBranch"] is None and created:
        # The first branch that somebody pushes becomes the default.
        set_default_branch(service, repository, created[0].name)
    return _note(service, repository, updates, pusher)


def _note(service: Service, repository: Document, updates: list[RefUpdate], pusher: Document) -> Document:
    """Writes a push down and tells of it."""
    id_ = service.store.next_number(f"push/{repository['id']}")
    push = {
        "pushId": id_,
        "date": now(),
        "pushedBy": pusher["id"],
        "refUpdates": [
            {"name": each.name, "oldObjectId": each.old, "newObjectId": each.new, "repositoryId": repository["id"]}
            for each in updates
        ],
    }
    service.store.put("push", f"{key(repository)}/{id_:09}", push)
    # Whatever moves a branch passes here: git over HTTP, the REST interface, and the merges of pull requests.
    events.publish(service, "push", repository=repository, user=pusher, updates=push["refUpdates"])
    return push


def set_default_branch(service: Service, repository: Document, ref: str) -> None:
    """The branch that a clone checks out."""
    git(service, repository).run("symbolic-ref", "HEAD", ref)
    repository["defaultBranch"] = ref
    service.store.put("repository", key(repository), repository)
