"""`doctor`: each prerequisite of an `up` and of the pipelines, what is missing, and how to get it.

It changes nothing. What it can't look at, because something else is missing first, it names as skipped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from delivery import doctor_tools
from delivery.commands import Add
from delivery.console import Mistake, Progress, UnusableError, tell
from delivery.doctor_finding import Finding

STACKS = ("test", "prod")
SETTINGS = "settings"

TEXT = """\
Look at each prerequisite of `pulumi up` and of the pipelines: tools and versions, packages, the state's backend,
settings, credentials and what they may do, names that must be free, and the workspace folders. Say what is missing and
how to get it. It changes nothing, and needs nothing but Python to begin with.

It looks with the credentials of whoever runs it: those that `pulumi up` would use (AZDO_PERSONAL_ACCESS_TOKEN or
`az login`, DATABRICKS_ variables).
"""
CODES = """\
exit codes:
  0  nothing is missing; there may be warnings
  1  something is missing
  2  wrong usage
"""


def add_parser(add: Add) -> None:
    """The command line of `doctor`."""
    made = add("doctor", _command, "each prerequisite: is it there, and how to get it", TEXT, CODES)
    made.add_argument("--stack", action="append", help="which stacks; may be given several times (test, prod)")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--project-name", help="the Azure DevOps project, if the stack's isn't meant")


def _command(options: argparse.Namespace) -> int:
    if not (options.project / "Pulumi.yaml").exists():
        raise UnusableError("--project", f"no Pulumi.yaml in {options.project.absolute()}", "name the checkout")
    stacks = tuple(dict.fromkeys(options.stack or STACKS))
    findings = examine(options.project, stacks, options.project_name, Progress())
    missing = [each for each in findings if each.state == "missing"]
    lines = []
    for area in dict.fromkeys(each.area for each in findings):
        lines += [f"{area}:", *(f"  {each}" for each in findings if each.area == area), ""]
    number = len(missing)
    lines.append(f"{number} missing" if number else "nothing is missing")
    document = {"ready": not missing, "findings": [asdict(each) for each in findings]}
    tell(lines, document, as_json=options.json)
    return 1 if missing else 0


def examine(project: Path, stacks: Sequence[str], project_name: str | None, progress: Progress) -> list[Finding]:
    """Looks at everything.

    Args:
        project: the folder with Pulumi.yaml.
        stacks: which.
        project_name: the Azure DevOps project, if not the one of the settings.
        progress: hears what is looked at.
    """
    progress.step("tools and packages")
    installed = doctor_tools.packages(project)
    findings = [*doctor_tools.tools(project), installed]
    progress.step("the state's backend")
    of_state, kept = doctor_tools.state(project, stacks)
    findings += of_state
    try:
        from delivery import doctor_azure_devops, doctor_databricks, stack  # noqa: PLC0415 - as the module says
    except ModuleNotFoundError as error:
        found = f"the package {error.name!r} isn't installed"
        areas = (SETTINGS, "Azure DevOps", "Databricks")
        return [*findings, *(Finding(area=each, name="all", state="skipped", found=found) for each in areas)]
    read = []
    for name in stacks:
        try:
            read.append(stack.read_stack(project, name))
        except UnusableError as error:
            findings += [_wrong(SETTINGS, mistake) for mistake in error.mistakes]
        else:
            found = f"{read[-1].environment} in {read[-1].folder}"
            findings.append(Finding(area=SETTINGS, name=f"Pulumi.{name}.yaml", state="ok", found=found))
    if read:
        progress.step("Azure DevOps")
        findings += doctor_azure_devops.examine(project, read, kept, project_name, progress)
        progress.step("Databricks")
        for each in read:
            findings += doctor_databricks.examine(each)
    return findings


def _wrong(area: str, mistake: Mistake) -> Finding:
    return Finding(area=area, name=mistake.key, state="missing", found=mistake.found, remedy=mistake.remedy)
