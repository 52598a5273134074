"""Which files of a commit are in an artifact, and what each of them is for.

The release pipeline checks nothing out, so the artifact has everything that a release needs: the Pulumi program with
its settings and modules, the locked requirements, these commands, the notebooks, and the tests that run in the test
environment. It has nothing else: no tests of the program, no documents, no rehearsal. The files are named here rather
than what is left out, so that nothing gets into production unseen; `imports.py` refuses a commit whose program needs
more than these.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import yaml

from delivery.console import Mistake
from delivery.git import Item
from delivery.manifest import Part
from release_files import ReleaseFile, name_problem

PROJECT = "Pulumi.yaml"
STACKS = "Pulumi.*.yaml"
# At the top of the project.
PROGRAM_FILES = ("*.py", PROJECT, STACKS, "requirements.lock")
PROGRAM_FOLDERS = ("components", "delivery")
NEEDED = (PROJECT, "__main__.py", "release_files.py", "requirements.lock", "delivery/__main__.py")

NAMESPACE = "databricks-cicd"
# The defaults of the program's settings.
FOLDERS: dict[str, str] = {"notebooks": "notebooks", "tests": "tests/release"}

# What pytest takes for a test: https://docs.pytest.org/en/stable/explanation/goodpractices.html#test-discovery
TEST_FILES = ("test_*.py", "*_test.py", "conftest.py", "test_*.ipynb", "*_test.ipynb")
TEST_FOLDERS = ("test", "tests")

LFS = b"version https://git-lfs.github.com/spec/"
MODES = {
    "120000": ("a symbolic link", "put the file itself there: a pipeline artifact has no links"),
    "160000": ("a submodule", "put its files into this repository: nothing is checked out when a release is deployed"),
}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that a stack delivers: `part` is `notebooks` or `tests`. `ignore` has patterns as in .gitignore."""

    stack: str
    part: Part
    path: str
    ignore: tuple[str, ...]


def folders_of(settings: Mapping[str, bytes]) -> tuple[list[Folder], list[Mistake]]:
    """What the stacks deliver, and what is wrong with their settings.

    Only what concerns the artifact is read; the program itself says what else is wrong with a stack.

    Args:
        settings: the contents of Pulumi.yaml and of the stacks' files, by name.
    """
    mistakes: list[Mistake] = []
    read = {name: _mapping(name, content, mistakes) for name, content in settings.items()}
    defaults = {
        key: told.get("value", told.get("default"))
        for key, told in _inner(read.get(PROJECT, {}), "config").items()
        if isinstance(told, dict)
    }
    folders = []
    for name in sorted(set(read) - {PROJECT}):
        # A key without a namespace is one of the project.
        own = {str(key).removeprefix(f"{NAMESPACE}:"): value for key, value in _inner(read[name], "config").items()}
        config = {key: own.get(key, defaults.get(key)) for key in ("environment", *FOLDERS)}
        if config["environment"] == "production" and config["tests"]:
            found = f"the stack of production has {NAMESPACE}:tests"
            mistakes.append(Mistake(key=name, found=found, remedy="take it away: no test is delivered to production"))
        parts: tuple[Part, ...] = ("notebooks", "tests") if config["tests"] else ("notebooks",)
        folders += [_folder(name, part, config[part], mistakes) for part in parts]
    return folders, mistakes


def part_of(path: str, folders: Sequence[Folder]) -> Part | None:
    """What a file is for; None if it isn't in the artifact."""
    for folder in folders:
        if path.startswith(f"{folder.path}/"):
            return folder.part
    top, slash, _ = path.partition("/")
    if slash:
        return "program" if top in PROGRAM_FOLDERS else None
    return "program" if any(fnmatchcase(path, pattern) for pattern in PROGRAM_FILES) else None


def wrong_items(items: Sequence[Item]) -> list[Mistake]:
    """What can't be in an artifact, by mode and name, and what is needed and isn't there."""
    mistakes = []
    paths = {item.path for item in items}
    for path in NEEDED:
        if path not in paths:
            mistakes.append(Mistake(key=path, found="the commit hasn't got it", remedy="commit it: a release needs it"))
    spelt: dict[str, str] = {}
    for item in items:
        if item.mode in MODES:
            found, remedy = MODES[item.mode]
            mistakes.append(Mistake(key=_shown(item.path), found=found, remedy=remedy))
        if allowed := next(filter(None, map(name_problem, item.path.split("/"))), None):
            found = f"the name {PurePosixPath(item.path).name!a}"
            mistakes.append(Mistake(key=_shown(item.path), found=found, remedy=f"rename it: allowed is {allowed}"))
        # The folders too: `A/x` and `a/y` are two folders on one agent and one on another.
        for path in (item.path, *(str(folder) for folder in list(PurePosixPath(item.path).parents)[:-1])):
            other = spelt.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            if other != path:
                found = f"it differs from {_shown(other)} in case or in the form of accents only"
                remedy = "rename one: on some file systems they are the same"
                mistakes.append(Mistake(key=_shown(path), found=found, remedy=remedy))
    return list(dict.fromkeys(mistakes))


def wrong_content(path: str, content: bytes) -> Mistake | None:
    """Why a file with this content can't be in an artifact."""
    if not content.startswith(LFS):
        return None
    remedy = "commit the file itself (`git lfs untrack`), or keep data in a volume or a table"
    return Mistake(key=path, found="a pointer of Git LFS, not the file", remedy=remedy)


def tests_among(folder: Folder, files: Sequence[ReleaseFile]) -> list[Mistake]:
    """Tests in a folder that goes to production."""
    mistakes = []
    for file in files:
        *above, name = file.source.split("/")
        if any(each in TEST_FOLDERS for each in above) or any(fnmatchcase(name, each) for each in TEST_FILES):
            remedy = f"move it below {FOLDERS['tests']}, or leave it out with {NAMESPACE}:notebooks.ignore"
            found = f"a test, by its name, among the notebooks ({folder.stack}), which go to production"
            mistakes.append(Mistake(key=f"{folder.path}/{file.source}", found=found, remedy=remedy))
    return mistakes


def _folder(stack: str, part: Part, setting: object, mistakes: list[Mistake]) -> Folder:
    told = setting if isinstance(setting, dict) else {}
    path, ignore = told.get("folder", FOLDERS[part]), told.get("ignore", [])
    pure = PurePosixPath(path) if isinstance(path, str) else PurePosixPath()
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        remedy = f"give a folder inside the project, such as {FOLDERS[part]}"
        found = f"{NAMESPACE}:{part}.folder is {path!r}"
        mistakes.append(Mistake(key=stack, found=found, remedy=remedy))
    if not isinstance(ignore, list) or not all(isinstance(each, str) for each in ignore):
        remedy = "give a list of patterns as in .gitignore"
        mistakes.append(Mistake(key=stack, found=f"{NAMESPACE}:{part}.ignore is {ignore!r}", remedy=remedy))
        ignore = []
    return Folder(stack=stack, part=part, path=str(pure), ignore=tuple(ignore))


def _mapping(name: str, content: bytes, mistakes: list[Mistake]) -> dict[str, Any]:
    try:
        read = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        mistakes.append(Mistake(key=name, found=f"not valid YAML ({problem})", remedy="correct it"))
        return {}
    return read if isinstance(read, dict) else {}


def _inner(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    inner = mapping.get(key)
    return inner if isinstance(inner, dict) else {}


def _shown(path: str) -> str:
    """The name, with what can't be printed as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in path)
