"""What `doctor` finds on this machine: Python, its packages, git, the engine, and where the state is kept.

Nothing but the standard library, so that it can say that something isn't installed.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from delivery.doctor_finding import Finding

TOOLS, PACKAGES, STATE = "tools", "packages", "state"
GIT = (2, 31)  # GIT_CONFIG_COUNT, by which git gets the credentials of the first push
SECONDS = 60
NAMES_TOLD = 5
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^\s;\\]+)([^\\\n]*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the backend knows of a stack."""

    resources: int
    updating: bool


def tools(project: Path) -> list[Finding]:
    """Python, git and the engine's command line."""
    python = Finding(area=TOOLS, name="Python", state="ok", found=f"{platform.python_version()} at {sys.executable}")
    return [python, _git(), _pulumi(project)]


def packages(project: Path) -> Finding:
    """Whether the packages of the lock file are installed for this Python."""
    lock = project / "requirements.lock"
    if not lock.exists():
        found = f"{lock} isn't there"
        return Finding(
            area=PACKAGES, name="locked", state="missing", found=found, remedy="name the checkout: --project"
        )
    wrong, number = [], 0
    for name, version, marker in _PINNED.findall(lock.read_text(encoding="utf-8")):
        number += 1
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            # What a marker excludes on this machine may be missing; reading markers takes a package.
            if not marker.strip():
                wrong.append(f"{name} is missing")
            continue
        if found != version:
            wrong.append(f"{name} is {found} and not {version}")
    if not wrong:
        return Finding(area=PACKAGES, name="locked", state="ok", found=f"{number} as in {lock.name}")
    told = ", ".join(wrong[:NAMES_TOLD]) + (f" and {len(wrong) - NAMES_TOLD} more" if len(wrong) > NAMES_TOLD else "")
    remedy = "install them: python -m delivery venv --lock requirements.lock; then use .venv/bin/python"
    return Finding(area=PACKAGES, name="locked", state="missing", found=told, remedy=remedy)


def state(project: Path, stacks: Sequence[str]) -> tuple[list[Finding], dict[str, Kept]]:
    """The backend and its stacks; and what it knows of those that are there."""
    if shutil.which("pulumi") is None:
        return [Finding(area=STATE, name="backend", state="skipped", found="there is no pulumi to ask")], {}
    who, words = _asked(project, "whoami", "--json", "--verbose")
    if who is None:
        remedy = "`pulumi login` with the backend's address, or set PULUMI_BACKEND_URL and what it needs"
        return [Finding(area=STATE, name="backend", state="missing", found=words, remedy=remedy)], {}
    findings = [Finding(area=STATE, name="backend", state="ok", found=f"{who.get('url')} as {who.get('user')}")]
    listed, words = _asked(project, "stack", "ls", "--json")
    if listed is None:
        remedy = "see what it names: the identity needs to read the state"
        return [*findings, Finding(area=STATE, name="stacks", state="missing", found=words, remedy=remedy)], {}
    known = {
        str(each["name"]).rpartition("/")[2]: Kept(
            resources=int(each.get("resourceCount") or 0), updating=bool(each.get("updateInProgress"))
        )
        for each in listed
    }
    for stack in stacks:
        findings += _stack(project, stack, known.get(stack))
    return findings, known


def _stack(project: Path, stack: str, kept: Kept | None) -> list[Finding]:
    name = f"stack {stack}"
    if kept is None:
        remedy = f"pulumi stack init {stack}"
        findings = [Finding(area=STATE, name=name, state="missing", found="the backend has none", remedy=remedy)]
    elif kept.updating:
        found = "it is locked: an update runs, or was killed"
        remedy = f"wait for it; if nobody works on it: pulumi cancel --yes --stack {stack}"
        findings = [Finding(area=STATE, name=name, state="warning", found=found, remedy=remedy)]
    else:
        findings = [Finding(area=STATE, name=name, state="ok", found=f"{kept.resources} resources")]
    file = project / f"Pulumi.{stack}.yaml"
    salted = file.exists() and re.search(r"^encryptionsalt:", file.read_text(encoding="utf-8"), re.MULTILINE)
    if salted and not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ):
        found, remedy = "the state has a passphrase, and none is set", "set PULUMI_CONFIG_PASSPHRASE"
        findings.append(Finding(area=STATE, name=f"{name}, secrets", state="missing", found=found, remedy=remedy))
    return findings


def _git() -> Finding:
    wanted = f"install git {GIT[0]}.{GIT[1]} or newer"
    said = _said(Path(), "git", "--version")
    if said is None:
        found = "it isn't on the PATH; the first push and `package` need it"
        return Finding(area=TOOLS, name="git", state="missing", found=found, remedy=wanted)
    if _version(said.stdout) < GIT:
        return Finding(area=TOOLS, name="git", state="missing", found=said.stdout.strip(), remedy=wanted)
    return Finding(area=TOOLS, name="git", state="ok", found=f"{said.stdout.strip()} at {shutil.which('git')}")


def _pulumi(project: Path) -> Finding:
    lock = project / "requirements.lock"
    pinned = re.search(r"^pulumi==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE) if lock.exists() else None
    least = pinned[1] if pinned else "3"
    remedy = f"install Pulumi {least} or newer: https://www.pulumi.com/docs/iac/download-install/"
    said = _said(project, "pulumi", "version")
    if said is None:
        found = "it isn't on the PATH"
    elif said.returncode != 0 or not _version(said.stdout):
        found = f"`pulumi version` fails: {_words(said.stderr)}"
    elif _version(said.stdout) < _version(least):
        found = f"{said.stdout.strip()} is older than the locked SDK"
    else:
        found = f"{said.stdout.strip()} at {shutil.which('pulumi')}"
        return Finding(area=TOOLS, name="pulumi", state="ok", found=found)
    return Finding(area=TOOLS, name="pulumi", state="missing", found=found, remedy=remedy)


def _asked(project: Path, *arguments: str) -> tuple[Any, str]:
    """The document that `pulumi` answers; or None, and its words."""
    said = _said(project, "pulumi", *arguments, "--non-interactive")
    if said is None:
        return None, f"`pulumi {arguments[0]}` gave no answer in {SECONDS} s"
    try:
        return (json.loads(said.stdout), "") if said.returncode == 0 else (None, _words(said.stderr or said.stdout))
    except ValueError:
        return None, f"`pulumi {arguments[0]}` didn't answer in JSON"


def _said(folder: Path, *command: str) -> "subprocess.CompletedProcess[str] | None":
    """What a program says; None if it isn't there, or says nothing in time."""
    quiet: Mapping[str, str] = {"PULUMI_SKIP_UPDATE_CHECK": "true", "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - git and pulumi, as they are found on the PATH
            command,
            cwd=folder,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+(?:\.\d+)+|\d+)", text)
    return tuple(int(each) for each in found[1].split(".")) if found else ()


def _words(text: str) -> str:
    """In one line, without the word that begins every error."""
    return " ".join(text.split()).removeprefix("error: ") or "it doesn't say why"
