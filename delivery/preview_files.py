"""The text differences of the files that a plan changes: what is deployed against what would be."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from delivery.cells import Cell, CellChange, Format, NotTextError, cells_of, compare
from delivery.console import Progress
from delivery.later import Client, api, errors
from delivery.pace import Pace
from delivery.preview_changes import Change
from delivery.pulumi_cli import masker
from delivery.secret_scan import credentials_among

READERS = 16
# A larger file is no text that somebody reads in a comment.
MOST_BYTES = 1_000_000
HIDDEN = "[a line that looks like a credential is not shown]"
KEY_BLOCK = "PRIVATE KEY-----"


@dataclass(frozen=True, kw_only=True)
class FileDifference:
    """How a file differs from what is deployed.

    `source` is its path in the repository. `stacks` are those where it differs so. `note` says why there are no
    `cells`.
    """

    source: str
    stacks: tuple[str, ...]
    operation: str
    cells: tuple[CellChange, ...] = ()
    note: str = ""

    @property
    def added(self) -> int:
        """Lines."""
        return sum(cell.added for cell in self.cells)

    @property
    def removed(self) -> int:
        """Lines."""
        return sum(cell.removed for cell in self.cells)


def differences(
    changes: Sequence[Change],
    project: Path,
    clients: Mapping[str, Client],
    progress: Progress,
    paces: Mapping[str, Pace] | None = None,
) -> list[FileDifference]:
    """Reads what is deployed, and compares.

    What can't be read is said in the file's `note`: a preview needs no more rights than there are.

    Args:
        changes: those that are no files are passed over.
        project: where the sources are.
        clients: of the stacks' workspaces; without one only what is new is shown.
        progress: hears how far it is.
        paces: how fast the workspaces may be asked, where a stack says so.
    """
    files = [change for change in changes if change.is_file]
    found: list[FileDifference] = []
    # A workspace that has kept one reader waiting in vain isn't asked for a thousand files more.
    reachable = dict(clients)
    pace = {stack: (paces or {}).get(stack) or Pace() for stack in clients}

    def difference(change: Change) -> FileDifference:
        return _difference(change, project, reachable, pace)

    with ThreadPoolExecutor(READERS) as readers:
        for done, each in enumerate(readers.map(difference, files), 1):
            found.append(each)
            progress.count("files compared with what is deployed", done, len(files))
    return _without_credentials(_together(found), progress)


def _difference(change: Change, project: Path, clients: dict[str, Client], paces: Mapping[str, Pace]) -> FileDifference:
    step = change.step
    source = str(step.new.get("source") or step.old.get("source") or step.old.get("path"))
    told = FileDifference(source=source, stacks=(change.stack,), operation=step.operation)
    old: tuple[Cell, ...] = ()
    new: tuple[Cell, ...] = ()
    try:
        if step.operation != "create":
            client = clients.get(change.stack)
            if client is None:
                raise _UnreadableError("what is deployed can't be read: the workspace can't be asked")
            paces[change.stack].wait("export")
            old = _deployed(change, client)
        if step.operation != "delete":
            new = _local(change, project)
    except _UnreachableError as error:
        clients.pop(change.stack, None)
        return replace(told, note=str(error))
    except _UnreadableError as error:
        return replace(told, note=str(error))
    cells = compare(old, new)
    same = "the text of its cells is the same: format, metadata or outputs differ"
    return replace(told, cells=cells, note="" if cells or step.operation in ("create", "delete") else same)


class _UnreadableError(Exception):
    """One of the two sides can't be shown; the message says which and why."""


class _UnreachableError(_UnreadableError):
    """The workspace doesn't answer."""


def _deployed(change: Change, client: Client) -> tuple[Cell, ...]:
    form = _format(change.step.old)
    exported = api.ExportFormat.AUTO if form == "FILE" else api.ExportFormat(form)
    try:
        with client.workspace.download(str(change.step.old["path"]), format=exported) as stream:
            content = stream.read(MOST_BYTES + 1)
    except (errors.base.DatabricksError, ValueError) as error:
        # Whoever deployed last may not be the only one: what a person has deleted by hand isn't there.
        raise _UnreadableError(f"what is deployed can't be read: {' '.join(str(error).split())}") from None
    except OSError as error:  # the client's words for a connection that fails, and for one that is given up
        raise _UnreachableError(f"what is deployed can't be read: {' '.join(str(error).split())}") from None
    return _cells(content, form, change.step.old.get("language"), "what is deployed")


def _local(change: Change, project: Path) -> tuple[Cell, ...]:
    top = project.resolve()
    try:
        path = (top / str(change.step.new["source"])).resolve()
        # The program of a pull request says where its sources are: nothing outside of the project is shown.
        if not path.is_relative_to(top):
            raise _UnreadableError("its source is outside of the project")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, KeyError) as error:
        raise _UnreadableError(f"its source can't be read: {error}") from None
    return _cells(content, _format(change.step.new), change.step.new.get("language"), "it")


def _cells(content: bytes, form: Format, language: object, what: str) -> tuple[Cell, ...]:
    if len(content) > MOST_BYTES:
        raise _UnreadableError(f"{what} has more than {MOST_BYTES:,} bytes")
    try:
        return cells_of(content, form, str(language) if language else None)
    except NotTextError as error:
        raise _UnreadableError(f"{what} is {error}") from None


def _format(inputs: Mapping[str, object]) -> Format:
    if "language" not in inputs and "format" not in inputs:
        return "FILE"
    return "JUPYTER" if inputs.get("format") == "JUPYTER" else "SOURCE"


def _together(found: Sequence[FileDifference]) -> list[FileDifference]:
    """The same difference in several stacks is told once; in the order of the sources."""
    merged: dict[tuple[object, ...], FileDifference] = {}
    for each in found:
        key = (each.source, each.operation, each.cells, each.note)
        known = merged.get(key)
        merged[key] = replace(known, stacks=(*known.stacks, *each.stacks)) if known else each
    return sorted(merged.values(), key=lambda each: (each.source, each.stacks))


def _without_credentials(files: list[FileDifference], progress: Progress) -> list[FileDifference]:
    """Both sides may hold what nobody should see: what is deployed can have been edited by hand."""
    masked = masker(os.environ)
    files = [replace(file, cells=tuple(_masked(cell, masked) for cell in file.cells)) for file in files]
    lines = sorted({line[1:] for file in files for cell in file.cells for line in cell.lines})
    secret = credentials_among(lines, progress)
    return [replace(file, cells=tuple(_hidden(file.cells, secret))) for file in files]


def _masked(cell: CellChange, masked: Callable[[str], str]) -> CellChange:
    """Without the credentials that this very process was given, whatever form they have."""
    lines = masked("\n".join(cell.lines)).split("\n") if cell.lines else ()
    return replace(cell, lines=tuple(lines), title=masked(cell.title))


def _hidden(cells: Sequence[CellChange], secret: set[str]) -> Iterator[CellChange]:
    for cell in cells:
        if any(KEY_BLOCK in line for line in cell.lines):
            yield replace(cell, lines=(f" {HIDDEN}",))
        else:
            yield replace(
                cell, lines=tuple(f"{line[0]}{HIDDEN}" if line[1:] in secret else line for line in cell.lines)
            )
