"""`make rehearsal`: `pulumi up` of both stacks on the stand-ins, by the real engine with the committed settings."""

import json
import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

import psutil
import yaml

from rehearsal import pipelines, processes, pulumi_command, shell, toolchain
from rehearsal.home import CHECKOUT, Home

STACKS = ("test", "prod")
"""In this order: prod reads the control plane that test owns."""

PROJECT_VARIABLE = "REHEARSAL_PROJECT"


class ProvisionError(Exception):
    """The stacks can't be brought up; the message says why and what to do."""


def project_folder() -> Path:
    """The Pulumi project: the checkout, or what REHEARSAL_PROJECT says."""
    return Path(os.environ.get(PROJECT_VARIABLE) or CHECKOUT).absolute()


def up(home: Home, project: Path, *, azure: bool = False) -> None:
    """Everything: engine, services, stacks, and at the end what stands where.

    Args:
        home: the rehearsal.
        project: the Pulumi project's folder.
        azure: with service connections, too. A rehearsal that has them keeps them.

    Raises:
        ProvisionError: something is in the way, or Pulumi failed, having said why.
        ToolchainError, ServiceError: no engine; a service doesn't start.
    """
    started = time.monotonic()
    name = _project_name(project)
    engine = toolchain.ensure(lambda line: print(line, flush=True))
    had_azure = "azure" in home.services
    azure = azure or had_azure
    if azure:
        # What it imports takes twice as long as all else, and commands that git calls begin with this module, too.
        from rehearsal import connections  # noqa: PLC0415 - see above

        connections.install(home)
        if not had_azure:
            processes.stop(home)  # an agent that runs already wouldn't know of it
    print(f"starting the stand-ins of Azure DevOps and Databricks{' and Azure' if azure else ''}", flush=True)
    processes.start(home)
    environment = shell.merged(home, engine)
    _clean_up_after_a_kill(home, project)
    for stack in STACKS:
        _refuse_a_lock(home, name, stack)
    for stack in STACKS:
        _make_stack(home, name, stack, environment)
    _pulumi(home, project, environment, "stack", "select", STACKS[0])
    for stack in STACKS:
        _up(home, project, environment, stack)
    outputs = {stack: _outputs(home, project, environment, stack) for stack in STACKS}
    owner = outputs[STACKS[0]]
    if "build_pipeline_id" in owner:
        if azure:
            connections.set_up(home, str(owner["project_id"]))
        pipelines.fill_variable_groups(home, str(owner["project_id"]))
        if pipelines.first_run(home, str(owner["project_id"]), int(str(owner["build_pipeline_id"]))):
            print(
                "\nThe project has its build identity now; once more, to let it comment and see the gates:", flush=True
            )
            _up(home, project, environment, STACKS[0])
        pipelines.start(home, engine)
    print(_what_stands_where(home, outputs, time.monotonic() - started), flush=True)
    if azure:
        print(f"\n{connections.NEXT}", flush=True)


def _up(home: Home, project: Path, environment: dict[str, str], stack: str) -> None:
    print(f"\npulumi up --stack {stack}", flush=True)
    code = _pulumi(home, project, environment, "up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", stack)
    if code:
        raise ProvisionError(
            f"`pulumi up --stack {stack}` ended with {code}; see above. What it created is kept: "
            "`make rehearsal` goes on from there."
        )


def held_locks(home: Home, name: str, stack: str) -> list[Path]:
    """The locks of a stack in the file backend: one is left behind by an update that was killed."""
    return sorted((home.backend / ".pulumi" / "locks" / "organization" / name / stack).glob("*.json"))


