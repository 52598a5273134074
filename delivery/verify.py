"""`verify`: an artifact against its manifest, and against the digest that it should have.

Nothing but Python's standard library is used, so it can run before anything that the artifact asks for is installed.
And nothing is forgiven: a folder `.venv` or `__pycache__` that somebody has left there is a difference, for Python runs
what is in it.
"""

import argparse
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from delivery import manifest
from delivery.commands import Add
from delivery.console import Progress, UnusableError, agent_command, shortened, tell
from delivery.manifest import Entry, FormatError, Manifest, ManifestError

TEXT = """\
Compare an artifact with its manifest and with the digest it should have, and say what differs. It needs nothing but
Python. Inside the artifact's folder run it with `python -B`, or with PYTHONDONTWRITEBYTECODE=1 in the environment:
otherwise Python leaves a folder __pycache__ there, and that is a difference.
"""
CODES = """\
exit codes:
  0  equal
  1  something differs: a file is missing, added, changed or of another mode; the manifest was altered, its digest
     isn't the expected one, or its format is of another version
  2  wrong usage, or something can't be read
"""

Kind = Literal["format", "manifest", "digest", "missing", "added", "changed", "mode"]
"""How an artifact differs:

`format`: the manifest is of another version of the format. `manifest`: it isn't as it was written. `digest`: it
isn't the artifact that was asked for. `missing`, `added`, `changed`: a file. `mode`: something else than a plain file
stands in a file's place (a link, for example), or the file has become executable.
"""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`path` is relative to the artifact's folder; of a folder it ends in a slash."""

    kind: Kind
    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.kind:<9} {self.path}: {self.found} instead of {self.expected}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`manifest` is None if it can't be relied upon; then the files weren't compared."""

    manifest: Manifest | None
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        known: dict[str, Any] = summary(self.manifest) if self.manifest else {}
        return {"equal": self.equal, **known, "differences": [asdict(each) for each in self.differences]}

    def lines(self) -> list[str]:
        """What people read."""
        shown = shortened([str(each) for each in self.differences])
        if not self.manifest:
            return shown
        told = f"{len(self.manifest.files):,} files, version {self.manifest.version}, digest {self.manifest.digest}"
        if self.equal:
            return [told]
        remedy = "download it again; what runs in its folder has to write elsewhere (Python: -B, and .venv beside it)"
        number = len(self.differences)
        return [*shown, f"{number:,} difference{'s' if number > 1 else ''} from {told}", remedy]


def add_parser(add: Add) -> None:
    """The command line of `verify`."""
    made = add("verify", _command, "an artifact against its manifest and digest", TEXT, CODES)
    made.add_argument("folder", type=Path, help="the artifact")
    add_digest(made)


def add_digest(parser: argparse.ArgumentParser) -> None:
    """The option --digest of this and other commands; see `expected_digest`."""
    parser.add_argument(
        "--digest",
        help="the digest that `package` has printed, or @FILE, where it has written it; else the manifest's own counts",
    )


def expected_digest(given: str | None) -> str | None:
    """The digest that an artifact should have; of `@FILE` the one that stands in the file.

    Raises:
        UnusableError: there is no such file, or something else in it.
    """
    if given is None or not given.startswith("@"):
        return given
    file = Path(given[1:])
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UnusableError("--digest", f"{file} can't be read: {error}", "name the file of `package`") from None
    if not manifest.DIGEST.fullmatch(found):
        raise UnusableError("--digest", f"{file} holds no digest", "name the file of `package --digest-file`")
    return found


def _command(options: argparse.Namespace) -> int:
    verdict = verify(options.folder, expected_digest(options.digest), Progress())
    commands = []
    if verdict.equal and verdict.manifest:
        # For later stages.
        commands = [agent_command("task.setvariable", verdict.manifest.digest, variable="digest", isOutput="true")]
    tell(verdict.lines(), verdict.document(), as_json=options.json, agent_commands=commands)
    return 0 if verdict.equal else 1


def summary(whole: Manifest) -> dict[str, Any]:
    """A manifest without its files, for `--json`."""
    return {
        "version": whole.version,
        "commit": whole.commit,
        "branch": whole.branch,
        "build": asdict(whole.build) if whole.build else None,
        "digest": whole.digest,
        "content": whole.content,
        "files": len(whole.files),
        "bytes": sum(entry.size for entry in whole.files),
    }


def verify(folder: Path, digest: str | None, progress: Progress) -> Verdict:
    """Compares.

    Args:
        folder: the artifact, with `manifest.json` in it.
        digest: what it should have; None to compare with its own manifest alone.
        progress: hears how far it is.

    Raises:
        UnusableError: there is no artifact, or a file of it can't be read.
    """
    if digest is not None and not manifest.DIGEST.fullmatch(digest):
        raise UnusableError("--digest", repr(digest), "give the 64 hexadecimal digits that `package` has printed")
    try:
        whole = Manifest.read((folder / manifest.NAME).read_bytes())
    except FormatError as error:
        wrong = Difference(kind="format", path=manifest.NAME, found=str(error), expected=f"format {manifest.FORMAT}")
        return Verdict(manifest=None, differences=(wrong,))
    except ManifestError as error:
        wrong = Difference(kind="manifest", path=manifest.NAME, found=str(error), expected="what was packaged")
        return Verdict(manifest=None, differences=(wrong,))
    except OSError as error:
        remedy = "give the folder that `package` has made, or that the artifact was downloaded to"
        raise UnusableError(str(folder / manifest.NAME), error.strerror or str(error), remedy) from None
    differences = []
    if digest is not None and digest != whole.digest:
        differences.append(Difference(kind="digest", path=manifest.NAME, found=whole.digest, expected=digest))
    differences += _compare(folder, whole, progress)
    return Verdict(manifest=whole, differences=tuple(differences))


def _compare(folder: Path, whole: Manifest, progress: Progress) -> Iterator[Difference]:
    expected = {entry.path: entry for entry in whole.files}
    folders = {path[: index + 1] for path in expected for index, letter in enumerate(path) if letter == "/"}
    missing = dict(expected)
    for done, (path, status) in enumerate(_walk(folder, "", folders)):
        progress.count("compared", done, len(expected))
        entry = expected.get(path)
        if entry:
            del missing[path]
        if entry or path == manifest.NAME:
            yield from _compare_file(folder, path, status, entry)
        else:
            yield Difference(kind="added", path=path, found=_what(status), expected="nothing")
    for path in missing:
        yield Difference(kind="missing", path=path, found="nothing", expected="a file")


def _compare_file(folder: Path, path: str, status: os.stat_result, entry: Entry | None) -> Iterator[Difference]:
    if not stat.S_ISREG(status.st_mode):
        yield Difference(kind="mode", path=path, found=_what(status), expected="a file")
        return
    if status.st_mode & 0o111:
        yield Difference(kind="mode", path=path, found="an executable file", expected="a file")
    if entry is None:
        return
    if status.st_size != entry.size:
        yield Difference(kind="changed", path=path, found=f"{status.st_size:,} bytes", expected=f"{entry.size:,} bytes")
        return
    try:
        with (folder / path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(folder / path, error) from None
    if found != entry.sha256:
        yield Difference(kind="changed", path=path, found=f"SHA-256 {found}", expected=f"SHA-256 {entry.sha256}")


def _walk(folder: Path, prefix: str, known: set[str]) -> Iterator[tuple[str, os.stat_result]]:
    """What is in the folder; of a folder where no file of the artifact is only its name, with a slash."""
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            path, status = prefix + entry.name, entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                yield path, status
            elif path + "/" in known:
                yield from _walk(Path(entry.path), path + "/", known)
            else:
                yield path + "/", status
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(path: Path, error: OSError) -> UnusableError:
    return UnusableError(str(path), error.strerror or str(error), "make it readable for the user who verifies")


def _what(status: os.stat_result) -> str:
    kinds = ((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symbolic link"))
    return next((name for test, name in kinds if test(status.st_mode)), "neither file nor folder")
