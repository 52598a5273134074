"""`retain`: keeps a build that was deployed to production from being deleted.

A project's retention deletes runs and their artifacts after some days. The artifact of what is in production is needed
for `rollback` and `drift --repair`, so the build gets a lease
(https://learn.microsoft.com/azure/devops/pipelines/build/run-retention).
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from delivery import azure_devops_builds as runs
from delivery.azure_devops import AzureDevOps
from delivery.commands import Add
from delivery.console import Mistake, Progress, RefusedError, UnusableError, tell
from delivery.stack import azure_devops_client, read_stack

OWNER = "databricks-cicd"
DAYS = 3650
LEASES = "build/retention/leases"

TEXT = """\
Keep a build from being deleted by the project's retention, so that its release can be deployed again: for `rollback`
and for `drift --repair`. A second time changes nothing. Take the lease away on the build's page (Retention).

It asks Azure DevOps (SYSTEM_ACCESSTOKEN, AZDO_PERSONAL_ACCESS_TOKEN, or `az login`).
"""
CODES = """\
exit codes:
  0  the build is kept
  1  refused: there is no such build
  2  wrong usage, or the service can't be reached
"""


def add_parser(add: Add) -> None:
    """The command line of `retain`."""
    build = os.environ.get("RESOURCES_PIPELINE_BUILD_RUNID")
    made = add("retain", _command, "keep the build of a release from being deleted", TEXT, CODES)
    made.add_argument("--build", default=build, help="the build's id ($RESOURCES_PIPELINE_BUILD_RUNID)")
    made.add_argument("--days", type=int, default=DAYS, help=f"for how many days ({DAYS})")
    made.add_argument("--stack", default="prod", help="the stack that says organisation and project (prod)")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")


def _command(options: argparse.Namespace) -> int:
    if not str(options.build or "").isdecimal() or options.days < 1:
        found = f"--build is {options.build!r}, --days {options.days}"
        raise UnusableError("--build", found, "give the build's id, and a number of days")
    stack = read_stack(options.project, options.stack)
    client = azure_devops_client(stack, options.project_name, Progress())
    lease, fresh = retain(client, int(options.build), days=options.days)
    until = f"build {options.build} is kept until {lease['validUntil'][:10]}"
    lines = [until if fresh else f"{until} already"]
    tell(lines, {"build": int(options.build), "until": lease["validUntil"], "new": fresh}, as_json=options.json)
    return 0


def retain(client: AzureDevOps, build_id: int, *, days: int = DAYS) -> tuple[dict[str, str], bool]:
    """Keeps the build; gives its lease, and whether it is a new one.

    Args:
        client: of the project.
        build_id: the build's id.
        days: for how long.

    Raises:
        RefusedError: there is no such build.
        AzureDevOpsError: the service can't be asked, or refuses.
    """
    build = runs.get_build(client, build_id)
    if build is None:
        remedy = "give the id of a build of this project that isn't deleted"
        raise RefusedError([Mistake(key=f"build {build_id}", found="there is none", remedy=remedy)])
    which: dict[str, str | int | bool] = {"ownerId": OWNER, "definitionId": build.pipeline_id, "runId": build_id}
    now = datetime.now(UTC)
    for lease in client.get(LEASES, query=which)["value"]:
        if datetime.fromisoformat(lease["validUntil"]) > now:
            return lease, False
    wanted = [{**which, "daysValid": days, "protectPipeline": False}]
    # A second lease of the same kind does no harm, so a dropped connection is no reason to stop.
    return client.post(LEASES, wanted, repeat=True)["value"][0], True
