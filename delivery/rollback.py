"""`rollback`: deploys an earlier release again, through the release pipeline and its gates.

Nothing is deployed from here. The release pipeline is started with the artifact of the build that made the release, so
what is deployed are the bytes that were tested and approved then, and the approval, the branch check and the lock hold
as for every release. The pipeline's YAML is that of the default branch of today.
"""

import argparse
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from delivery import azure_devops_builds as runs
from delivery.azure_devops import AzureDevOps
from delivery.azure_devops_builds import DEFAULT_BRANCH, Build
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, tell
from delivery.stack import PATIENCE_SECONDS, Stack, azure_devops_client, read_stack, workspace_client
from delivery.status_record import Release, read_releases

SECONDS_BETWEEN_LOOKS = 5.0
# So many builds are looked through for the commit of a version.
BUILDS_LOOKED_THROUGH = 2000
ALIAS = "build"  # of the build pipeline in pipelines/release.yml
SUCCESS = ("succeeded", "partiallySucceeded")

# What `--to` can be, beside the number of a build: a version ends in a commit, `2026.11.23.2205+b7b576bbe2c1`.
_VERSION = re.compile(r"\d{4}\.\d{2}\.\d{2}\.\d{4}\+([0-9a-f]{12})")
_DIGEST = re.compile(r"[0-9a-f]{12,64}")

TEXT = """\
Deploy an earlier release again: start the release pipeline with the artifact of the build that made it. The gates hold
as for every release, production's approval among them. RELEASE is a version, the id or number of a build, the digest
of a release's content or of its artifact, or a commit; of digest and commit the first twelve digits are enough. What
was deployed is listed by `status --json`.

It asks Azure DevOps (SYSTEM_ACCESSTOKEN, AZDO_PERSONAL_ACCESS_TOKEN, or `az login`). For a digest it reads the
stack's record of releases in the workspace, with the credentials of the Databricks client.
"""
CODES = """\
exit codes:
  0  the release pipeline is started; with --wait, it has succeeded
  1  refused: no such release, or its artifact is gone; with --wait, the pipeline has failed
  2  wrong usage, or a service can't be reached
"""


def add_parser(add: Add) -> None:
    """The command line of `rollback`."""
    made = add("rollback", _command, "an earlier release again, through the release pipeline", TEXT, CODES)
    made.add_argument("--to", required=True, metavar="RELEASE", help="which release")
    made.add_argument("--stack", default="prod", help="the stack whose record is read for a digest (prod)")
    made.add_argument("--wait", action="store_true", help="follow the pipeline to its end")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")


def _command(options: argparse.Namespace) -> int:
    progress = Progress()
    stack = read_stack(options.project, options.stack)
    client = azure_devops_client(stack, options.project_name, progress)
    build = find_build(client, options.to, branch=stack.default_branch, recorded=lambda: _recorded(stack))
    progress.step(f"build {build.number} (id {build.id}) of commit {build.commit[:12]}")
    run_id = start(client, build)
    page = runs.page_of(client, run_id)
    document: dict[str, Any] = {"build": asdict(build), "run": {"id": run_id, "url": page}}
    lines = [f"run {run_id} of the release pipeline is started with build {build.number}: {page}"]
    ended = follow(client, run_id, progress) if options.wait else None
    if ended:
        document["run"] |= {"number": ended.number, "result": ended.result}
        lines.append(f"it ended with {ended.result}")
    tell(lines, document, as_json=options.json)
    return 0 if ended is None or ended.result in SUCCESS else 1


def find_build(
    client: AzureDevOps,
    release: str,
    *,
    branch: str = DEFAULT_BRANCH,
    recorded: Callable[[], Iterable[Release]] = tuple,
) -> Build:
    """The build that made a release, if its artifact can still be deployed.

    Args:
        client: of the project.
        release: as `--to`.
        branch: the only one whose builds are deployed.
        recorded: gives the releases that were deployed; asked for a digest that is no commit's.

    Raises:
        RefusedError: there is none, or it can't be deployed; with every reason.
        AzureDevOpsError: the service can't be asked.
    """
    pipeline = runs.find_pipeline(client, runs.BUILD_PIPELINE)
    build = next(iter(_candidates(client, pipeline, release, branch, recorded)), None)
    if build is None:
        found = f"the pipeline '{runs.BUILD_PIPELINE}' has no such build on {branch}"
        remedy = "`python -m delivery status --json` lists what was deployed; builds that nobody retains are deleted"
        raise RefusedError([Mistake(key=release, found=found, remedy=remedy)])
    wrong = []
    if build.result not in SUCCESS:
        wrong.append(f"build {build.number} is {build.result or build.status}")
    if build.branch != branch:
        wrong.append(f"build {build.number} is one of {build.branch}, and {branch} alone is deployed")
    if not wrong and not runs.has_artifact(client, build.id):
        wrong.append(f"build {build.number} hasn't got its artifact any more")
    if wrong:
        remedy = "choose another release, or build that commit again: the same commit gives the same bytes"
        raise RefusedError([Mistake(key=release, found=found, remedy=remedy) for found in wrong])
    return build


