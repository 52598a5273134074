"""`UsePythonVersion@0`: a Python of this machine in front of PATH.

https://github.com/microsoft/azure-pipelines-tasks/blob/master/Tasks/UsePythonVersionV0/usepythonversion.ts. Nothing is
downloaded: what isn't on the machine is a clear failure. What is there gets a folder in the tools' directory, as in the
tool cache of Azure's agents, with links to the interpreter, so that nothing else of its folder comes into PATH.
"""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.agent.step_context import StepContext, TaskFailedError
from rehearsal.agent.tasks.inputs import Inputs

Version = tuple[int, int, int]

_NAME = re.compile(r"python3(\.[0-9]+)?\Z")
_TERM = re.compile(r"(?P<operator>>=|<=|==|=|>|<|~|\^)?\s*v?(?P<numbers>[0-9*xX]+(\.[0-9*xX]+){0,2})\Z")
_PROGRAM = (
    "import json, os, sys; print(json.dumps([sys.version_info[:3], sys.version_info.releaselevel, "
    "os.path.realpath(getattr(sys, '_base_executable', sys.executable)), sys.maxsize > 2**32]))"
)
_SECONDS = 20  # an interpreter may take to say its version


@dataclass(frozen=True, slots=True, order=True)
class Interpreter:
    """A Python of this machine. `executable` is the one behind links and virtual environments."""

    version: Version
    executable: Path
    final: bool = True
    wide: bool = True


def use(step: StepContext, inputs: Inputs) -> None:
    """Finds a Python that the version allows: the one that runs the agent, else the newest.

    Raises:
        TaskFailedError: there is none on this machine.
    """
    wanted, wide, unstable = inputs["versionSpec"], inputs.choice("architecture") == "x64", inputs.flag("allowUnstable")

    def fits(each: Interpreter) -> bool:
        return allows(wanted, each.version) and (each.final or unstable) and each.wide == wide

    # The agent's own is known to be whole: a system's Python often lacks `venv`. And to ask all of them takes seconds.
    own = _own()
    known = [own] if fits(own) else interpreters(step.environment())
    fitting = [each for each in known if fits(each)]
    if not fitting:
        there = ", ".join(sorted({".".join(map(str, each.version)) for each in known})) or "none"
        raise TaskFailedError(
            f"Version spec {wanted} for architecture {inputs['architecture']} did not match any version in "
            f"Agent.ToolsDirectory or on this machine. Versions found: {there}. The rehearsal downloads none."
        )
    folder = _tool(step.job.directories.tools, max(fitting))
    step.output(
        f"Found tool in cache: Python {'.'.join(map(str, max(fitting).version))} {inputs.choice('architecture')}"
    )
    step.job.variables.assign("pythonLocation", str(folder))
    if inputs.flag("addToPath"):
        for each in (folder, folder / "bin"):
            step.output(f"Prepending PATH environment variable with directory: {each}")
            step.job.path[:] = [str(each), *(path for path in step.job.path if path != str(each))]


def interpreters(environment: Mapping[str, str]) -> list[Interpreter]:
    """The Pythons on PATH, beside this one, and those that pyenv has."""
    found: dict[Path, Interpreter] = {}
    for path in dict.fromkeys(each.resolve() for each in _candidates(environment)):
        try:
            answer = subprocess.run(
                [path, "-I", "-c", _PROGRAM],
                env=dict(environment),
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            )
            version, level, executable, wide = json.loads(answer.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            continue  # pyenv's names for versions that aren't chosen, and what else isn't an interpreter
        found[Path(executable)] = Interpreter(tuple(version), Path(executable), level == "final", wide)
    return sorted(found.values())


def _own() -> Interpreter:
    version = (sys.version_info[0], sys.version_info[1], sys.version_info[2])
    # In a virtual environment the one behind it; typeshed doesn't know the attribute, which is there since Python 3.3.
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return Interpreter(version, executable, sys.version_info.releaselevel == "final", sys.maxsize > 2**32)


def _candidates(environment: Mapping[str, str]) -> Iterable[Path]:
    yield _own().executable
    folders = [Path(each) for each in environment.get("PATH", os.defpath).split(os.pathsep) if each]
    home = Path(environment.get("PYENV_ROOT") or Path(environment.get("HOME", "/")) / ".pyenv")
    folders += sorted((home / "versions").glob("*/bin"))
    seen: set[Path] = set()
    for folder in folders:
        # pyenv's shims are the Pythons of its `versions`, each behind a slow script.
        if not folder.is_dir() or folder in seen or folder == home / "shims":
            continue
        seen.add(folder)
        yield from (path for path in sorted(folder.iterdir()) if _NAME.match(path.name) and os.access(path, os.X_OK))


def allows(spec: str, version: Version) -> bool:
    """Whether a version spec allows a version.

    Understood are `3.11`, `3.x`, `3.11.7`, `*`, comparisons as in `>=3.10 <3.13`, and alternatives with `||`: what
    https://github.com/npm/node-semver#ranges says of them.

    Raises:
        TaskFailedError: it isn't understood.
    """
    return any(
        all(_fits(term, version) for term in re.sub(r"([<>=~^])\s+", r"\1", part).split()) for part in spec.split("||")
    )


def _fits(term: str, version: Version) -> bool:
    found = _TERM.match(term)
    if found is None:
        raise TaskFailedError(f"The version spec '{term}' is not understood in the rehearsal.")
    numbers: list[int] = []
    for text in found["numbers"].split("."):
        if text in "xX*":
            break
        numbers.append(int(text))
    given, start = tuple(numbers), version[: len(numbers)]
    answers = {
        ">=": start >= given,
        "<=": start <= given,
        ">": start > given,
        "<": start < given,
        "^": version >= given and start[:1] == given[:1],
        "~": version >= given and start[:2] == given[:2],
    }
    return answers.get(found["operator"] or "=", start == given)


def _tool(tools: Path, python: Interpreter) -> Path:
    version = ".".join(map(str, python.version))
    folder = tools / "Python" / version / ("x64" if python.wide else "x86")
    links = folder / "bin"
    links.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3", f"python3.{python.version[1]}"):
        _put(links / name, lambda path: path.symlink_to(python.executable))
    _put(folder / "python", lambda path: path.symlink_to(python.executable))
    for name in ("pip", "pip3"):
        _put(links / name, lambda path: _script(path, links / "python"))
    return folder


def _script(path: Path, python: Path) -> None:
    path.write_text(f'#!/bin/sh\nexec "{python}" -m pip "$@"\n')
    path.chmod(0o755)


def _put(path: Path, make: Callable[[Path], None]) -> None:
    """Puts a file in the place of another in one go: several agents may share the folder."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    make(fresh)
    fresh.replace(path)
