"""One fault at one request of an `up`: it gets through, or fails clearly and the next `up` converges.

`python -m tests.engine.faults` runs the whole series and prints its table; `make test` takes a seeded handful of it.
A request is known by its service, method and route (numbers and ids left out); the fault hits the first of its kind.
"""

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rehearsal.toolchain import ensure
from tests.engine.system import Outcome, StandIn, System

STACKS = ("test", "prod")
Service: TypeAlias = Literal["azure", "workspace"]

FAULTS: dict[str, dict[str, Any]] = {
    **{str(status): {"action": "status", "status": status} for status in (429, 500, 502, 503, 504)},
    "reset before": {"action": "reset-before"},
    "reset after": {"action": "reset-after"},
    "silence": {"action": "delay", "seconds": 30},
}
GOOD = ("through", "settled", "converged")
ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, order=True)
class Trial:
    """A fault at the first request to a route, in the `up` of one stack."""

    stack: str
    service: Service
    method: str
    route: str
    fault: str

    def __str__(self) -> str:
        return f"{self.stack:4} {self.service:9} {self.method:6} {self.route} <- {self.fault}"

    @property
    def pattern(self) -> str:
        """A regular expression for the paths of the route."""
        variable = rf"(?:{ID}|vss(?:gp|wk)\.[\w-]+|aad\.[\w-]+|scp\.[\w-]+|svc\.[\w-]+|msa\.[\w-]+|\d+)"
        parts = [variable if part == "{}" else re.escape(part) for part in self.route.split("/")]
        return "^" + "/".join(parts) + r"(?:\?|$)"


def route(path: str) -> str:
    """The path with its ids and numbers left out."""
    variable = rf"{ID}|\d+|(?:vssgp|vsswk|aad|scp|svc|msa|Microsoft)\.[\w.;@\\-]+"
    return "/".join("{}" if re.fullmatch(variable, part, re.IGNORECASE) else part for part in path.split("/"))


@dataclass(frozen=True)
class Result:
    """How a trial went.

    `verdict` is `through`; `settled`: through, and the next `up` writes once more what is there already (the engine
    remembers that the first try of a create could not be read back, although the repeated one could); `converged`:
    a clear failure, and the next `up` gets through; or what is wrong.
    """

    trial: Trial
    verdict: str
    seconds: float
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in GOOD


