"""`make doctor`: what is used, which version, where from, and what is wrong."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys

from rehearsal import processes, toolchain
from rehearsal.home import CHECKOUT, Home
from rehearsal.toolchain import compute

_PYTHON = (3, 11)
_GIT = (2, 31)  # GIT_CONFIG_COUNT, by which the rehearsal hands git its credential helper


def examine(home: Home) -> tuple[str, bool]:
    """The findings as text, and whether all is well."""
    findings = [_python(), _packages(), _git(), *_engine(), *_compute(), *_services(home)]
    text = "\n".join(f"{'ok  ' if well else 'BAD '} {line}" for line, well in findings)
    return text, all(well for _, well in findings)


def _python() -> tuple[str, bool]:
    well = sys.version_info >= _PYTHON
    wanted = "" if well else f"; {'.'.join(map(str, _PYTHON))} or newer is needed"
    return f"Python {platform.python_version()} at {sys.executable}{wanted}", well


def _packages() -> tuple[str, bool]:
    pinned = re.findall(
        r"^([a-zA-Z0-9._-]+)(?:\[.*\])?==([^\s;\\]+)(.*)$", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE
    )
    differing = []
    for name, version, rest in pinned:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != version and ";" not in rest:  # a marker may exclude it here
            differing.append(f"{name} {found} instead of {version}")
    if differing:
        return f"packages differ from requirements.lock ({', '.join(differing)}); `make venv` installs them", False
    return f"{len(pinned)} packages as in requirements.lock", True


def _git() -> tuple[str, bool]:
    program = shutil.which("git")
    if program is None:
        return "git is missing; the first push and the stand-in of Azure Repos need it", False
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    well = bool(found and (int(found[1]), int(found[2])) >= _GIT)
    return f"{said} at {program}{'' if well else f'; {_GIT[0]}.{_GIT[1]} or newer is needed'}", well


def _engine() -> list[tuple[str, bool]]:
    try:
        engine = toolchain.locate()
    except toolchain.ToolchainError as error:
        return [(str(error), False)]
    if engine is None:
        return [("no Pulumi engine; `make toolchain` brings one", False)]
    findings = []
    for part in engine.parts:
        findings.append((f"{part.name} {part.version}: {part.origin}\n     {part.path}", part.path.exists()))
    return findings


def _compute() -> list[tuple[str, bool]]:
    try:
        found = compute.located()
    except toolchain.ToolchainError as error:
        return [(str(error), False)]
    if found is None:
        return [("no jars for Spark; `make toolchain` brings them", False)]
    return [("\n     ".join(line.strip() for line in found.splitlines()), True)]


def _services(home: Home) -> list[tuple[str, bool]]:
    if not home.exists:
        return [(f"no rehearsal in {home.path}; `make rehearsal` makes one", True)]
    findings = []
    for service in home.services:
        process = processes.find(home, service)
        if process is None:
            findings.append((f"{service}: not running; `make rehearsal` starts it", True))
        else:
            answers = processes.healthy(home, service)
            told = "answers" if answers else f"does not answer; see {home.log(service)}"
            findings.append((f"{service}: process {process.pid} at {home.address(service)} {told}", answers))
    return findings
