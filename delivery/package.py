"""`package`: a commit as an artifact, a folder that `publish:` uploads and `verify` checks.

*A folder, not an archive.* The files stand in it as they are, with `manifest.json`: they can be looked at in the
service's pages, and a release runs from the folder as it was downloaded.

*Reproducible.* Every byte comes from git's objects and from what is told about the build; the same commit gives the
same files, and with the same `--branch` and `--build-*` the same manifest. The working tree plays no part, so nothing
untracked or uncommitted gets in, and no filter, line end or attribute of a machine changes a file. What a pipeline
tests is the working tree, though: where `HEAD` is packaged and the tree differs from it in something that
belongs into the artifact, that is refused. `--commit` says which commit is meant and leaves the tree alone.

*Modes.* Every file is 0644 and every folder 0755, whatever git says: a pipeline artifact loses the executable bit
(https://github.com/microsoft/azure-pipelines-tasks/issues/21170), a workspace doesn't know it, and nothing of a
release is started by it. Symbolic links and submodules are refused.

*All or nothing.* The folder gets its name when everything in it is checked; every mistake is told at once.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import release_files
from delivery import contents, git, imports, manifest, secret_scan
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, tell
from delivery.contents import Folder
from delivery.git import Commit, Item
from delivery.manifest import Build, Entry, Manifest, Part
from delivery.verify import summary

TEXT = """\
Package a commit for release: a folder with the Pulumi program, the locked requirements, these commands, the notebooks
and the release's tests, and manifest.json. It is read from git's objects: the same commit gives the same files, and
with the same branch and build the same manifest.

