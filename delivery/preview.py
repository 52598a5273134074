"""`preview`: what a deployment of this checkout would change, for those who review it.

It changes nothing but its comment in the pull request, and needs the right to read: the state of the stacks, the
project in Azure DevOps, and the folders in the workspace.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from delivery import later
from delivery.azure_devops import AzureDevOps
from delivery.commands import Add
from delivery.comment import Comment, Outcome, publish
from delivery.console import Progress, UnusableError, shortened, tell
from delivery.later import Client
from delivery.pace import Pace
from delivery.plan import Plan
from delivery.preview_changes import changes_of, without_credentials
from delivery.preview_files import differences
from delivery.pulumi_cli import Pulumi, PulumiError, masker
from delivery.report import Report, StackFailure
from delivery.report_html import page
from delivery.report_markdown import markdown, words
from delivery.report_markdown import shortened as fitted
from delivery.stack import PATIENCE_SECONDS, read_stack, workspace_client

SALT = "encryptionsalt"
TEXT = """What `pulumi up` would change with this checkout, and how its notebooks differ from what is deployed.
Nothing is changed but, with --comment, one comment in the pull request that is built (or the one of --pull-request):
it is edited in place by later builds, and resolved when nothing is left to see."""
CODES = """exit codes:
  0  the preview is made, whether there are changes or not
  1  a stack's program or the engine fails; the comment and the report say why
  2  wrong usage, or Pulumi, a backend or a service can't be used"""


def add_parser(add: Add) -> None:
    """The command line of `preview`."""
    made = add("preview", _command, "what a deployment would change, as a comment in the pull request", TEXT, CODES)
    made.add_argument("--stack", action="append", required=True, help="a stack; give it several times for several")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (the current one)")
    made.add_argument("--comment", action="store_true", help="write the comment; in a build without pull request: none")
    made.add_argument("--pull-request", type=int, help="its number; else SYSTEM_PULLREQUEST_PULLREQUESTID says it")
    made.add_argument("--project-name", help="the project of Azure DevOps; else SYSTEM_TEAMPROJECT says it")
    made.add_argument("--report", type=Path, help="a folder for the full report: preview.md and preview.html")


def _command(options: argparse.Namespace) -> int:
    progress = Progress()
    report = preview(options.project, list(dict.fromkeys(options.stack)), progress)
    if options.report:
        write(report, options.report)
    outcome = _commented(report, options, progress) if options.comment else None
    document = {**document_of(report), "comment": outcome} if options.json else {}
    tell(_lines(report, outcome), masked_document(document, masker(os.environ)), as_json=options.json)
    return 1 if report.failures else 0


def preview(project: Path, stacks: Sequence[str], progress: Progress) -> Report:
    """Asks the engine for each stack, and the workspace for what is deployed.

    Args:
        project: the folder with Pulumi.yaml.
        stacks: their names.
        progress: hears how far it is.

    Raises:
        UnusableError: Pulumi can't begin, or a stack file can't be read.
    """
    known = {stack: read_stack(project, stack) for stack in stacks}
    _link_environment(project)
    plans: dict[str, Plan] = {}
    failures = []
    progress.step(f"previewing {' and '.join(stacks)}")
    with _stack_files_kept(project), ThreadPoolExecutor(len(stacks) + 1) as engines:
        engines.submit(_load)
        running = {stack: engines.submit(Pulumi(project, stack).preview, progress=progress) for stack in stacks}
        for stack, each in running.items():
            try:
                plans[stack] = each.result()
            except PulumiError as error:
                plans[stack] = error.plan
                failures.append(StackFailure(stack=stack, reasons=error.reasons))
    changes, following = changes_of(plans, {name: stack.approvers for name, stack in known.items()})
    clients: dict[str, Client] = {}
    for stack in {each.stack for each in changes if each.is_file and each.step.operation != "create"}:
        try:
            clients[stack] = workspace_client(known[stack], retry_seconds=PATIENCE_SECONDS)
        except UnusableError as error:
            progress.step(str(error))
    paces = {name: Pace.of(stack.settings) for name, stack in known.items()}
    return Report(
        stacks=tuple(stacks),
        changes=tuple(without_credentials(changes, progress)),
        files=tuple(differences(changes, project, clients, progress, paces)),
        failures=tuple(failures),
        warnings=tuple((stack, warning) for stack, plan in plans.items() for warning in plan.warnings),
        following=following,
        commit=os.environ.get("SYSTEM_PULLREQUEST_SOURCECOMMITID") or os.environ.get("BUILD_SOURCEVERSION", ""),
        build=os.environ.get("BUILD_BUILDNUMBER", ""),
    )


def _load() -> None:
    """Loads what comes next, while the engine works."""
    later.load()
    import delivery.secret_lines  # noqa: F401, PLC0415 - see above


