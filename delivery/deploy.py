"""`deploy`: an artifact to a stack, all of it or told why not; and a record that is true at every moment."""

import argparse
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from delivery import azure_devops_builds as runs
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, agent_command, shortened, tell
from delivery.deploy_content import Content, Reading, put_back
from delivery.deploy_engine import Engine, LockedError
from delivery.deploy_order import goes_back, refuse_to_overtake
from delivery.deploy_refusals import by_an_administrator, refuse
from delivery.deploy_strays import Standing
from delivery.plan import GUARDED, Plan, area, is_guarded
from delivery.pulumi_cli import Pulumi
from delivery.record import Document, Holder, Ledger, Record, Run, entry, now
from delivery.stack import Stack, azure_devops_client, read_stack
from delivery.workdir import Prepared, prepared
from delivery.workspace import Workspace
from delivery.workspace_objects import Object, objects_of

TEXT = """\
Deploy an artifact to a stack: verify it, preview it, `pulumi up`, read every file back, and record the release in the
workspace folder (.release/record.json).

Refused, before anything is changed: an artifact that isn't as it was packaged; a change of the control plane or of a
gate; the deletion or replacement of the folder or of what is protected. The message says which command an
administrator runs. So is what somebody has put where the release has a new file, or into a folder that it removes. A
rollback (a build older than one that was deployed, started by hand) leaves control plane and gate as they are today,
and names what it leaves. Files of the release that were edited or deleted by hand are put back; what isn't of the
release is reported and left alone.

Interrupted or killed at any moment, it can be repeated: it goes on from there.
"""
CODES = """\
exit codes:
  0  deployed, read back and recorded
  1  refused, or failed on the way: the record says which
  2  wrong usage, or a service can't be reached
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was deployed, and what was found in the folder. `put_back` and strays are paths below it.

    `left` names what the release has otherwise, and a rollback leaves as it is: of control plane and gate.
    """

    release: Document
    resources: dict[str, int]
    content: Content
    put_back: tuple[str, ...]
    left: tuple[str, ...]


class _InterruptedError(Exception):
    """The pipeline asks to end."""


def add_parser(add: Add) -> None:
    """The command line of `deploy`."""
    made = add("deploy", _command, "an artifact to a stack, read back and recorded", TEXT, CODES)
    made.add_argument("--artifact", type=Path, required=True, help="the artifact's folder")
    made.add_argument("--stack", required=True, help="the stack, such as prod")
    made.add_argument("--digest", nargs="?", const="", help="the digest that the artifact should have")
    made.add_argument(
        "--approver", action="append", metavar="NAME", help="who approved; else Azure DevOps is asked, in a pipeline"
    )
    made.add_argument("--take-over", action="store_true", help="whoever deploys there according to its lock is dead")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")


def _command(options: argparse.Namespace) -> int:
    progress = Progress()
    if options.digest == "":
        # What an expression of the pipeline comes to when the stage that it asks was left out of the run.
        remedy = "nothing was changed; run the release with all its stages"
        raise RefusedError([Mistake(key="--digest", found="empty: no stage has tested an artifact", remedy=remedy)])
    with prepared(options.artifact, options.digest, progress) as artifact:
        stack = read_stack(artifact.folder, options.stack)
        approvers = options.approver or approvers_of(stack, options.project_name, progress)
        outcome = deploy(artifact, stack, tuple(approvers), progress, take_over=options.take_over)
    release = outcome.release
    lines = [f"{release['version']} is deployed to {stack.folder}: content {release['content']}"]
    lines += [f"left as it is today, and not as in that release: {each}" for each in outcome.left]
    lines += shortened([f"stray, not of the release: {stack.folder}/{path}" for path in outcome.content.strays])
    commands = [
        agent_command("task.setvariable", str(release[name]), variable=name, isOutput="true")
        for name in ("version", "content")
    ]
    document = {
        "release": release,
        "resources": outcome.resources,
        "putBack": list(outcome.put_back),
        "strays": list(outcome.content.strays),
        "left": list(outcome.left),
    }
    tell(lines, document, as_json=options.json, agent_commands=commands)
    return 0


def deploy(
    artifact: Prepared, stack: Stack, approvers: tuple[str, ...], progress: Progress, *, take_over: bool = False
) -> Outcome:
    """Deploys; see the command.

    Args:
        artifact: the verified copy.
        stack: where to.
        approvers: who approved it, for the record.
        progress: hears of each step.
        take_over: whoever holds the folder's lock is dead.

    Raises:
        RefusedError: it may not be done, or has failed; every reason.
        UnusableError: a service can't be reached.
    """
    pulumi = Pulumi(artifact.folder, stack.name)
    with _ending_orderly(), ExitStack() as held, Engine(pulumi, _message(artifact), progress) as engine:
        with ThreadPoolExecutor(1) as aside:
            entering = aside.submit(_enter, held, artifact, stack, pulumi, progress, take_over=take_over)
            entering.add_done_callback(engine.interrupt_if_failed)
            try:
                plan = engine.preview()
            except (RefusedError, UnusableError) as error:
                site = entering.result()  # what is wrong there is told first: this may follow from it
                plan = engine.preview_again(error, site.dead)
            else:
                site = entering.result()
        left = _guarded(plan) if site.goes_back else ()
        if left:
            progress.step(f"a rollback: it leaves as it is today {', '.join(left)}")
            plan = engine.preview(exclude=(GUARDED,))
        refuse(plan, stack.name)
        site.standing.refuse_strays(plan, site.objects)
        told = ", ".join(f"{operation} {count}" for operation, count in plan.counts().items())
        progress.step(f"  {told or 'nothing differs'}")
        ledger, objects = site.ledger, site.objects
        release = entry(artifact.manifest, approvers=approvers, by=site.by, started_at=now())
        before = ledger.begin(artifact.manifest, objects, release)
        try:
            counts = engine.up(site.dead, site.reading.after)
            progress.step(f"reading {len(objects):,} files back")
            right = site.reading.right(progress)
            content, changed = put_back(site.workspace, objects, artifact.folder, progress, right)
        except LockedError:
            ledger.take_back(before)
            raise
        except (RefusedError, UnusableError, _InterruptedError) as error:
            _fail(ledger, before, release, error)
        deployed = {**release, "deployed_at": now()}
        ledger.finish(before, deployed)
    progress.step(f"recorded in {stack.folder}/.release")
    return Outcome(release=deployed, resources=counts, content=content, put_back=changed, left=left)


