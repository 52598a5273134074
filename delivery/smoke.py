"""`smoke`: whether what was just deployed is in place and could run. Cheap, and nothing is run."""

import argparse
import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, tell
from delivery.contents import folders_of
from delivery.deploy_content import compare
from delivery.plan import Plan, area
from delivery.pulumi_cli import Pulumi
from delivery.record import Ledger
from delivery.stack import read_stack
from delivery.workdir import Prepared, prepared
from delivery.workspace import Workspace
from delivery.workspace_objects import Object, objects_of
from release_files import scan

TEXT = """\
Look whether a release is in place: the record names it, every file is there as it was packaged, folder, permissions and
jobs are as planned, each job carries the release's digest, and the Python notebooks and modules can be compiled.
"""
CODES = """\
exit codes:
  0  all of that is so
  1  something isn't; everything is told
  2  wrong usage, or a service can't be reached
"""
# Characters of the digest that a job carries as a tag (components/naming.py).
SHORT_DIGEST = 12
JOB = "databricks:index/job:Job"
REMEDY = "deploy the release again, or the one before it (rollback)"


def add_parser(add: Add) -> None:
    """The command line of `smoke`."""
    made = add("smoke", _command, "whether a deployed release is in place and could run", TEXT, CODES)
    made.add_argument("--stack", required=True, help="the stack, such as prod")
    made.add_argument("--artifact", type=Path, required=True, help="the artifact's folder")


def _command(options: argparse.Namespace) -> int:
    progress = Progress()
    with prepared(options.artifact, None, progress) as artifact:
        jobs = smoke(artifact, options.stack, progress)
    line = f"{artifact.manifest.version} is in place in {options.stack}: files, permissions, {len(jobs)} jobs"
    tell([line], {"version": artifact.manifest.version, "jobs": list(jobs)}, as_json=options.json)
    return 0


def smoke(artifact: Prepared, name: str, progress: Progress) -> tuple[str, ...]:
    """Looks; gives the names of the jobs.

    Args:
        artifact: what should be deployed.
        name: of the stack.
        progress: hears of each step.

    Raises:
        RefusedError: with everything that isn't as it should be.
        UnusableError: a service can't be reached.
    """
    stack = read_stack(artifact.folder, name)
    workspace = Workspace.of(stack)
    objects = objects_of(artifact.folder, name)
    mistakes = []
    record = Ledger(workspace, progress).read()
    recorded = (record.current or {}).get("content")
    if record.state != "deployed" or recorded != artifact.manifest.content:
        found = f"the record says {record.state}, content {recorded or 'none'}"
        mistakes.append(Mistake(key="record", found=found, remedy=REMEDY))
    progress.step(f"reading {len(objects):,} files back")
    content = compare(workspace, objects, progress)
    for kind in ("edited", "missing", "other"):
        mistakes += [
            Mistake(key=f"{stack.folder}/{path}", found=kind, remedy=REMEDY) for path in getattr(content, kind)
        ]
    mistakes += _uncompilable(artifact.folder, objects)
    progress.step(f"pulumi refresh --preview-only --stack {name}")
    plan = Pulumi(artifact.folder, name).refresh_preview(progress)
    for step in plan.changes:
        if area(step) not in ("control plane", "gate"):
            found = f"it isn't as planned: {', '.join(step.changed) or step.operation}"
            mistakes.append(Mistake(key=f"{step.kind} {step.name}", found=found, remedy=REMEDY))
    names, wrong = _jobs(plan, _digest(artifact.folder, name))
    mistakes += wrong
    if mistakes:
        raise RefusedError(mistakes)
    return names


def _jobs(plan: Plan, digest: str) -> tuple[tuple[str, ...], list[Mistake]]:
    jobs = [step for step in plan.steps if step.type == JOB and step.operation != "delete"]
    wrong = [
        Mistake(key=str(step.old.get("name", step.name)), found=f"it is one of release {tag}", remedy=REMEDY)
        for step in jobs
        if (tag := (step.old.get("tags") or {}).get("release")) != digest[:SHORT_DIGEST]
    ]
    return tuple(sorted(str(step.old.get("name", step.name)) for step in jobs)), wrong


def _digest(project: Path, stack: str) -> str:
    """Of the notebooks: the one that the jobs carry."""
    folders, _ = folders_of({each: (project / each).read_bytes() for each in ("Pulumi.yaml", f"Pulumi.{stack}.yaml")})
    [notebooks] = [each for each in folders if each.part == "notebooks"]
    return scan(project / notebooks.path, notebooks.ignore).digest


def _uncompilable(project: Path, objects: Sequence[Object]) -> Iterator[Mistake]:
    """Python that isn't: read from the artifact, which the workspace has just been compared with."""
    for each in objects:
        is_python = each.language == "PYTHON" or (each.kind == "file" and each.source.endswith(".py"))
        if not is_python:
            continue
        for number, cell in enumerate(_python(each, (project / each.source).read_bytes()), 1):
            try:
                compile(cell, each.source, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                place = f"cell {number}: " if each.format == "JUPYTER" else ""
                yield Mistake(key=each.source, found=f"{place}it can't be compiled ({error})", remedy=REMEDY)


def _python(each: Object, content: bytes) -> Iterator[str]:
    if each.format != "JUPYTER":
        # Magics are comments here.
        yield content.decode(errors="replace")
        return
    for cell in json.loads(content)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and not text.lstrip().startswith(("%", "!")):
            yield text
