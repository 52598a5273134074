"""A folder of a Databricks workspace, as the commands read and write it: no faster than the service allows.

Source: https://docs.databricks.com/api/workspace/workspace.
"""

import base64
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from delivery.console import Progress, UnusableError
from delivery.later import Client, api, errors, requests
from delivery.pace import Kind, Pace
from delivery.stack import Stack, workspace_client
from delivery.workspace_objects import Object

Answer = TypeVar("Answer")

# How long a request is repeated after passing faults. Pulumi's provider has tried for five minutes by then.
RETRY_SECONDS = 120
# As many as the client keeps connections for.
AT_ONCE = 16
FOLDER = "directory"  # a folder's kind
RECORD = ".release"  # where below the folder the releases are recorded (components/naming.py)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something in the folder: `path` below it; `kind` is `notebook`, `file`, or what else Databricks calls it.

    `modified_at` is the service's time of the last change, in milliseconds; None where it doesn't say.
    """

    path: str
    kind: str
    language: str | None
    modified_at: int | None


class Workspace:
    """A folder and what is in it.

    Args:
        client: the official client, signed in.
        folder: the absolute path.
        pace: how fast it may be asked; by default as fast as Databricks' own clients do.
    """

    def __init__(self, client: Client, folder: str, pace: Pace | None = None) -> None:
        self.client = client
        self.folder = folder
        self._pace = pace or Pace()
        self._has_record = False

    @classmethod
    def of(cls, stack: Stack) -> "Workspace":
        """The folder of a stack, with the stack's limit of requests.

        Raises:
            UnusableError: no address, or no credential.
        """
        client = workspace_client(stack, retry_seconds=RETRY_SECONDS)
        # `/Workspace/x` is another word for `/x`, which is how the service lists what is in it.
        folder = stack.folder.removeprefix("/Workspace") if stack.folder.startswith("/Workspace/") else stack.folder
        return cls(client, folder, Pace.of(stack.settings))

    def tree(self, *, folders: bool = False) -> dict[str, Found]:
        """Everything in the folder but folders and the record, by path below it; empty where there is no folder.

        Args:
            folders: give these, too.

        Raises:
            UnusableError: Databricks can't be asked, or this identity may not.
        """
        found: dict[str, Found] = {}
        level = [self.folder]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            while level:
                listed = list(threads.map(self._list, level))
                level = []
                for each in (each for one in listed for each in one):
                    path = str(each.path).removeprefix(f"{self.folder}/")
                    kind = str(each.object_type.value).lower()
                    if path == RECORD:
                        continue
                    if kind == FOLDER:
                        level.append(str(each.path))
                    if kind != FOLDER or folders:
                        language = each.language and each.language.value
                        found[path] = Found(path=path, kind=kind, language=language, modified_at=each.modified_at)
        return found

    def read_all(self, objects: Iterable[Object], progress: Progress) -> dict[str, bytes | None]:
        """What the workspace has for these objects, by path; None where it has nothing. Raises as `tree`."""
        wanted, read = list(objects), {}
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for each, content in zip(wanted, threads.map(self.read, wanted), strict=True):
                read[each.path] = content
                progress.count("read back", len(read), len(wanted))
        return read

    def read(self, each: Object) -> bytes | None:
        """What the workspace has for an object; None where it has nothing. Raises as `tree`."""
        path = f"{self.folder}/{each.path}"
        form = api.ExportFormat(each.format) if each.format else api.ExportFormat.AUTO
        return self._ask(f"export {path}", lambda: self._download(path, form), "export")

    def write(self, each: Object, content: bytes) -> None:
        """Puts an object into its place, with the folders above it. Raises as `tree`."""
        path = f"{self.folder}/{each.path}"
        form = api.ImportFormat(each.format) if each.format else api.ImportFormat.RAW
        language = api.Language(each.language) if each.language else None

        def put() -> None:
            text = base64.b64encode(content).decode()
            self.client.workspace.import_(path, content=text, format=form, language=language, overwrite=True)

        self._ask(f"make the folder of {path}", lambda: self.client.workspace.mkdirs(path.rpartition("/")[0]))
        self._ask(f"import {path}", put)

    def read_json(self, name: str) -> Any:
        """A document of the record, None where there is none. Raises as `tree`, and where it isn't JSON."""
        path = f"{self.folder}/{RECORD}/{name}"
        content = self._ask(f"read {path}", lambda: self._download(path, api.ExportFormat.AUTO))
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            remedy = "put back what it was: the workspace keeps deleted files in the trash"
            raise UnusableError(path, "it isn't JSON: somebody has changed it", remedy) from None

    def write_json(self, name: str, document: Any, *, fresh: bool = False) -> bool:
        """Keeps a document with the record; an import replaces a file as a whole. Raises as `tree`.

        Args:
            name: of the file.
            document: what is kept.
            fresh: only if there is none yet; whether that was so is the answer.
        """
        path = f"{self.folder}/{RECORD}/{name}"
        text = base64.b64encode((json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()).decode()

        def put() -> bool:
            try:
                self.client.workspace.import_(path, content=text, format=api.ImportFormat.RAW, overwrite=not fresh)
            except errors.ResourceAlreadyExists:
                return False
            return True

        if not self._has_record:
            self._ask(f"make {RECORD}", lambda: self.client.workspace.mkdirs(f"{self.folder}/{RECORD}"))
            self._has_record = True
        return self._ask(f"write {path}", put)

    def remove_json(self, name: str) -> None:
        """Forgets a document of the record. Raises as `tree`."""
        path = f"{self.folder}/{RECORD}/{name}"

        def remove() -> None:
            with suppress(errors.NotFound):
                self.client.workspace.delete(path)

        self._ask(f"delete {path}", remove)

    def user(self) -> str:
        """Who is signed in. Raises as `tree`."""
        return self._ask("ask who is signed in", lambda: str(self.client.current_user.me().user_name))

    def _list(self, folder: str) -> list[Any]:
        def ask() -> list[Any]:
            try:
                return list(self.client.workspace.list(folder))
            except errors.NotFound:
                return []

        return self._ask(f"list {folder}", ask)

    def _download(self, path: str, form: "api.ExportFormat") -> bytes | None:
        try:
            with self.client.workspace.download(path, format=form) as content:
                return bytes(content.read())
        except errors.NotFound:
            return None

    def _ask(self, what: str, ask: Callable[[], Answer], kind: Kind = "other") -> Answer:
        """One request, when it is its turn."""
        self._pace.wait(kind)
        try:
            return ask()
        except (errors.base.DatabricksError, requests.RequestException, TimeoutError) as error:
            words = " ".join(str(error.__cause__ or error).split())
            remedy = "see whether the workspace is up and what this identity may do there; then repeat"
            raise UnusableError("Databricks", f"{what}: {words}", remedy) from None