@dataclass(frozen=True, kw_only=True)
class _Site:
    """The workspace folder, in which it is this deployment's turn.

    `dead` is who had it before and was killed. `goes_back` says whether the release is older than one that was here.
    """

    workspace: Workspace
    objects: tuple[Object, ...]
    by: str
    ledger: Ledger
    dead: Holder | None
    goes_back: bool
    standing: Standing
    reading: Reading


def _enter(
    held: ExitStack, artifact: Prepared, stack: Stack, pulumi: Pulumi, progress: Progress, *, take_over: bool
) -> _Site:
    """Takes the turn in the folder, and begins to read back what the release leaves as it is."""
    objects = objects_of(artifact.folder, stack.name)
    with ThreadPoolExecutor(1) as aside:
        outputs = aside.submit(pulumi.outputs)
        workspace = Workspace.of(stack)
        by = workspace.user()
    _refuse_elsewhere(outputs.result().get("folder"), workspace.folder, stack)
    ledger = Ledger(workspace, progress, lambda run: _has_ended(stack, run))
    dead = held.enter_context(ledger.turn(by, take_over))
    record = ledger.read()
    refuse_to_overtake(record, artifact.manifest, stack.name)
    last, begun = (_holds(ledger, release) for release in (record.current, record.attempt))
    recorded = {(each.path, each.kind) for each in (*last, *begun)}
    there = workspace.tree(folders=True)
    reading = held.enter_context(Reading(workspace, objects))
    known = {each.path: each.normal for each in last}
    reading.begin([each for each in objects if known.get(each.path) == each.normal], there)
    return _Site(
        workspace=workspace,
        objects=objects,
        by=by,
        ledger=ledger,
        dead=dead,
        goes_back=goes_back(record, artifact.manifest),
        standing=Standing(workspace=workspace, there=there, recorded=recorded),
        reading=reading,
    )


def _message(artifact: Prepared) -> str:
    """What Pulumi's history says of the update."""
    run = Run.of(os.environ)
    return f"release {artifact.manifest.version}{f', run {run.number}' if run else ''}"


def _refuse_elsewhere(folder: object, wanted: str, stack: Stack) -> None:
    if folder != wanted:
        found = f"the release has the folder {wanted}, and the stack {folder or 'none: it was never deployed'}"
        remedy = by_an_administrator(f"pulumi up --stack {stack.name}")
        raise RefusedError([Mistake(key=stack.name, found=found, remedy=remedy)])


def _holds(ledger: Ledger, release: Document | None) -> tuple[Object, ...]:
    """What a recorded release puts into the workspace, as far as that is kept."""
    return (ledger.release(release["content"]) if release else None) or ()


def approvers_of(stack: Stack, project_name: str | None, progress: Progress) -> Sequence[str]:
    """Who approved this stage of the pipeline's run; nobody outside a pipeline, or where Azure DevOps doesn't say."""
    run, stage = Run.of(os.environ), os.environ.get("SYSTEM_STAGENAME")
    if not run or not stage:
        return ()
    try:
        client = azure_devops_client(stack, project_name, progress, attempts=3)
        found = runs.approvals(client, runs.timeline(client, run.id))
    except UnusableError as error:
        # The release is approved, or this would not run. It shall not fail because nobody says by whom.
        progress.step(f"who approved isn't known: {error}")
        return ()
    return list(dict.fromkeys(name for each in found if each.stage == stage for name in each.by))


def _guarded(plan: Plan) -> tuple[str, ...]:
    """What the plan would change of control plane and gate."""
    return tuple(f"{area(step)} {step.kind} {step.name}" for step in plan.changes if is_guarded(step))


def _fail(ledger: Ledger, before: Record, release: Document, error: Exception) -> NoReturn:
    # If even that can't be written, the record says `deploying`, which is true as well; or it is another's by now.
    with suppress(UnusableError, RefusedError):
        ledger.fail(before, release, " ".join(str(error).split())[:2000])
    if isinstance(error, _InterruptedError):
        raise KeyboardInterrupt from None
    raise error


def _has_ended(stack: Stack, run: int) -> bool:
    try:
        build = runs.get_build(azure_devops_client(stack, attempts=2), run)
    except UnusableError:
        return False
    return build is None or build.completed


@contextmanager
def _ending_orderly() -> Iterator[None]:
    """A cancelled pipeline sends SIGINT, then SIGTERM; a person SIGINT. While Pulumi runs, it gets them itself."""

    def end(_number: int, _frame: FrameType | None) -> Any:
        raise _InterruptedError("it was cancelled")

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _InterruptedError:
        raise KeyboardInterrupt from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