class Bench:
    """A system that goes back to a recorded state before each trial."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._keep = system.home / "kept"
        self.requests: dict[str, list[tuple[Service, str, str]]] = {}
        self.expected: dict[str, Counter[str]] = {}
        self._save("test")
        for number, stack in enumerate(STACKS):
            for each in self._services():
                each.forget()
            outcome = system.project.up(stack)
            if not outcome:
                raise RuntimeError(outcome.text)
            self.requests[stack] = list(dict.fromkeys(self._seen()))
            self.expected[stack] = inventory(system)
            if number + 1 < len(STACKS):
                self._save(STACKS[number + 1])

    def _services(self) -> tuple[StandIn, StandIn]:
        return self.system.azure, self.system.workspace

    def _seen(self) -> Iterator[tuple[Service, str, str]]:
        services: tuple[Service, ...] = ("azure", "workspace")
        for service in services:
            for each in getattr(self.system, service).requests():
                yield service, each["method"], route(each["path"])

    def _save(self, name: str) -> None:
        self.system.close()
        for part in ("state", "backend", "pulumi/databricks-cicd"):
            source = self.system.home / part
            if source.exists():
                shutil.copytree(source, self._keep / name / part)
        self.system.start()

    def _restore(self, name: str) -> None:
        self.system.close()
        for part in ("state", "backend", "pulumi/databricks-cicd"):
            shutil.rmtree(self.system.home / part, ignore_errors=True)
            if (self._keep / name / part).exists():
                shutil.copytree(self._keep / name / part, self.system.home / part)
        self.system.start()

    def run(self, trial: Trial) -> Result:
        """Goes back, orders the fault, and looks what comes of it."""
        self._restore(trial.stack)
        service: StandIn = getattr(self.system, trial.service)
        order = {key: value for key, value in FAULTS[trial.fault].items() if key != "action"}
        service.fault(FAULTS[trial.fault]["action"], method=trial.method, path=trial.pattern, **order)
        started = time.monotonic()
        first = self.system.project.up(trial.stack)
        verdict, text = "through", first.text
        if not any(each["fault"] for each in service.requests()):
            verdict = "the fault hit nothing"
        elif not first:
            verdict = self._after_failure(trial.stack, first)
        if verdict in GOOD:
            verdict, text = self._compare(trial.stack, verdict, text)
        return Result(trial, verdict, time.monotonic() - started, "" if verdict == "through" else text)

    def _after_failure(self, stack: str, first: Outcome) -> str:
        if "Traceback" in first.text or "panic:" in first.text:
            return "failed with a traceback"
        second = self.system.project.up(stack)
        return "converged" if second else f"the next up failed: {second.text[-1500:]}"

    def _compare(self, stack: str, verdict: str, text: str) -> tuple[str, str]:
        there = inventory(self.system)
        if there != self.expected[stack]:
            return "doubled or lost", f"more: {there - self.expected[stack]}, less: {self.expected[stack] - there}"
        differs = self.system.project.preview(stack, "--expect-no-changes", "--diff")
        if differs:
            return verdict, text
        if self._not_read_back(stack) and self.system.project.up(stack):
            there = inventory(self.system)
            if there == self.expected[stack] and self.system.project.preview(stack, "--expect-no-changes"):
                return "settled", text
        return "something differs afterwards", differs.text

    def _not_read_back(self, stack: str) -> bool:
        """Whether all that a preview would change are resources of which the engine remembers a failed first try."""
        exported = self.system.project.pulumi("stack", "export", "--stack", stack).text
        resources = json.loads(exported[exported.index("{") :])["deployment"]["resources"]
        remembered = {each["urn"].rsplit("::", 1)[1] for each in resources if each.get("initErrors")}
        return {name for _, name in self.system.project.steps(stack)} <= remembered


def inventory(system: System) -> Counter[str]:
    """All that there is in both services, without the ids that differ from one deployment to the next."""
    clients = system.azure_clients()
    found: Counter[str] = Counter()
    for project in clients.get_core_client().get_projects():
        found[f"project {project.name}"] += 1
        git = clients.get_git_client()
        for repository in git.get_repositories(project.id):
            branches = sorted(each.name for each in git.get_refs(repository.id, project=project.id))
            found[f"repository {repository.name} {branches}"] += 1
        for policy in clients.get_policy_client().get_policy_configurations(project.id):
            found[f"policy {policy.type.display_name} enabled={policy.is_enabled} blocking={policy.is_blocking}"] += 1
        for pipeline in clients.get_build_client().get_definitions(project.id):
            found[f"pipeline {pipeline.name}"] += 1
        for environment in clients.get_task_agent_client().get_environments(project.id):
            found[f"environment {environment.name}"] += 1
            for check in _checks(system, project.id, environment.id):
                found[f"check {check} on {environment.name}"] += 1
            allowed = clients.get_pipeline_permissions_client().get_pipeline_permissions_for_resource(
                project.id, "environment", str(environment.id)
            )
            found[
                f"authorized on {environment.name}: {len([each for each in allowed.pipelines if each.authorized])}"
            ] += 1
        graph = clients.get_graph_client()
        for group in graph.list_groups(graph.get_descriptor(project.id).value).graph_groups:
            members = graph.list_memberships(group.descriptor, direction="down")
            found[f"group {group.display_name} with {len(members)} members"] += 1
    workspace = system.workspace_client()
    for job in workspace.jobs.list():
        found[f"job {job.settings.name if job.settings else ''}"] += 1
    for item in workspace.workspace.list("/", recursive=True):
        found[f"workspace {item.path}"] += 1
    for folder in workspace.workspace.list("/"):
        access = workspace.permissions.get("directories", str(folder.object_id)).access_control_list or []
        granted = sorted(
            f"{each.group_name or each.user_name or each.service_principal_name}={level.permission_level}"
            for each in access
            for level in each.all_permissions or []
        )
        found[f"access to {folder.path}: {granted}"] += 1
    return found


def _checks(system: System, project: str, environment: int) -> list[str]:
    found = system.checks(project, environment)
    references = [(each["type"]["name"], (each.get("settings") or {}).get("definitionRef")) for each in found]
    return [reference["name"] if reference else name for name, reference in references]


def trials(bench: Bench) -> list[Trial]:
    """Every fault at every kind of request of both `up`s. Requests of tools that only look (git apart) are included."""
    return sorted(
        Trial(stack, service, method, path, fault)
        for stack in STACKS
        for service, method, path in bench.requests[stack]
        for fault in FAULTS
    )


def handful(all_trials: list[Trial], seed: int, count: int) -> list[Trial]:
    """A few trials, chosen by the seed; the long silence is left to the whole series."""
    quick = [trial for trial in all_trials if trial.fault != "silence"]
    return random.Random(seed).sample(quick, count)  # noqa: S311 - nothing secret is chosen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engine.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4, help="systems at the same time; an up is mostly waiting (4)")
    parser.add_argument("--only", default="", help="a regular expression; only the trials whose line it matches")
    parser.add_argument("--sample", type=int, default=0, help="only so many trials, chosen by --seed (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    options = parser.parse_args()
    toolchain = ensure()
    home = Path(tempfile.mkdtemp(prefix="faults-"))
    mine = threading.local()

    def bench() -> Bench:
        if not hasattr(mine, "bench"):
            place = Path(tempfile.mkdtemp(dir=home))
            mine.bench = Bench(System(place, toolchain))
        return mine.bench  # type: ignore[no-any-return]  # what a thread keeps for itself has no type

    try:
        chosen = [trial for trial in trials(bench()) if re.search(options.only, str(trial))]
        if options.sample:
            chosen = handful(chosen, options.seed, min(options.sample, len(chosen)))
        print(f"{len(chosen)} trials, {options.workers} at a time", flush=True)
        results: list[Result] = []
        with ThreadPoolExecutor(options.workers) as pool:
            for result in pool.map(lambda trial: bench().run(trial), chosen):
                results.append(result)
                print(
                    f"{len(results):4}/{len(chosen)} {result.seconds:5.0f} s  {result.verdict:10}  {result.trial}",
                    flush=True,
                )
                if not result.good:
                    print(result.detail, file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print_table(results)
    return 0 if all(result.good for result in results) else 1


def print_table(results: list[Result]) -> None:
    """How many trials of each fault ended how."""
    verdicts = sorted({result.verdict for result in results})
    counts = Counter((result.trial.service, result.trial.fault, result.verdict) for result in results)
    print(f"\n{'service':10}{'fault':14}" + "".join(f"{verdict[:28]:>30}" for verdict in verdicts))
    for service, fault in sorted({(result.trial.service, result.trial.fault) for result in results}):
        row = "".join(f"{counts[service, fault, verdict]:>30}" for verdict in verdicts)
        print(f"{service:10}{fault:14}{row}")


if __name__ == "__main__":
    sys.exit(main())
