"""`manifest.json`: what an artifact is, and what has to be in it.

It is JSON in UTF-8, with two spaces of indentation, a line feed at the end, and the keys in this order:

| key | holds |
|---|---|
| `format` | 1, the version of this format |
| `version` | the release's name: the commit's time in UTC and first twelve digits, `2026.11.23.2205+b7b576bbe2c1` |
| `commit` | the commit's whole id |
| `branch` | the branch that was built, `refs/heads/main`; null outside a pipeline |
| `build` | `{"id": 17, "number": "20261123.4"}`; null outside a pipeline |
| `digest` | one over all, see below |
| `content` | the digest of the files alone |
| `files` | `path`, `part`, `size` in bytes and `sha256` of each file but the manifest; by the paths' UTF-8 bytes |

There are two digests because there are two questions.

*Is this the artifact that was built?* `digest` answers it. It is the SHA-256 of the manifest itself, with 64 zeros in
the place of the digest. So it covers the files (by their SHA-256) and the commit, the branch and the build too: what a
record of releases says about a build can't be altered without a new digest. Without this code:
`sed 's/"digest": "[0-9a-f]*"/"digest": "000...0"/' manifest.json | sha256sum`.

*Is it the same release?* `content` answers it: the SHA-256 of the lines `{sha256}  {path}`, as `sha256sum` prints them.
It depends on the commit alone, as does everything but `branch` and `build`, and therefore `digest`. Two builds of a
commit have the same `content`. Packaged with the same branch and build they have the same `digest` too: a recorded
release can be made again from git, by anybody, and compared.

The manifest has one spelling: `Manifest.read` refuses any other, so no bit of it is without meaning.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FORMAT = 1
NAME = "manifest.json"
NO_DIGEST = "0" * 64
DIGEST = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

Part = Literal["program", "notebooks", "tests"]
"""What a file is for: `program` runs the deployment, `notebooks` are deployed everywhere, `tests` to test alone."""


class ManifestError(Exception):
    """The bytes aren't a manifest that `package` has written; the message says why."""


class FormatError(ManifestError):
    """The manifest is of another version of the format."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the artifact. `path` is relative, with slashes; `size` in bytes."""

    path: str
    part: Part
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """The pipeline's run: its id, and the number that people see."""

    id: int
    number: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """See the module. The digests are not fields of their own: they follow from the others."""

    version: str
    commit: str
    branch: str | None
    build: Build | None
    files: tuple[Entry, ...]

    @property
    def content(self) -> str:
        """The digest of the files alone: depends on the commit, not on the build."""
        listing = "".join(f"{entry.sha256}  {entry.path}\n" for entry in self.files)
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def digest(self) -> str:
        """The digest over all."""
        return hashlib.sha256(self._written(NO_DIGEST)).hexdigest()

    def written(self) -> bytes:
        """The content of the file."""
        return self._written(self.digest)

    def _written(self, digest: str) -> bytes:
        document = {
            "format": FORMAT,
            "version": self.version,
            "commit": self.commit,
            "branch": self.branch,
            "build": asdict(self.build) if self.build else None,
            "digest": digest,
            "content": self.content,
            "files": [asdict(entry) for entry in self.files],
        }
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def of(
        cls, files: Iterable[Entry], *, version: str, commit: str, branch: str | None, build: Build | None
    ) -> "Manifest":
        """With the files in their order."""
        ordered = tuple(sorted(files, key=lambda entry: entry.path.encode()))
        return cls(version=version, commit=commit, branch=branch, build=build, files=ordered)

    @classmethod
    def read(cls, written: bytes) -> "Manifest":
        """The manifest that was written so, and not otherwise.

        Raises:
            FormatError: it is of another version of the format.
            ManifestError: it isn't what `package` writes; the message says what is wrong.
        """
        try:
            document = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"not valid JSON ({error})") from None
        if not isinstance(document, dict):
            raise ManifestError("JSON, but no object")
        if (told := document.get("format")) != FORMAT or isinstance(told, bool):
            raise FormatError(f"format {json.dumps(told)} instead of {FORMAT}")
        try:
            manifest = cls.of(
                (_entry(each) for each in document["files"]),
                version=_text(document["version"]),
                commit=_text(document["commit"], COMMIT),
                branch=None if document["branch"] is None else _text(document["branch"]),
                build=None if document["build"] is None else _build(document["build"]),
            )
            again = manifest.written()
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"a field that is missing or of a wrong kind ({error})") from None
        for name, digest in (("content", manifest.content), ("digest", manifest.digest)):
            if document.get(name) != digest:
                raise ManifestError(f"{name} {json.dumps(document.get(name))} where the rest gives {digest}")
        if again != written:
            raise ManifestError("a spelling or an order that `package` doesn't write")
        return manifest


def _text(value: object, shape: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str) or (shape and not shape.fullmatch(value)):
        raise TypeError(f"{json.dumps(value)}")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{json.dumps(value)}")
    return value


def _build(value: Any) -> Build:
    return Build(id=_number(value["id"]), number=_text(value["number"]))


def _entry(value: Any) -> Entry:
    if value["part"] not in get_args(Part):
        raise ValueError(f"{json.dumps(value['part'])}")
    return Entry(
        path=_text(value["path"]),
        part=value["part"],
        size=_number(value["size"]),
        sha256=_text(value["sha256"], DIGEST),
    )
