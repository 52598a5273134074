"""What the preview says, in the order of importance: as sections, for markdown and for a page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from delivery.cells import CellChange
from delivery.deploy_refusals import only_guarded
from delivery.plan import is_guarded
from delivery.preview_changes import Change, Value
from delivery.preview_files import FileDifference
from delivery.report_text import Code, Difference, Item, Section, Words, plain

DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "import": "imported"}
COLUMNS = ("stack", "created", "updated", "replaced", "deleted", "to look at")
# Of files with the very same difference so many are named.
MOST_NAMES = 10


@dataclass(frozen=True, kw_only=True)
class StackFailure:
    """A stack that can't be previewed, and the engine's reasons."""

    stack: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The preview of some stacks.

    `following` jobs merely take over which release they run. `commit` and `build` may be empty.
    """

    stacks: tuple[str, ...]
    changes: tuple[Change, ...]
    files: tuple[FileDifference, ...]
    failures: tuple[StackFailure, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    following: int = 0
    commit: str = ""
    build: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not (self.changes or self.failures)

    @property
    def flagged(self) -> bool:
        """Whether somebody should look before this is merged."""
        return bool(self.failures) or any(_to_look_at(each) for each in self.changes)

    @property
    def title(self) -> Words:
        """The heading."""
        return ("Preview: nothing to deploy",) if self.empty else ("Preview: what a deployment would change",)

    def table(self) -> list[tuple[str, ...]]:
        """The summary: a line for each stack, the first with the names of the columns."""
        failed = {failure.stack for failure in self.failures}
        rows: list[tuple[str, ...]] = [COLUMNS]
        for stack in self.stacks:
            mine = [each for each in self.changes if each.stack == stack]
            counts = Counter(each.step.operation for each in mine)
            look = sum(_to_look_at(each) for each in mine)
            numbers = (*(counts[operation] for operation in ("create", "update", "replace", "delete")), look)
            told = ["-" if not number else f"{number:,}" for number in numbers]
            rows.append((f"{stack} (failed)" if stack in failed else stack, *told))
        return rows

    def lead(self) -> list[str]:
        """Markdown of the summary."""
        head, *rows = self.table()
        lines = [_row(head), "|---" * len(head) + "|", *(_row(row) for row in rows)]
        return ["\n".join(lines), *(plain(line) for line in self.sentences())]

    def sentences(self) -> list[str]:
        """What stands below the table: who applies what the release pipeline doesn't, and when there is nothing."""
        refused = sorted({each.stack for each in self.changes if is_guarded(each.step)})
        told = [
            f"The release pipeline refuses to change control plane and gate of {stack}: after the merge an "
            f"administrator runs {only_guarded([each.step for each in self.changes if each.stack == stack], stack)}."
            for stack in refused
        ]
        return [*told, "What is deployed is what this pull request would deploy."] if self.empty else told

    def foot(self) -> list[Words]:
        """The last lines: what this belongs to."""
        lines: list[Words] = []
        if self.following:
            jobs = "1 job takes" if self.following == 1 else f"{self.following:,} jobs take"
            lines.append((f"Not counted: {jobs} over the release's digest and commit.",))
        told: list[str | Code] = []
        if self.commit:
            told += ["Commit ", Code(self.commit[:12])]
        if self.build:
            told += [", build " if told else "Build ", Code(self.build)]
        return [*lines, (*told, ".")] if told else lines

    def sections(self) -> list[Section]:
        """What follows the summary."""
        made = [
            Section(title="It fails", items=tuple(self._failures()), share=10_000, more="failures"),
            Section(title="Destroyed or replaced", items=tuple(self._destroyed()), share=20_000, more="resources"),
            Section(
                title="Control plane, gates, policies and permissions",
                items=tuple(self._flagged()),
                share=30_000,
                more="changes",
            ),
            Section(title="Notebooks and files", items=tuple(self._files()), share=25_000, more="files"),
            Section(title="Jobs and everything else", items=tuple(self._rest()), share=20_000, more="resources"),
            Section(title="Text differences", items=tuple(self._differences()), share=150_000, more="differences"),
            Section(title="Warnings", items=tuple(self._warnings()), share=5_000, more="warnings"),
        ]
        return [section for section in made if section.items]

    def _failures(self) -> Iterator[Item]:
        for failure in self.failures:
            reasons = [reason for reason in failure.reasons if reason.strip()]
            lines = tuple(line for reason in reasons for line in reason.split("\n"))
            below = Difference(caption=("The engine says:",), lines=lines)
            yield Item(words=("The preview of ", Code(failure.stack), " fails."), differences=(below,))

    def _destroyed(self) -> Iterator[Item]:
        gone = [each for each in self.changes if each.step.destroys]
        # What is more than a file first: a thousand deleted notebooks must not hide a job.
        for each in sorted(gone, key=lambda each: (not each.step.protected, each.is_file, each.stack, each.label)):
            why = ", ".join(each.step.replaces)
            because: Words = (", because of ", Code(why)) if why else ()
            protected = "; it is protected: the engine refuses this" if each.step.protected else ""
            yield Item(words=(*_what(each), f" is {DONE[each.step.operation]}", *because, protected, "."))

    def _flagged(self) -> Iterator[Item]:
        order = {"gate": 0, "control plane": 1, "permissions": 2}
        found = [each for each in self.changes if each.flagged]
        for each in sorted(found, key=lambda each: (order.get(each.area, 3), each.stack, each.label)):
            yield Item(words=(*_what(each), f" is {DONE[each.step.operation]}: {each.reason}."), below=_values(each))

    def _files(self) -> Iterator[Item]:
        for each in self.files:
            lines = f": +{each.added:,} −{each.removed:,} lines" if each.cells else ""
            note: Words = (" (", Code(each.note), ")") if each.note else ()
            done = "changed" if each.operation == "update" else DONE[each.operation]
            told: Words = (Code(each.source), f" is {done} in {' and '.join(each.stacks)}{lines}", *note, ".")
            yield Item(words=told, place=_folder(each.source))

    def _rest(self) -> Iterator[Item]:
        for each in self.changes:
            if not (each.flagged or each.step.destroys or each.is_file):
                yield Item(words=(*_what(each), f" is {DONE[each.step.operation]}."), below=_values(each))

    def _differences(self) -> Iterator[Item]:
        """Each difference once: whoever renames a column in a thousand notebooks has made one change."""
        same: dict[tuple[object, ...], list[FileDifference]] = {}
        for each in self.files:
            if each.cells and each.operation != "delete":
                key = (each.operation, *((cell.operation, cell.kind, cell.lines) for cell in each.cells))
                same.setdefault(key, []).append(each)
        # The shorter one first: more of them are seen.
        for files in sorted(same.values(), key=lambda files: sum(len(cell.lines) for cell in files[0].cells)):
            named: list[str | Code] = []
            sources = list(dict.fromkeys(each.source for each in files))
            for source in sources[:MOST_NAMES]:
                named += [", " if named else "", Code(source)]
            rest = len(sources) - MOST_NAMES
            others = (f" and the very same in {rest:,} more",) if rest > 0 else ()
            below = tuple(_difference(cell) for cell in files[0].cells)
            yield Item(words=(*named, *others), differences=below, place=_folder(sources[0]))

    def _warnings(self) -> Iterator[Item]:
        for stack, warning in self.warnings:
            yield Item(words=(Code(stack), ": ", Code(warning)))


def _to_look_at(change: Change) -> bool:
    """A notebook that is removed or renamed is everyday work; anything else that is gone isn't."""
    return change.flagged or (change.step.destroys and change.area != "notebooks")


def _folder(source: str) -> str:
    return str(PurePosixPath(source).parent)


def _row(cells: Sequence[str]) -> str:
    return "".join(f"| {plain(cell)} " for cell in cells) + "|"


def _what(change: Change) -> Words:
    return (f"{change.stack}: ", change.step.kind, " ", Code(change.label))


def _values(change: Change) -> tuple[Words, ...]:
    lines: list[Words] = []
    for value in change.values:
        lines.append(tuple(_value(value)))
    if change.more:
        lines.append((f"… and {change.more:,} more properties",))
    return tuple(lines)


def _value(value: Value) -> Iterator[str | Code]:
    yield Code(value.path)
    if value.old is not None and value.new is not None:
        yield from (": ", Code(value.old), " becomes ", Code(value.new))
    elif value.old is not None:
        yield from (" loses ", Code(value.old))
    elif value.new is not None:
        yield from (" gains ", Code(value.new))
    else:
        yield " differs"


def _difference(cell: CellChange) -> Difference:
    named: tuple[str | Code, ...] = (" ", Code(cell.title)) if cell.title else ()
    kind = f" ({cell.kind})" if cell.kind else ""
    if not cell.kind:  # a file, which has no cells
        caption: Words = (f"The file is {cell.operation}:",)
    else:
        caption = (f"Cell {cell.number}{kind}", *named, f" is {cell.operation}:")
    if not cell.lines:
        number = f"{cell.added:,} lines more" if cell.added else f"{cell.removed:,} lines less"
        caption = (*caption, f" too large to compare; {number}.")
    return Difference(caption=caption, lines=cell.lines)