def start(client: AzureDevOps, build: Build) -> int:
    """Starts the release pipeline with that build's artifact; gives the run's id."""
    pipeline = runs.find_pipeline(client, runs.RELEASE_PIPELINE)
    return runs.queue_run(client, pipeline, branch=build.branch, pipelines={ALIAS: build.number})


def follow(client: AzureDevOps, run_id: int, progress: Progress) -> Build:
    """Waits for a run's end, and tells what happens in it; interrupted it leaves the run alone.

    Args:
        client: of the project.
        run_id: the run's id.
        progress: hears of stages, of approvals that are waited for, and of what failed.

    Raises:
        RefusedError: the run is gone.
        AzureDevOpsError: the service can't be asked.
    """
    told: set[str] = set()

    def tell_once(line: str) -> None:
        if line not in told:
            told.add(line)
            progress.step(line)

    while True:
        build = runs.get_build(client, run_id)
        if build is None:
            raise RefusedError([Mistake(key=f"run {run_id}", found="it is gone", remedy="look who deleted it")])
        records = runs.timeline(client, run_id)
        for stage in runs.stages(records):
            if stage.get("state") != "pending":
                attempt = f" (attempt {stage['attempt']})" if stage.get("attempt", 1) > 1 else ""
                tell_once(f"stage {stage['name']}{attempt}: {stage.get('result') or 'in progress'}")
        for approval in runs.approvals(client, records):
            by = f" by {', '.join(approval.by)}" if approval.by else ""
            tell_once(f"stage {approval.stage}: the approval is {approval.status}{by}")
        if build.completed:
            for line in _errors(records):
                tell_once(line)
            return build
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _candidates(
    client: AzureDevOps, pipeline: int, release: str, branch: str, recorded: Callable[[], Iterable[Release]]
) -> Iterable[Build]:
    if release.isdecimal():
        build = runs.get_build(client, int(release))
        if build and build.pipeline_id == pipeline:
            yield build
    yield from runs.builds(client, pipeline, buildNumber=release)
    version = _VERSION.fullmatch(release)
    commit = version[1] if version else release if _DIGEST.fullmatch(release) else None
    if commit:
        done = runs.builds(client, pipeline, branchName=branch, statusFilter="completed")
        found = [each for each in islice(done, BUILDS_LOOKED_THROUGH) if each.commit.startswith(commit)]
        # The newest that can be deployed; else the newest, for its reasons.
        yield from sorted(found, key=lambda each: each.result not in SUCCESS)
    if _DIGEST.fullmatch(release):
        for each in recorded():
            if each.build_id is not None and (each.content.startswith(release) or each.digest.startswith(release)):
                build = runs.get_build(client, each.build_id)
                if build:
                    yield build


def _recorded(stack: Stack) -> Iterable[Release]:
    """The releases that the stack's folder has had, the newest first."""
    try:
        releases = read_releases(workspace_client(stack, retry_seconds=PATIENCE_SECONDS), stack)
    except UnusableError as error:
        found = f"the record in {stack.folder} can't be read ({' '.join(str(error).split())})"
        remedy = "name the release by its build or its commit"
        raise UnusableError("Databricks", found, remedy) from None
    return [each for each in (releases.current, *releases.history) if each]


def _errors(records: list[Any]) -> Iterable[str]:
    """What went wrong in the tasks."""
    for record in records:
        for issue in record.get("issues") or []:
            if record["type"] == "Task" and issue.get("type") == "error":
                yield f"{record['name']}: {' '.join(str(issue.get('message', '')).split())}"
