"""Where templates come from: files of the repository and of repository resources, within the service's limits.

https://learn.microsoft.com/azure/devops/pipelines/process/templates: a path begins at the folder of the file that names
it, or with `/` at the root; `@` names a repository resource, `@self` the pipeline's own repository.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rehearsal.agent.language.errors import PipelineError, Position
from rehearsal.agent.language.nodes import Node, read

MAX_FILES = 100  # "No more than 100 separate YAML files may be included (directly or indirectly)"
MAX_NESTING = 100  # "No more than 100 levels of template nesting"
_MAX_NODES = 200_000  # the service counts 20 megabytes of memory; this many values are of that order

ReadFile: TypeAlias = Callable[[str], str | None]  # a path from the root without `/` at its beginning; None: not there


@dataclass(frozen=True, slots=True)
class Repository:
    """Files that can be read. The alias of the pipeline's own repository is `self`."""

    alias: str
    read: ReadFile = field(compare=False)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file; `path` without `/` at its beginning."""

    repository: Repository
    path: str

    @property
    def name(self) -> str:
        """How errors name it: with the alias of its repository if that isn't the pipeline's own."""
        return f"/{self.path}" if self.repository.alias == "self" else f"/{self.path}@{self.repository.alias}"


class Sources:
    """The files of one compilation. Counts what the service limits."""

    def __init__(self, read_file: ReadFile) -> None:
        self.home = Repository("self", read_file)
        self._resources: dict[str, Repository] = {}
        self._files: dict[SourceFile, Node] = {}
        self._nodes = 0

    def add_repositories(self, repositories: Mapping[str, ReadFile]) -> None:
        """Makes repository resources known by their aliases."""
        for alias, read_file in repositories.items():
            self._resources[alias.lower()] = Repository(alias, read_file)

    def count(self, position: Position) -> None:
        """Counts one value that was made. Raises PipelineError if there are too many, e.g. by nested `each`."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise PipelineError("Maximum object size exceeded", position)

    def root(self, path: str) -> tuple[SourceFile, Node]:
        """The file that the pipeline begins with. Raises PipelineError if it isn't there."""
        file = SourceFile(self.home, path.strip("/"))
        return file, self._load(file, Position(file.name, 1, 1))

    def template(self, reference: str, stack: tuple[SourceFile, ...], position: Position) -> tuple[SourceFile, Node]:
        """The file that a reference such as `steps/build.yml@templates` means, named in the last file of `stack`.

        Raises PipelineError for an unknown repository, a path out of it, a file that isn't there, a template within
        itself and for the limits.
        """
        path, _, alias = reference.partition("@")
        here = stack[-1]
        repository = here.repository
        if "@" in reference:
            repository = self.home if alias.lower() in {"", "self"} else self._resource(alias, position)
        path = path.replace("\\", "/")
        folder = posixpath.dirname(here.path) if repository == here.repository else ""
        joined = posixpath.normpath(path.lstrip("/") if path.startswith("/") else posixpath.join(folder, path))
        if joined.startswith("../") or joined in {"..", "."}:
            raise PipelineError(f"The file path {path} is invalid", position)
        file = SourceFile(repository, joined)
        if file in stack or len(stack) > MAX_NESTING:
            raise PipelineError(f"{file.name}: Maximum object depth exceeded: templates include each other", position)
        return file, self._load(file, position)

    def _resource(self, alias: str, position: Position) -> Repository:
        if alias.lower() not in self._resources:
            raise PipelineError(f"No repository found by name {alias}", position)
        return self._resources[alias.lower()]

    def _load(self, file: SourceFile, position: Position) -> Node:
        if file not in self._files:
            if len(self._files) > MAX_FILES:
                raise PipelineError(f"Maximum file count exceeded: more than {MAX_FILES} templates", position)
            text = file.repository.read(file.path)
            if text is None:
                raise PipelineError(f"File {file.name} not found in repository {file.repository.alias}", position)
            self._files[file] = read(text, file.name)
        return self._files[file]
