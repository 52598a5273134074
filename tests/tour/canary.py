"""Where no credential may be: everything that the tour has left, each as it can be read; and how one looks there.

What is packed is unpacked: artifacts are zip files, git's objects are deflated, the stand-ins' documents in databases.
"""

import base64
import html
import json
import re
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from rehearsal.home import SERVICES, Home, Service
from rehearsal.tour.people import client
from rehearsal.tour.team import REPOSITORY, Team

KINDS = frozenset({"artifact", "comment", "database", "file", "git", "log", "page", "run", "state", "test", "timeline"})

# The service keeps the values of variable groups, as the real one does, and gives them to jobs alone.
_VAULT = "variable-group"
_STARTS = {"azuredevops": ("/rehearsal",), "databricks": ("/browse/", "/jobs", "/status")}
# They lead out of the session, or to what is read otherwise: artifacts, and files of each commit.
_LEFT_OUT = re.compile(r"^/_signout|^/_pages/|/_build/artifact|/_git/[^/?]+(/commit/\w+)?\?path=")
_MOST_PAGES = 2000
# What a credential, and base64 of one, is made of: in a text, little else is as long.
_LONG = re.compile(rb"[A-Za-z0-9+/_=-]{20,}")


@dataclass(frozen=True)
class Place:
    """Something that can be read. `kind` is one of `KINDS`."""

    kind: str
    name: str
    content: bytes


@dataclass
class Search:
    """Looks for credentials.

    Args:
        secrets: what is looked for; of at least twenty characters each.
        found: each secret -> where it is, as kind and name.
    """

    secrets: Iterable[str]
    found: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._needles = [(secret, form) for secret in self.secrets for form in forms(secret)]

    def look(self, place: Place) -> None:
        """Keeps what is found in a place."""
        text = b" ".join(_LONG.findall(place.content))
        for secret in {secret for secret, needle in self._needles if needle in text}:
            self.found.setdefault(secret, []).append((place.kind, place.name))


def forms(secret: str) -> set[bytes]:
    """A secret as it stands, and as it stands within base64 of something longer, as in the header of basic sign-in."""
    found = {secret.encode()}
    for before in range(3):
        longer = b"\0" * before + secret.encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The characters at both ends hold bits of what stands beside it, too.
            found.add(encode(longer)[-(-before * 8 // 6) : len(longer) * 8 // 6])
    return found


def secrets(home: Home) -> list[str]:
    """The credentials of a rehearsal; those of jobs are not among them, as nobody keeps them."""
    known = json.loads((home.path / "credentials.json").read_text())
    tokens = {token for users in known["users"].values() for token in users.values()}
    with closing(sqlite3.connect(home.state("azuredevops") / "azuredevops.sqlite")) as opened:
        groups = [json.loads(body) for (body,) in opened.execute(f"SELECT body FROM documents WHERE kind='{_VAULT}'")]  # noqa: S608 - our own name
    in_groups = {each["value"] for group in groups for each in group["variables"].values() if each["isSecret"]}
    assert len(in_groups - tokens) == 2, "a passphrase and a secret of OAuth"
    return [known["control"], *(tokens | in_groups)]


def places(team: Team) -> Iterator[Place]:
    """Everything."""
    yield from _files(team.home)
    yield from _objects(team.home)
    for service in SERVICES:
        yield from _documents(team.home, service)
        yield from _pages(team.home, service)
    yield from _answers(team)


def _files(home: Home) -> Iterator[Place]:
    kept = {home.path / "credentials.json", home.passphrase}
    for file in sorted(home.path.rglob("*")):
        if file.is_symlink() or not file.is_file() or file in kept or ".sqlite" in file.name:
            continue
        name = str(file.relative_to(home.path))
        if zipfile.is_zipfile(file):
            kind = "artifact" if file.parent.name == "artifacts" else "file"
            with zipfile.ZipFile(file) as packed:
                for each in packed.namelist():
                    yield Place(kind, f"{name}: {each}", packed.read(each))
        else:
            yield Place("state" if file.is_relative_to(home.backend) else "file", name, file.read_bytes())


def _objects(home: Home) -> Iterator[Place]:
    for head in sorted(home.path.rglob("HEAD")):
        if (head.parent / "objects").is_dir():
            command = ["git", "--git-dir", str(head.parent), "cat-file", "--batch", "--batch-all-objects", "--buffer"]
            content = subprocess.run(command, check=True, capture_output=True).stdout
            yield Place("git", str(head.parent.relative_to(home.path)), content)


def _documents(home: Home, service: Service) -> Iterator[Place]:
    with closing(sqlite3.connect(home.state(service) / f"{service}.sqlite")) as opened:
        for table in ("documents", "blobs"):
            for kind, key, body in opened.execute(f"SELECT kind, key, body FROM {table}"):  # noqa: S608 - our own names
                if kind != _VAULT:
                    content = body.encode() if isinstance(body, str) else body
                    yield Place("database", f"{service} {kind} {key}", f"{key} ".encode() + content)


def _pages(home: Home, service: Service) -> Iterator[Place]:
    """What an administrator sees who follows every link."""
    with client(base_url=home.address(service), follow_redirects=True) as pages:
        form = pages.get("/_signin").raise_for_status().text
        token = re.findall(r'name="token" value="([^"]+)"', form)[0]
        pages.post("/_signin", data={"user": "administrator", "token": token}).raise_for_status()
        ahead = list(_STARTS[service])
        known = set(ahead)
        while ahead:
            path = ahead.pop()
            answer = pages.get(path)
            yield Place("page", f"{service} {path}", answer.content)
            for link in re.findall(r'href="(/[^"#]*)', answer.text):
                where = html.unescape(link)
                if where not in known and not _LEFT_OUT.search(where):
                    known.add(where)
                    ahead.append(where)
            assert len(known) < _MOST_PAGES, sorted(known)[:: _MOST_PAGES // 20]


def _answers(team: Team) -> Iterator[Place]:
    """What the interface tells of runs and pull requests."""
    ada = team.person("administrator")

    def told(kind: str, path: str, **query: Any) -> tuple[Any, Place]:
        answer = ada.ask("GET", path, **query)
        return answer, Place(kind, f"{path} {query or ''}", json.dumps(answer, ensure_ascii=False).encode())

    runs, _ = told("run", "_apis/build/builds")
    for each in runs["value"]:
        path = f"_apis/build/builds/{each['id']}"
        yield told("run", path)[1]
        yield told("timeline", f"{path}/timeline")[1]
        logs, _ = told("log", f"{path}/logs")
        for log in logs["value"]:
            yield told("log", f"{path}/logs/{log['id']}")[1]
        tests, place = told("test", "_apis/test/runs", buildUri=each["uri"], includeRunDetails="true")
        yield place
        for run in tests["value"]:
            yield told("test", f"_apis/test/runs/{run['id']}/results")[1]
    below = f"_apis/git/repositories/{REPOSITORY}/pullrequests"
    every: dict[str, Any] = {"searchCriteria.status": "all"}
    for each in ada.ask("GET", below, **every)["value"]:
        yield told("comment", f"{below}/{each['pullRequestId']}/threads")[1]
