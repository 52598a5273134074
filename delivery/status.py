"""`status`: both environments side by side, as table, document and page.

What is shown is read where it happens: the record of releases and the jobs in each workspace, and in Azure DevOps the
releases on their way. Whether the workspace still holds what the record says is a question for `drift`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from delivery import azure_devops_builds as runs
from delivery import status_page, status_table
from delivery.commands import Add
from delivery.console import Progress, UnusableError, tell
from delivery.later import Client, errors, requests
from delivery.stack import PATIENCE_SECONDS, Stack, azure_devops_client, read_stack, workspace_client
from delivery.status_model import Difference, Environment, Job, OnItsWay, Status
from delivery.status_record import read_releases

STACKS = ("test", "prod")
RELEASES_ON_THEIR_WAY = 10

TEXT = """\
Show the environments side by side: what is deployed (release, commit, build), who approved it, when, how its jobs do,
how the environments differ, and which releases are on their way. --html writes the same as a page.

It reads the record of releases in each workspace with the credentials of the Databricks client. Without credentials
for Azure DevOps the releases on their way are left out.
"""
CODES = """\
exit codes:
  0  told, whatever it is
  2  wrong usage, or a workspace can't be reached; what could be read is told all the same
"""


def add_parser(add: Add) -> None:
    """The command line of `status`."""
    made = add("status", _command, "both environments side by side", TEXT, CODES)
    made.add_argument("--stack", action="append", help="which stacks; may be given several times (test, prod)")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a page, too")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")


def _command(options: argparse.Namespace) -> int:
    stacks = [read_stack(options.project, name) for name in dict.fromkeys(options.stack or STACKS)]
    status = look(stacks, options.project_name, Progress())
    if options.html:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(status_page.page(status), encoding="utf-8")
    tell(status_table.lines(status), status.document(), as_json=options.json)
    return 2 if any(each.problem for each in status.environments) else 0


def look(stacks: Sequence[Stack], project_name: str | None, progress: Progress) -> Status:
    """Reads everything.

    Args:
        stacks: which, in the order of releases: what differs is what the first has and the last hasn't.
        project_name: the Azure DevOps project, if not the one of the settings.
        progress: hears what is looked at.
    """
    environments = []
    for stack in stacks:
        progress.step(f"{stack.environment}: {stack.folder}")
        environments.append(_environment(stack))
    progress.step("the release pipeline")
    on_their_way, pipeline = _on_their_way(stacks[0], project_name)
    readable = len(environments) > 1 and not any(each.problem for each in environments)
    return Status(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        environments=tuple(environments),
        difference=_difference(environments[0], environments[-1]) if readable else None,
        on_their_way=on_their_way,
        pipeline=pipeline,
    )


def _environment(stack: Stack) -> Environment:
    empty = Environment(name=stack.environment, stack=stack.name, folder=stack.folder, folder_url="")
    try:
        client = workspace_client(stack, retry_seconds=PATIENCE_SECONDS)
    except UnusableError as error:
        return replace(empty, problem=str(error))
    host = (client.config.host or "").rstrip("/")
    empty = replace(empty, folder_url=f"{host}/#workspace{quote(stack.folder)}")
    try:
        releases = read_releases(client, stack)
        return replace(
            empty,
            state=releases.state,
            current=releases.current,
            attempt=releases.attempt,
            history=releases.history,
            files=releases.files,
            jobs=tuple(_jobs(client, stack, host)),
        )
    except (UnusableError, errors.base.DatabricksError, requests.RequestException, TimeoutError) as error:
        return replace(empty, problem=f"{host}: {' '.join(str(error).split())}")


def _jobs(client: Client, stack: Stack, host: str) -> list[Job]:
    found = []
    for job in client.jobs.list():
        name = (job.settings.name if job.settings else None) or ""
        if not name.endswith(f" ({stack.environment})"):
            continue
        run = next(iter(client.jobs.list_runs(job_id=job.job_id, completed_only=True, limit=1)), None)
        result = run.state.result_state.value if run and run.state and run.state.result_state else None
        ended = datetime.fromtimestamp(run.end_time / 1000, UTC) if run and run.end_time else None
        found.append(
            Job(
                name=name.removesuffix(f" ({stack.environment})"),
                result=result,
                ended=ended.strftime("%Y-%m-%dT%H:%M:%SZ") if ended else None,
                page=(run.run_page_url if run else None) or f"{host}/#job/{job.job_id}",
            )
        )
    return sorted(found, key=lambda each: each.name)


def _difference(one: Environment, other: Environment) -> Difference:
    same = bool(one.current and other.current and one.current.content == other.current.content)
    if one.files is None or other.files is None:
        return Difference(same=same)
    ours, theirs = one.files, other.files
    return Difference(
        same=same,
        added=tuple(sorted(set(ours) - set(theirs))),
        changed=tuple(sorted(path for path in set(ours) & set(theirs) if ours[path] != theirs[path])),
        removed=tuple(sorted(set(theirs) - set(ours))),
    )


def _on_their_way(stack: Stack, project_name: str | None) -> tuple[tuple[OnItsWay, ...], str | None]:
    try:
        client = azure_devops_client(stack, project_name, attempts=2)
        pipeline = runs.find_pipeline(client, runs.RELEASE_PIPELINE)
        found = []
        going_on = runs.builds(client, pipeline, statusFilter="inProgress,notStarted")
        for run in islice(going_on, RELEASES_ON_THEIR_WAY):
            records = runs.timeline(client, run.id)
            going = [each for each in runs.stages(records) if each.get("state") != "completed"]
            pending = [each for each in runs.approvals(client, records) if each.status == "pending"]
            stage = pending[0].stage if pending else going[0]["name"] if going else ""
            waits = "approval" if pending else None
            found.append(OnItsWay(number=run.number, page=runs.page_of(client, run.id), stage=stage, waits=waits))
    except UnusableError as error:
        return (), str(error)
    return tuple(found), None