Refused are: uncommitted changes of what is packaged (unless --commit says which commit is meant), credentials,
notebooks that Databricks would refuse, tests among what goes to production, imports of modules that aren't packaged,
symbolic links, submodules, pointers of Git LFS, and names that not every file system can hold.
"""
CODES = """\
exit codes:
  0  packaged
  1  refused: the commit can't be released; every reason is told
  2  wrong usage, or something can't be read or written
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to package.

    `commit` None is what is checked out. `branch`, `build` and `built_commit` (the one that the service says it builds)
    are None outside a pipeline.
    """

    project: Path
    output: Path
    commit: str | None
    branch: str | None
    build: Build | None
    built_commit: str | None


def add_parser(add: Add) -> None:
    """The command line of `package`."""
    made = add("package", _command, "a commit as an artifact, with a manifest", TEXT, CODES)
    made.add_argument("--output", type=Path, required=True, help="the artifact's folder; made, or empty before")
    made.add_argument("--digest-file", type=Path, help="where to write the digest, for `verify --digest @FILE`")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--commit", help="what to package (HEAD, if nothing is uncommitted)")
    made.add_argument(
        "--branch", default=os.environ.get("BUILD_SOURCEBRANCH"), help="the branch built ($BUILD_SOURCEBRANCH)"
    )
    made.add_argument("--build-id", default=os.environ.get("BUILD_BUILDID"), help="the run's id ($BUILD_BUILDID)")
    made.add_argument(
        "--build-number", default=os.environ.get("BUILD_BUILDNUMBER"), help="the run's number ($BUILD_BUILDNUMBER)"
    )


def _command(options: argparse.Namespace) -> int:
    wanted = Wanted(
        project=options.project,
        output=options.output.absolute(),
        commit=options.commit,
        branch=options.branch or None,
        build=_build(options),
        built_commit=None if options.commit else os.environ.get("BUILD_SOURCEVERSION"),
    )
    whole = package(wanted, Progress())
    if options.digest_file:
        options.digest_file.parent.mkdir(parents=True, exist_ok=True)
        options.digest_file.write_text(f"{whole.digest}\n", encoding="ascii")
    lines = [f"version {whole.version}", f"content {whole.content}", f"digest  {whole.digest}"]
    tell(lines, {"folder": str(wanted.output), **summary(whole)}, as_json=options.json)
    return 0


def _build(options: argparse.Namespace) -> Build | None:
    if not options.build_id and not options.build_number:
        return None
    if not options.build_number or not str(options.build_id).isdecimal():
        found = f"--build-id is {options.build_id!r}, --build-number {options.build_number!r}"
        raise UnusableError("--build-id", found, "give both, the id as a number, or neither")
    return Build(id=int(options.build_id), number=options.build_number)


def package(wanted: Wanted, progress: Progress) -> Manifest:
    """Makes the artifact.

    Raises:
        RefusedError: the commit can't be released; with every mistake.
        UnusableError: there is no such commit, or the output is taken.
    """
    _make_room(wanted.output)
    commit = git.find_commit(wanted.project, wanted.commit or "HEAD")
    progress.step(f"commit {commit.id} of {commit.time:%Y-%m-%d %H:%M} UTC")
    if wanted.built_commit and wanted.built_commit != commit.id:
        found = f"the build is of {wanted.built_commit}, and {commit.id} would be packaged"
        raise RefusedError(
            [Mistake(key="BUILD_SOURCEVERSION", found=found, remedy="check out nothing else in a build")]
        )
    items = git.items(wanted.project, commit)
    folders = _folders(wanted.project, items)
    parts = {item.path: part for item in items if (part := contents.part_of(item.path, folders))}
    chosen = [item for item in items if item.path in parts]
    mistakes = contents.wrong_items(chosen)
    if wanted.commit is None:
        mistakes += _uncommitted(wanted.project, commit, folders)
    if mistakes:
        raise RefusedError(mistakes)
    files = dict(zip(parts, git.contents(wanted.project, [item.id for item in chosen]), strict=True))
    progress.step(f"{len(files):,} files, {sum(map(len, files.values())):,} bytes")
    made = Path(tempfile.mkdtemp(prefix=f".{wanted.output.name}-", dir=wanted.output.parent))
    try:
        _write(made, files)
        mistakes = _check(made, files, parts, folders, {item.path for item in items})
        progress.step("scanning for secrets")
        mistakes += secret_scan.secrets(files, progress)
        if mistakes:
            raise RefusedError(list(dict.fromkeys(mistakes)))
        whole = _manifest(wanted, commit, files, parts)
        _write(made, {manifest.NAME: whole.written()})
        made.chmod(0o755)
        made.rename(wanted.output)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    progress.step(f"packaged in {wanted.output}")
    return whole


def _make_room(output: Path) -> None:
    if output.is_symlink() or (output.exists() and not output.is_dir()) or (output.is_dir() and any(output.iterdir())):
        remedy = "remove it, or name a folder that isn't there"
        raise UnusableError("--output", f"{output} is there and not an empty folder", remedy)
    if output.is_dir():
        output.rmdir()
    output.parent.mkdir(parents=True, exist_ok=True)


def _folders(project: Path, items: Iterable[Item]) -> list[Folder]:
    """What the stacks of the commit deliver."""
    files = {item.path: item.id for item in items if item.path == contents.PROJECT or _is_stack(item.path)}
    settings = dict(zip(files, git.contents(project, list(files.values())), strict=True))
    folders, mistakes = contents.folders_of(settings)
    if not mistakes and not folders:
        remedy = (
            "commit the stacks' files (Pulumi.test.yaml, Pulumi.prod.yaml), or name the project's folder: --project"
        )
        mistakes = [Mistake(key="--project", found="the commit has no stack there", remedy=remedy)]
    if mistakes:
        raise RefusedError(mistakes)
    return folders


def _is_stack(path: str) -> bool:
    return "/" not in path and fnmatchcase(path, contents.STACKS)


def _uncommitted(project: Path, commit: Commit, folders: list[Folder]) -> list[Mistake]:
    remedy = "commit it, or take it back; `--commit HEAD` packages the commit without it"
    return [
        Mistake(key=path, found="it isn't as it was committed", remedy=remedy)
        for path in git.uncommitted(project, commit)
        if contents.part_of(path, folders)
    ]


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        for above in reversed(target.relative_to(folder).parents[:-1]):
            (folder / above).mkdir(exist_ok=True)
            (folder / above).chmod(0o755)
        target.write_bytes(content)
        target.chmod(0o644)


def _check(
    folder: Path,
    files: Mapping[str, bytes],
    parts: Mapping[str, Part],
    folders: Iterable[Folder],
    modules: Collection[str],
) -> list[Mistake]:
    """Mistakes in the contents; `modules` are the paths of all that the commit has."""
    mistakes = [mistake for path, content in files.items() if (mistake := contents.wrong_content(path, content))]
    program = {path: files[path] for path in files if parts[path] == "program" and path.endswith(".py")}
    mistakes += imports.lacking(program, modules)
    for each in folders:
        try:
            release = release_files.scan(folder / each.path, each.ignore)
        except release_files.ReleaseError as error:
            mistakes += [_told(each, mistake) for mistake in error.mistakes]
        else:
            if each.part == "notebooks":
                mistakes += contents.tests_among(each, release.files)
    return mistakes


def _told(folder: Folder, mistake: release_files.Mistake) -> Mistake:
    path = f"{folder.path}/{mistake.file}" if mistake.file else folder.path
    # What reads a folder knows only one setting for folders.
    remedy = mistake.remedy.replace(":notebooks.", f":{folder.part}.")
    return Mistake(key=path, found=mistake.found, remedy=f"{remedy} (allowed: {mistake.allowed})")


def _manifest(wanted: Wanted, commit: Commit, files: Mapping[str, bytes], parts: Mapping[str, Part]) -> Manifest:
    entries = (
        Entry(path=path, part=parts[path], size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in files.items()
    )
    version = f"{commit.time:%Y.%m.%d.%H%M}+{commit.id[:12]}"
    return Manifest.of(entries, version=version, commit=commit.id, branch=wanted.branch, build=wanted.build)