def write(report: Report, folder: Path) -> None:
    """Writes the full report as markdown and as a page."""
    folder.mkdir(parents=True, exist_ok=True)
    masked = masker(os.environ)
    foot = [words(line) for line in report.foot()]
    whole = markdown(report.title, report.lead(), report.sections(), foot)
    (folder / "preview.md").write_text(masked(whole), encoding="utf-8")
    shown = page(report.title, report.table(), report.sentences(), report.sections(), report.foot())
    (folder / "preview.html").write_text(masked(shown), encoding="utf-8")


def comment_of(report: Report, link: str | None) -> Comment:
    """The comment, shortened to what the service takes.

    Args:
        report: the preview.
        link: where the full report is.
    """
    foot = [words(line) for line in report.foot()]
    if link:
        foot.append(f"[The full report]({link}) is an artifact of the build.")
    # Masking changes the length: *** can be longer than nothing, but never than a secret.
    text = masker(os.environ)(fitted(report.title, report.lead(), report.sections(), foot))
    return Comment(text=text, flagged=report.flagged, empty=report.empty)


def document_of(report: Report) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "stacks": list(report.stacks),
        "empty": report.empty,
        "flagged": report.flagged,
        "changes": [
            {
                "stack": each.stack,
                "operation": each.step.operation,
                "area": each.area,
                "type": each.step.type,
                "name": each.step.name,
                "label": each.label,
                "reason": each.reason,
                "values": [asdict(value) for value in each.values],
            }
            for each in report.changes
        ],
        "files": [
            {
                "source": each.source,
                "stacks": list(each.stacks),
                "operation": each.operation,
                "added": each.added,
                "removed": each.removed,
                "note": each.note,
            }
            for each in report.files
        ],
        "failures": [asdict(failure) for failure in report.failures],
        "jobs_of_the_release": report.following,
    }


def masked_document(document: Any, masked: Callable[[str], str]) -> Any:
    """The document with each of its texts masked."""
    if isinstance(document, dict):
        return {key: masked_document(value, masked) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [masked_document(value, masked) for value in document]
    return masked(document) if isinstance(document, str) else document


def _commented(report: Report, options: argparse.Namespace, progress: Progress) -> Outcome | None:
    told = options.pull_request or os.environ.get("SYSTEM_PULLREQUEST_PULLREQUESTID")
    if not told:
        progress.step("no pull request is built here: no comment")
        return None
    if not str(told).isdecimal():
        raise UnusableError("SYSTEM_PULLREQUEST_PULLREQUESTID", repr(told), "give the number of a pull request")
    service = AzureDevOps.from_environment(options.project_name, progress=progress)
    comment = comment_of(report, _link(service))
    source = None if options.pull_request else os.environ.get("SYSTEM_PULLREQUEST_SOURCECOMMITID")
    outcome = publish(service, int(told), comment, source_commit=source)
    progress.step(f"comment in pull request {told}: {outcome}")
    return outcome


def _link(service: AzureDevOps) -> str | None:
    """The page of the build's artifacts."""
    build = os.environ.get("BUILD_BUILDID", "")
    if not build.isdecimal():
        return None
    project = quote(service.project, safe="")
    return (
        f"{service.organization_url}/{project}/_build/results"
        f"?buildId={build}&view=artifacts&pathAsName=false&type=publishedArtifacts"
    )


def _lines(report: Report, outcome: Outcome | None) -> list[str]:
    lines = ["  ".join(f"{cell:<12}" for cell in row).rstrip() for row in report.table()]
    changes = []
    for each in report.changes:
        why = f" ({each.reason})" if each.reason else ""
        changes.append(f"{each.stack}: {each.step.operation} {each.step.kind} {each.label}{why}")
    failures = [f"{each.stack}: {reason}" for each in report.failures for reason in each.reasons]
    told = [f"comment: {outcome}"] if outcome else []
    return list(map(masker(os.environ), (*lines, *shortened(changes), *failures, *told)))


def _link_environment(project: Path) -> None:
    """Pulumi.yaml has the program run in `.venv`; a checkout of a build has none."""
    place = project / ".venv"
    if not place.exists() and not place.is_symlink():
        place.symlink_to(sys.prefix, target_is_directory=True)


@contextmanager
def _stack_files_kept(project: Path) -> Iterator[None]:
    """Takes out of the stack files what a passphrase's provider writes into them at every reading."""
    before = {file: file.read_bytes() for file in project.glob("Pulumi.*.yaml")}
    try:
        yield
    finally:
        for file, content in before.items():
            if file.read_bytes() != content and _without_salt(file.read_bytes()) == _without_salt(content):
                file.write_bytes(content)


def _without_salt(content: bytes) -> Any:
    read = yaml.safe_load(content)
    return {key: value for key, value in read.items() if key != SALT} if isinstance(read, dict) else read
