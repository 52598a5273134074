"""One fault at one request of an `up`: it gets through, or fails clearly and the next `up` converges.

`python -m tests.engine.faults` runs the whole series and prints its table; `make test` takes a seeded handful of it.
A request is known by its service, method and route (numbers and ids left out); the fault hits the first of its kind.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rehearsal.toolchain import ensure
from tests.engine.shelf import Moment, Shelf
from tests.engine.system import Name, Outcome, StandIn, System

Stack: TypeAlias = Literal["test", "prod"]
STACKS: tuple[Stack, ...] = ("test", "prod")
# The moments of the shelf that are called after the stacks are those after their `up`.
BEFORE: dict[Stack, Moment] = {"test": "nothing", "prod": "test"}

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

    stack: Stack
    service: Name
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
    """Gives each trial a system of its own, as it was before the `up` that the trial disturbs."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.requests: dict[Stack, list[tuple[Name, str, str]]] = {}
        self.expected: dict[Stack, Counter[str]] = {}
        for stack in STACKS:
            seen = ((service, method, route(path)) for service, method, path in shelf.requests(stack))
            self.requests[stack] = list(dict.fromkeys(seen))
            with shelf.system(stack) as system:
                self.expected[stack] = inventory(system)

    def run(self, trial: Trial) -> Result:
        """Orders the fault, and looks what comes of it."""
        with self._shelf.system(BEFORE[trial.stack]) as system:
            service: StandIn = getattr(system, trial.service)
            order = {key: value for key, value in FAULTS[trial.fault].items() if key != "action"}
            service.fault(FAULTS[trial.fault]["action"], method=trial.method, path=trial.pattern, **order)
            started = time.monotonic()
            first = system.project.up(trial.stack)
            verdict, text = "through", first.text
            if not any(each["fault"] for each in service.requests()):
                verdict = "the fault hit nothing"
            elif not first:
                verdict = _after_failure(system, trial.stack, first)
            if verdict in GOOD:
                verdict, text = self._compare(system, trial.stack, verdict, text)
        return Result(trial, verdict, time.monotonic() - started, "" if verdict == "through" else text)

    def _compare(self, system: System, stack: Stack, verdict: str, text: str) -> tuple[str, str]:
        there = inventory(system)
        if there != self.expected[stack]:
            return "doubled or lost", f"more: {there - self.expected[stack]}, less: {self.expected[stack] - there}"
        differs = system.project.preview(stack, "--expect-no-changes", "--diff")
        if differs:
            return verdict, text
        if _not_read_back(system, stack) and system.project.up(stack):
            there = inventory(system)
            if there == self.expected[stack] and system.project.preview(stack, "--expect-no-changes"):
                return "settled", text
        return "something differs afterwards", differs.text


def _after_failure(system: System, stack: str, first: Outcome) -> str:
    if "Traceback" in first.text or "panic:" in first.text:
        return "failed with a traceback"
    second = system.project.up(stack)
    return "converged" if second else f"the next up failed: {second.text[-1500:]}"


def _not_read_back(system: System, stack: str) -> bool:
    """Whether all that a preview would change are resources of which the engine remembers a failed first try."""
    exported = system.project.pulumi("stack", "export", "--stack", stack).text
    resources = json.loads(exported[exported.index("{") :])["deployment"]["resources"]
    remembered = {each["urn"].rsplit("::", 1)[1] for each in resources if each.get("initErrors")}
    return {name for _, name in system.project.steps(stack)} <= remembered


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
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as home:
        bench = Bench(Shelf(Path(home, "systems"), Path(home), toolchain))
        chosen = [trial for trial in trials(bench) if re.search(options.only, str(trial))]
        if options.sample:
            chosen = handful(chosen, options.seed, min(options.sample, len(chosen)))
        print(f"{len(chosen)} trials, {options.workers} at a time", flush=True)
        with ThreadPoolExecutor(options.workers) as pool:
            for result in pool.map(bench.run, chosen):
                results.append(result)
                print(
                    f"{len(results):4}/{len(chosen)} {result.seconds:5.0f} s  {result.verdict:10}  {result.trial}",
                    flush=True,
                )
                if not result.good:
                    print(result.detail, file=sys.stderr, flush=True)
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