def _project_name(project: Path) -> str:
    try:
        return str(yaml.safe_load((project / "Pulumi.yaml").read_text())["name"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ProvisionError(f"{project} holds no Pulumi project: {error}") from error


def _refuse_a_lock(home: Home, name: str, stack: str) -> None:
    for lock in held_locks(home, name, stack):
        try:
            holder = json.loads(lock.read_text())
            pid, since = int(holder["pid"]), holder["timestamp"]
        except (OSError, ValueError, KeyError, TypeError):
            pid, since = 0, "a time unknown"
        if _at_work(pid, since):
            raise ProvisionError(
                f"stack {stack} is being worked on by process {pid}, since {since}; wait for it to end"
            )
        raise ProvisionError(
            f"stack {stack} is locked by an update that was killed (process {pid}, since {since}).\n"
            "Nobody works on it any more, so take the lock away and go on:\n"
            f'    eval "$(make -s rehearsal-env)"\n    pulumi cancel --yes --stack {stack}\n    make rehearsal'
        )


def _at_work(pid: int, since: str) -> bool:
    """Whether this process took the lock, and not one that got its number later."""
    try:
        process = psutil.Process(pid)
        taken = datetime.fromisoformat(since).timestamp()
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= taken
    except (psutil.Error, ValueError):
        return False


def _make_stack(home: Home, name: str, stack: str, environment: dict[str, str]) -> None:
    """`pulumi stack init` where the checkout's stack files are out of reach: it would write its salt into them."""
    if (home.backend / ".pulumi" / "stacks" / name / f"{stack}.json").exists():
        return
    home.scratch.mkdir(parents=True, exist_ok=True)
    (home.scratch / "Pulumi.yaml").write_text(yaml.safe_dump({"name": name, "runtime": "python"}))
    (home.scratch / f"Pulumi.{stack}.yaml").unlink(missing_ok=True)
    command = [command_of(home), "stack", "init", stack, "--no-select", "--non-interactive"]
    done = subprocess.run(command, cwd=home.scratch, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProvisionError(f"`pulumi stack init {stack}` failed:\n{done.stderr.strip()}")


def command_of(home: Home) -> str:
    """The `pulumi` that leaves the checkout's stack files alone."""
    return str(home.commands / "pulumi")


def _pulumi(home: Home, project: Path, environment: dict[str, str], *arguments: str) -> int:
    """Runs it in the foreground, in the project's folder."""
    return pulumi_command.run([command_of(home), *arguments], environment=environment, folder=project)


def _outputs(home: Home, project: Path, environment: dict[str, str], stack: str) -> dict[str, object]:
    command = [command_of(home), "stack", "output", "--json", "--stack", stack]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    outputs: dict[str, object] = json.loads(done.stdout)
    return outputs


def _clean_up_after_a_kill(home: Home, project: Path) -> None:
    """Takes this rehearsal's salt out of stack files where a killed `pulumi` had no time to."""
    for file in project.glob("Pulumi.*.yaml"):
        scratch = home.scratch / file.name
        salt = scratch.exists() and re.search(rb"^encryptionsalt: \S+", scratch.read_bytes(), re.MULTILINE)
        if salt and salt[0] in file.read_bytes():
            pulumi_command.restore(file, b"")


def _what_stands_where(home: Home, outputs: dict[str, dict[str, object]], seconds: float) -> str:
    lines = ["", f"The whole system stands, after {seconds:.0f} s:", ""]
    for stack, values in outputs.items():
        shown = [(name, value) for name, value in sorted(values.items()) if "://" in str(value)]
        lines += [f"  {stack}", *(f"    {name:28} {value}" for name, value in shown)]
    clone = outputs[STACKS[0]].get("repository_url")
    lines += [
        "",
        f"  Azure DevOps   {home.organization_url}",
        f"  Databricks     {home.workspace_host}",
        "",
        "Look at it and go on by hand:",
        "",
        '  eval "$(make -s rehearsal-env)"    # this shell works with the rehearsal from now on',
        *([f"  git clone {clone}"] if clone else []),
        "  pulumi stack output",
        "  pulumi preview",
        "  pulumi up",
        "",
        "`make rehearsal-down` ends the stand-ins and keeps what they hold; `make rehearsal-clean` removes everything.",
    ]
    return "\n".join(lines)
