"""Commits and files of a repository, as the REST interface shows and makes them."""

import base64
import binascii
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.azuredevops import identities
from rehearsal.azuredevops.context import Call
from rehearsal.azuredevops.errors import ServiceError, invalid
from rehearsal.azuredevops.git_store import NOTHING, Git
from rehearsal.store import Document

_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%at", "%cn", "%ce", "%ct", "%B")


def person(call: Call, identity: Document) -> Document:
    """Who did something."""
    return identities.reference(identity, call.vssps)


def _date(seconds: str) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def described(call: Call, repository: Document, here: Git, commit: str) -> Document:
    """A commit as the service answers it."""
    raw = here.text("show", "--no-patch", f"--format={'%x00'.join(_FIELDS)}", commit)
    id_, tree, parents, name, email, date, by_name, by_email, by_date, message = raw.split("\0", 9)
    url = call.url(repository["project"], "_apis", "git", "repositories", repository["id"], "commits", id_)
    return {
        "commitId": id_,
        "treeId": tree,
        "parents": parents.split(),
        "author": {"name": name, "email": email, "date": _date(date)},
        "committer": {"name": by_name, "email": by_email, "date": _date(by_date)},
        "comment": message.rstrip("\n"),
        "url": url,
    }


def entry(here: Git, commit: str, path: str) -> Document | None:
    """The file or folder at a path, or None."""
    if path == "/":
        return {"path": "/", "objectId": here.text("rev-parse", f"{commit}^{{tree}}"), "gitObjectType": "tree"}
    listed = _list(here, commit, path.strip("/"))
    return listed[0] if listed else None


def below(here: Git, commit: str, path: str, *, deep: bool) -> list[Document]:
    """What is in a folder; with `deep` in the folders below it, too."""
    folder = "" if path == "/" else path.strip("/") + "/"
    return _list(here, commit, folder, *(("-r", "-t") if deep else ()))


def _list(here: Git, commit: str, path: str, *options: str) -> list[Document]:
    raw = here.text(
        "--literal-pathspecs", "ls-tree", "-z", "--full-tree", *options, commit, *(["--", path] if path else [])
    )
    found = []
    for line in raw.split("\0"):
        if line:
            about, _, name = line.partition("\t")
            _, kind, object_id = about.split(" ")
            found.append({"path": f"/{name}", "objectId": object_id, "gitObjectType": kind})
    return [each for each in found if each["path"].strip("/") != path.strip("/") or not path.endswith("/")]


def item(call: Call, repository: Document, here: Git, commit: str, found: Document) -> Document:
    """A file or folder as the service answers it, with the newest commit that changed it."""
    path = found["path"]
    changed = here.text("rev-list", "--max-count=1", commit, "--", *([path.strip("/")] if path != "/" else []))
    url = call.url(repository["project"], "_apis", "git", "repositories", repository["id"], "items")
    return {
        **found,
        "commitId": changed,
        **({"isFolder": True} if found["gitObjectType"] == "tree" else {}),
        "url": f"{url}{path}?versionType=Commit&version={commit}&versionOptions=None",
    }


def make(call: Call, here: Git, wanted: Document, parent: str | None) -> str:
    """Makes a commit from the changes of a push.

    Args:
        wanted: `comment`, `changes`, `author` and `committer` as in the REST interface.
        parent: the commit to build on.

    Raises:
        ServiceError: 400, for a change that can't be made.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        if parent is not None:
            here.run("read-tree", parent, variables=index)
        for change in wanted.get("changes") or []:
            _change(here, change, index)
        tree = here.run("write-tree", variables=index).decode().strip()
    author, committer = (_signature(call, wanted.get(role) or {}) for role in ("author", "committer"))
    return (
        here.run(
            "commit-tree",
            tree,
            *(("-p", parent) if parent else ()),
            stdin=str(wanted.get("comment") or "").encode(),
            variables={
                "GIT_AUTHOR_NAME": author[0],
                "GIT_AUTHOR_EMAIL": author[1],
                "GIT_COMMITTER_NAME": committer[0],
                "GIT_COMMITTER_EMAIL": committer[1],
            },
        )
        .decode()
        .strip()
    )


def _signature(call: Call, given: Document) -> tuple[str, str]:
    # Without a name, or with an empty one, it is who sends the push.
    user = call.user
    return str(given.get("name") or user["displayName"]), str(
        given.get("email") or user["mailAddress"] or "build@rehearsal"
    )


def _change(here: Git, change: Document, index: dict[str, str]) -> None:
    kind = str(change.get("changeType", "")).lower()
    path = str((change.get("item") or {}).get("path", "")).strip("/")
    there = bool(here.run("--literal-pathspecs", "ls-files", "--", path, variables=index))
    if not path or ".." in path.split("/") or ".git" in path.lower().split("/"):
        raise invalid(f"The path '{path}' is not valid.", "InvalidGitPathException")
    if kind == "add" and there:
        message = f"The path '/{path}' specified in the add operation already exists. Please specify a new path."
        raise ServiceError(400, message, "GitPathAlreadyExistsException")
    if kind in ("edit", "delete") and not there:
        raise invalid(f"The path '/{path}' does not exist.", "GitItemNotFoundException")
    if kind == "delete":
        # Mode 0 takes an entry out; `--remove` would want a work tree.
        here.run("update-index", "-z", "--index-info", stdin=f"0 {NOTHING}\t{path}\0".encode(), variables=index)
    elif kind in ("add", "edit"):
        blob = here.run("hash-object", "-w", "--stdin", stdin=_content(change)).decode().strip()
        here.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", variables=index)
    else:
        raise invalid(f"The change type '{kind}' is not supported.", "GitArgumentException")


def _content(change: Document) -> bytes:
    content = change.get("newContent") or {}
    text = str(content.get("content") or "")
    if str(content.get("contentType", "rawtext")).lower() == "rawtext":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise invalid("The content is not valid base64.", "GitArgumentException") from None
