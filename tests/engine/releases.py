"""Releases of a system's project: packaged and deployed by the commands, as the pipelines call them."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from tests.engine.samples import sample_release
from tests.engine.system import Outcome, System
from tests.running import run

FOLDERS = {"test": "/bike-sharing-test", "prod": "/bike-sharing-production"}
NOTEBOOK = "sample/load_trips.py"


def small(system: System) -> None:
    """Lets the project have a small release, seven files, a suite, and one job, and deploys both stacks."""
    sample_release(system.project.path)
    job = {"daily": {"tasks": {"load": {"notebook": "load_trips"}}}}
    for stack in ("test", "prod"):
        system.project.settings(
            stack,
            lambda settings: settings.update(notebooks={"folder": "sample"}, jobs=job, jobOverrides={}),
        )
    system.project.settings("test", lambda settings: settings.update(tests={"folder": "suites"}))
    system.project.commit("a small release")
    system.bring_up()


def delivery(system: System, *arguments: str, cwd: Path | None = None, **environment: str) -> Outcome:
    """Runs a command in the project's folder."""
    done = run(command(*arguments), cwd or system.project.path, {**system.project.environment, **environment})
    return Outcome(done.returncode, done.stdout)


def command(*arguments: str) -> list[str]:
    # -B: a folder __pycache__ in an artifact is a difference.
    return [sys.executable, "-B", "-m", "delivery", *arguments]


def package(system: System, name: str = "artifact", build: int | None = None) -> Path:
    """Packages the project's commit, as a build does if its id is given."""
    output = system.home / name
    made_by = ("--build-id", str(build), "--build-number", f"20261124.{build}") if build else ()
    outcome = delivery(system, "package", "--output", str(output), *made_by)
    assert outcome, outcome.text
    return output


def release_of(system: System, text: str, name: str, build: int | None = None) -> Path:
    """A release in which one notebook says this, packaged."""
    notebook = system.project.path / NOTEBOOK
    notebook.write_text(f"# Databricks notebook source\nprint({text!r})\n")
    system.project.commit(text)
    return package(system, name, build)


def deploy(system: System, artifact: Path, stack: str = "test", *more: str, **environment: str) -> Outcome:
    return delivery(system, "deploy", "--artifact", str(artifact), "--stack", stack, *more, cwd=artifact, **environment)


def record(system: System, stack: str = "test") -> dict[str, Any]:
    """The record in the workspace; the state is `nothing` where there is none."""
    return read_json(system, stack, "record.json") or {"state": "nothing", "current": None, "history": []}


def read_json(system: System, stack: str, name: str) -> Any:
    content = there(system, stack, record=True).get(f".release/{name}")
    return None if content is None else json.loads(content)


def there(system: System, stack: str = "test", *, record: bool = False) -> dict[str, bytes]:
    """What is in the folder, by path below it, without the record unless it is asked for."""
    client = system.workspace_client()
    folder = FOLDERS[stack]
    found = {}
    for item in client.workspace.list(folder, recursive=True):
        path = str(item.path).removeprefix(f"{folder}/")
        if item.object_type and item.object_type.value != "DIRECTORY" and path.startswith(".release/") == record:
            exported = client.workspace.export(str(item.path), format=None).content
            found[path] = base64.b64decode(exported or "")
    return found


def said(system: System, stack: str) -> str:
    """What the notebook in the workspace prints."""
    return there(system, stack)[Path(NOTEBOOK).stem].decode().split("'")[1]


def content_of(artifact: Path) -> str:
    """The digest of an artifact's files."""
    return str(json.loads((artifact / "manifest.json").read_bytes())["content"])
