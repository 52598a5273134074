"""`drift`: what is not as it was deployed, in the workspace's content and in what Pulumi manages; and puts it back."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from delivery.commands import Add
from delivery.console import Progress, RefusedError, UnusableError, shortened, tell
from delivery.deploy_content import compare
from delivery.drift_repair import Place, repair, the_artifact
from delivery.plan import Plan, Step, area
from delivery.pulumi_cli import Pulumi
from delivery.record import Document, Ledger, Record
from delivery.stack import read_stack
from delivery.workdir import link_environment
from delivery.workspace import Workspace

TEXT = """\
Compare an environment with what was deployed: every file of the recorded release is read from the workspace, and Pulumi
asks both services whether everything that the stack manages is as it was made (`pulumi refresh --preview-only`).

--repair puts the recorded release back: files that were edited or deleted, and what Pulumi manages in Databricks. What
isn't of the release (strays) is reported and never removed; what drifted in Azure DevOps is an administrator's.
"""
CODES = """\
exit codes:
  0  nothing differs; with --repair: nothing any more
  1  something differs, can't be compared by Pulumi, or can't be put back; everything is named
  2  wrong usage, or a service can't be reached
"""
# Differences of the engine's view that a file edited by hand shows as well; and `md5`, which the provider takes from
# the checkout's own file: `main` may be ahead of what is deployed. Contents are compared with the record, byte by byte.
_QUIET = frozenset({"modified_at", "modifiedAt", "object_id", "objectId", "md5"})


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that differs.

    `kind` is `record`, `edited`, `missing`, `other` (something else stands there), `stray`, a stack's area, or
    `unknown`: what couldn't be compared.
    """

    kind: str
    name: str
    found: str

    def __str__(self) -> str:
        return f"{self.kind:<13} {self.name}: {self.found}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that differs from the recorded release."""

    stack: str
    folder: str
    release: Document | None
    differences: tuple[Difference, ...]

    def document(self) -> dict[str, Any]:
        """For `--json` and the report."""
        return {
            "stack": self.stack,
            "folder": self.folder,
            "release": self.release,
            "differences": [asdict(each) for each in self.differences],
        }

    def lines(self) -> list[str]:
        """For people."""
        told = f"release {self.release['version']}" if self.release else "no recorded release"
        if not self.differences:
            return [f"{self.folder} is as it was deployed: {told}"]
        return [
            f"{self.folder} differs from {told} in {len(self.differences)}:",
            *shortened([str(each) for each in self.differences]),
        ]


def add_parser(add: Add) -> None:
    """The command line of `drift`."""
    made = add("drift", _command, "what isn't as it was deployed; puts it back if asked", TEXT, CODES)
    made.add_argument("--stack", required=True, help="the stack, such as prod")
    made.add_argument("--repair", action="store_true", help="put the recorded release back")
    made.add_argument(
        "--artifact", type=Path, help="for --repair, the recorded release's; else the one that its build has published"
    )
    made.add_argument("--report", type=Path, metavar="FILE", help="write the differences as JSON, too")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")
    made.add_argument("--take-over", action="store_true", help="whoever deploys there according to its lock is dead")


def _command(options: argparse.Namespace) -> int:
    progress = Progress()
    stack = read_stack(options.project, options.stack)
    workspace = Workspace.of(stack)
    ledger = Ledger(workspace, progress)
    record = ledger.read()
    with ExitStack() as left:
        project = options.project.absolute()
        artifact = None
        if options.repair:
            # The recorded release's own program: what the checkout has is perhaps not deployed yet.
            artifact = left.enter_context(the_artifact(record, stack, options.artifact, options.project_name, progress))
            project = artifact.folder
        else:
            link_environment(project)
        place = Place(stack=stack, pulumi=Pulumi(project, stack.name), workspace=workspace, ledger=ledger)
        report = look(place, record, progress)
        before = report
        if artifact and report.differences:
            repair(artifact, place, progress, take_over=options.take_over)
            report = look(place, record, progress)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    lines, document = report.lines(), report.document()
    if options.repair:
        put_back = [each for each in before.differences if each not in report.differences]
        lines = [*shortened([f"put back: {each}" for each in put_back]), *lines]
        document["putBack"] = [asdict(each) for each in put_back]
    tell(lines, document, as_json=options.json)
    return 1 if report.differences else 0


def look(place: Place, record: Record, progress: Progress) -> Report:
    """Compares.

    Raises:
        UnusableError: Databricks can't be asked. An engine that fails is in the report: what was found before is told.
    """
    stack = place.stack
    differences = [*_recorded(record), *_content(place, record, progress)]
    command = f"pulumi refresh --preview-only --stack {stack.name}"
    progress.step(command)
    there = {each.name for each in differences}
    try:
        differences += [each for each in _managed(place.pulumi.refresh_preview(progress)) if each.name not in there]
    except (RefusedError, UnusableError) as error:
        why = " ".join("; ".join(each.found for each in error.mistakes).split())
        found = f"it fails, so what Pulumi manages wasn't compared: {why}"
        differences.append(Difference(kind="unknown", name=command, found=found))
    return Report(
        stack=stack.name, folder=stack.folder, release=record.current, differences=tuple(dict.fromkeys(differences))
    )


def _recorded(record: Record) -> Iterator[Difference]:
    if record.state in ("deploying", "failed"):
        version = (record.attempt or {}).get("version")
        why = (record.attempt or {}).get("error") or "it was cut off, or is under way"
        yield Difference(kind="record", name=str(version), found=f"its deployment isn't finished: {why}")
    elif not record.current:
        yield Difference(kind="record", name="record.json", found="no release was ever recorded")


def _content(place: Place, record: Record, progress: Progress) -> Iterator[Difference]:
    if not record.current:
        return
    workspace = place.workspace
    objects = place.ledger.release(record.current["content"])
    if objects is None:
        found = "what it puts into the workspace isn't recorded any more"
        yield Difference(kind="record", name=str(record.current["version"]), found=found)
        return
    progress.step(f"reading {len(objects):,} files of {workspace.folder}")
    content = compare(workspace, objects, progress)
    for kind, paths, found in (
        ("edited", content.edited, "another content than was deployed"),
        ("missing", content.missing, "deployed, and not there any more"),
        ("other", content.other, "something else stands there than was deployed"),
        ("stray", content.strays, "not of the release"),
    ):
        yield from (Difference(kind=kind, name=f"{workspace.folder}/{path}", found=found) for path in paths)


def _managed(plan: Plan) -> Iterator[Difference]:
    for step in plan.changes:
        changed = [each for each in step.changed if each not in _QUIET]
        if step.operation == "update" and not changed:
            continue
        gone = step.operation == "delete"
        yield Difference(
            kind=area(step),
            name=_path(step) or f"{step.kind} {step.name}",
            found="not there any more" if gone else f"changed by hand: {', '.join(changed)}",
        )


def _path(step: Step) -> str | None:
    """Of a notebook or file its place, so that one thing isn't told twice."""
    path = step.old.get("path") if area(step) == "notebooks" else None
    return str(path) if path else None
