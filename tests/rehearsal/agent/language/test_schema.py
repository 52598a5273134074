"""Every key that the published schema knows is understood or refused by name; none is passed over in silence.

The schema is the one that `check-jsonschema` brings, "service-schema.json" of Microsoft's azure-pipelines-vscode.
"""

import json
from importlib.resources import files
from typing import Any

import pytest

from rehearsal.agent.language import parameters, reading
from rehearsal.agent.language.reading import Section
from tests.rehearsal.agent.language.samples import compiled, refusal

SCHEMA = json.loads(
    (files("check_jsonschema") / "builtin_schemas" / "vendor" / "azure-pipelines.json").read_text(encoding="utf-8")
)
DEFINITIONS: dict[str, Any] = SCHEMA["definitions"]
STEP_KINDS = {*reading.STEPS, *reading.REFUSED_STEPS, "template"}


def keys(definition: str, kind: str | None = None) -> set[str]:
    """The properties of a definition; with `kind` those of its form that has this property."""
    shape = DEFINITIONS[definition]
    forms = [shape, *shape.get("anyOf", [])]
    if definition == "task":  # its own list leaves `target` out, which all steps have
        forms.append(DEFINITIONS["taskBase"])
    found = [set(form.get("properties", {})) for form in forms]
    return set().union(*(names for names in found if kind is None or kind in names))


SECTIONS: list[tuple[str, str | None, Section]] = [
    ("pipeline", None, reading.PIPELINE),
    ("stage", "stage", reading.STAGE),
    ("stage", "template", reading.REFERENCE),
    ("job", "job", reading.JOB),
    ("job", "deployment", reading.DEPLOYMENT),
    ("job", "template", reading.REFERENCE),
    ("step", "template", reading.REFERENCE),
    ("variable", "template", reading.REFERENCE),
    ("variable", "name", reading.VARIABLE),
    ("variable", "group", reading.GROUP),
    ("jobStrategy", None, reading.STRATEGY),
    ("deploymentStrategy", None, reading.DEPLOYMENT_STRATEGY),
    ("runOnceDeploymentStrategy", None, reading.RUN_ONCE),
    ("preDeployHook", None, reading.HOOK),
    ("deployHook", None, reading.HOOK),
    ("routeTrafficHook", None, reading.HOOK),
    ("postRouteTrafficHook", None, reading.HOOK),
    ("onSuccessHook", None, reading.HOOK),
    ("onFailureHook", None, reading.HOOK),
    ("onSuccessOrFailureHook", None, reading.OUTCOME_HOOKS),
    ("deploymentEnvironment", None, reading.ENVIRONMENT),
    ("pool", None, reading.POOL),
    ("jobWorkspace", None, reading.WORKSPACE),
    ("pipelineTemplateParameter", None, reading.PARAMETER),
    ("templateParameter", None, reading.PARAMETER),
    ("trigger", None, reading.TRIGGER),
    ("pr", None, reading.PULL_REQUEST),
    ("includeExcludeFilters", None, reading.FILTER),
    ("schedule", None, reading.SCHEDULE),
    ("resources", None, reading.RESOURCES),
    ("repositoryResource", None, reading.REPOSITORY),
    ("pipelineResource", None, reading.PIPELINE_RESOURCE),
    ("pipelineResourceTrigger", None, reading.PIPELINE_TRIGGER),
    ("extends", None, reading.EXTENDS),
    ("extendsTemplate", None, reading.EXTENDED),
    ("task", None, reading.STEPS["task"]),
    *(("step", kind, section) for kind, section in reading.STEPS.items() if kind != "task"),
]


@pytest.mark.parametrize(("definition", "kind", "section"), SECTIONS)
def test_the_keys_are_those_of_the_schema(definition: str, kind: str | None, section: Section) -> None:
    assert not section.understood & set(section.refused)
    assert section.understood | set(section.refused) == keys(definition, kind)


# Definitions whose keys can't stand in a pipeline that compiles, with the key that is refused before them. `*Base`,
# `pipeline*` and `*Template` say once more what other definitions say.
NOT_REACHED = {
    "buildResource": "builds",
    "packageResource": "packages",
    "containerResource": "containers",
    "containerResourceTrigger": "containers",
    "webhookResource": "webhooks",
    "webhookFilter": "webhooks",
    "repositoryCheckoutOptions": "checkoutOptions",
    "includeExcludeStringFilters": "containers",
    "check": "checks",
    "jobContainer": "container",
    "readOnlyMounts": "container",
    "phase": "phases",
    "phaseQueueTarget": "queue",
    "phaseServerTarget": "server",
    "phaseTargetWorkspace": "queue",
    "rollingDeploymentStrategy": "rolling",
    "canaryDeploymentStrategy": "canary",
    "stepTarget": "target",
    "explicitResources": "uses",
    "jobDecoratorSteps": "decorators aren't pipelines",
    "legacyResource": "the older form of resources",
    "triggerBranchFilter": "read as includeExcludeFilters",
}
SAID_ELSEWHERE = {
    *("containerBase", "taskBase", "extendsTemplateBase", "parametersTemplate", "variablesTemplate"),
    *("stagesTemplate", "jobsTemplate", "stepsTemplate"),
    *("pipelineBase", "pipelineTrigger", "pipelineParameters", "pipelinePR", "pipelineSchedules", "pipelineAnyBase"),
}


def test_no_part_of_the_schema_is_forgotten() -> None:
    """A newer schema with another kind of mapping fails here."""
    mappings = {name for name in DEFINITIONS if keys(name)}
    assert {definition for definition, _, _ in SECTIONS} | set(NOT_REACHED) | SAID_ELSEWHERE == mappings


def test_the_kinds_of_steps_are_those_of_the_schema() -> None:
    common = keys("taskBase")
    first = {next(iter(form["properties"])) for form in DEFINITIONS["step"]["anyOf"] if "properties" in form}
    assert {*first, "task"} == STEP_KINDS
    assert not STEP_KINDS & common


def test_the_types_of_parameters_are_those_of_the_schema() -> None:
    for definition, more in (
        ("pipelineTemplateParameterType", set[str]()),
        ("templateParameterType", {"legacyObject"}),
    ):
        known = {form["pattern"].strip("^$") for form in DEFINITIONS[definition]["anyOf"]}
        assert known <= parameters.TYPES | parameters.REFUSED_TYPES | more
        assert more <= known


# What a key may hold, where it stands, and the pipeline without it. Each changes the plan: it isn't only let through.
STEPS = "steps: [{script: x}]"
ROOT = f"{STEPS}\n"
IN_STAGE = "stages:\n- stage: A\n  jobs: [{job: a, steps: []}]\n- stage: B\n  jobs: [{job: b, steps: []}]\n"
IN_JOB = "jobs:\n- job: z\n  steps: []\n- job: a\n"
IN_DEPLOYMENT = (
    "jobs:\n- job: z\n  steps: []\n- deployment: a\n  environment: e\n  strategy: {runOnce: {deploy: {steps: []}}}\n"
)
PLACES = {
    "pipeline": (reading.PIPELINE, ROOT, ""),
    "stage": (reading.STAGE, IN_STAGE, "  "),
    "job": (reading.JOB, IN_JOB, "  "),
    "deployment": (reading.DEPLOYMENT, IN_DEPLOYMENT, "  "),
    **{
        kind: (section, f"steps:\n- {kind}: {'a@1' if kind == 'task' else 'a'}\n", "  ")
        for kind, section in reading.STEPS.items()
    },
}
JOB_VALUES = {
    "displayName": "shown",
    "dependsOn": "z",
    "condition": "always()",
    "continueOnError": "true",
    "timeoutInMinutes": "7",
    "cancelTimeoutInMinutes": "7",
    "variables": "{v: 1}",
    "pool": "p",
    "workspace": "{clean: all}",
}
VALUES = {
    "pipeline": {
        "name": "n",
        "trigger": "none",
        "schedules": "[{cron: 0 0 * * *}]",
        "parameters": "[{name: p, default: x}]",
        "resources": "{pipelines: [{pipeline: p}]}",
        "variables": "{v: 1}",
        "lockBehavior": "sequential",
        "pool": "p",
        "strategy": "{parallel: 2}",
        "continueOnError": "true",
        "workspace": "{clean: all}",
    },
    "stage": {
        "displayName": "shown",
        "pool": "p",
        "dependsOn": "[]",
        "condition": "always()",
        "variables": "{v: 1}",
        "lockBehavior": "sequential",
    },
    "job": {**JOB_VALUES, "strategy": "{parallel: 2}", "steps": "[{script: x}]"},
    "deployment": JOB_VALUES,
}
STEP_VALUES = {
    "condition": "always()",
    "displayName": "shown",
    "env": "{A: b}",
    "name": "named",
    "inputs": "{a: b}",
    "continueOnError": "true",
    "enabled": "false",
    "timeoutInMinutes": "7",
    "retryCountOnTaskFailure": "3",
}
IN_THE_BASE = {
    # One of the bodies, and what others use: both are in the other tests. And `pr`, which Azure Repos has no use for.
    "pipeline": {"steps", "stages", "jobs", "extends", "parameters", "pr"},
    "stage": {"stage", "jobs"},
    "job": {"job"},
    "deployment": {"deployment", "environment", "strategy"},
    **{kind: {kind} for kind in reading.STEPS},
}


def value(place: str, key: str) -> str:
    return VALUES.get(place, {}).get(key) or STEP_VALUES.get(key, "text")


UNDERSTOOD = [
    (place, key) for place, (section, _, _) in PLACES.items() for key in sorted(section.understood - IN_THE_BASE[place])
]
REFUSED = [(place, key) for place, (section, _, _) in PLACES.items() for key in sorted(section.refused)]


def with_key(place: str, key: str, written: str) -> str:
    _, base, indent = PLACES[place]
    return f"{base}{indent}{key}: {written}\n"


@pytest.mark.parametrize(("place", "key"), UNDERSTOOD)
def test_a_key_that_is_understood_changes_the_plan(place: str, key: str) -> None:
    assert compiled(with_key(place, key, value(place, key))) != compiled(PLACES[place][1])


@pytest.mark.parametrize(("place", "key"), REFUSED)
def test_a_key_that_is_refused_is_named_with_its_place(place: str, key: str) -> None:
    section, base, indent = PLACES[place]
    line = base.count("\n") + 1
    expected = (
        f"/azure-pipelines.yml (Line: {line}, Col: {len(indent) + 1}): '{key}' of a {section.name} is not supported"
    )
    assert refusal(with_key(place, key, "{}")).startswith(expected)


@pytest.mark.parametrize("place", PLACES)
def test_a_key_that_nobody_knows_is_named_with_its_place(place: str) -> None:
    _, base, indent = PLACES[place]
    line = base.count("\n") + 1
    expected = f"/azure-pipelines.yml (Line: {line}, Col: {len(indent) + 1}): Unexpected value 'nosuch'"
    assert refusal(with_key(place, "nosuch", "x")) == expected


@pytest.mark.parametrize("kind", sorted(reading.REFUSED_STEPS))
def test_a_kind_of_step_that_is_refused_is_named(kind: str) -> None:
    found = refusal(f"steps:\n- script: x\n- {kind}: a\n")
    assert found.startswith(
        f"/azure-pipelines.yml (Line: 3, Col: 3): '{kind}' steps are not supported in the rehearsal"
    )


SMALLER = {
    "strategy: {rolling: {}}": "'rolling' of a deployment's strategy is not supported in the rehearsal",
    "strategy: {canary: {}}": "'canary' of a deployment's strategy is not supported in the rehearsal",
    "environment: {name: e, tags: t}": "'tags' of a deployment's environment is not supported in the rehearsal",
    "environment: {name: e, resourceId: '1'}": "'resourceId' of a deployment's environment is not supported",
    "environment: {name: e, resourceName: r}": "'resourceName' of a deployment's environment is not supported",
    "environment: {name: e, resourceType: r}": "'resourceType' of a deployment's environment is not supported",
    "environment: e.r": "The resource 'r' of environment 'e' is not supported in the rehearsal",
}


@pytest.mark.parametrize("line", SMALLER)
def test_what_deployments_cannot_do_is_refused_by_name(line: str) -> None:
    rest = "environment: e" if line.startswith("strategy") else "strategy: {runOnce: {deploy: {steps: []}}}"
    found = refusal(f"jobs:\n- deployment: d\n  {rest}\n  {line}\n")
    assert found.startswith("/azure-pipelines.yml (Line: 4, Col: ")
    assert SMALLER[line] in found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("trigger:\n  tags: [v1]\nsteps: []\n", "'tags' of a trigger"),
        ("pool:\n  demands: java\nsteps: []\n", "'demands' of a pool"),
        (IN_DEPLOYMENT.replace("steps: []}}}", "steps: [], pool: p}}}"), "'pool' of a lifecycle hook"),
    ],
)
def test_what_agents_and_triggers_cannot_do_is_refused_by_name(text: str, named: str) -> None:
    found = refusal(text)
    assert f"{named} is not supported in the rehearsal: " in found
    assert found.startswith("/azure-pipelines.yml (Line: ")


@pytest.mark.parametrize("kind", ["builds", "containers", "packages", "webhooks"])
def test_other_resources_are_refused_by_name(kind: str) -> None:
    found = refusal(f"resources:\n  {kind}: []\nsteps: []\n")
    assert found.startswith(
        f"/azure-pipelines.yml (Line: 2, Col: 3): '{kind}' of a pipeline's resources is not supported"
    )


@pytest.mark.parametrize("key", ["endpoint", "trigger", "checkoutOptions"])
def test_keys_of_repository_resources_are_refused_by_name(key: str) -> None:
    found = refusal(f"resources:\n  repositories:\n  - repository: r\n    name: n\n    {key}: x\nsteps: []\n")
    assert found.startswith(
        f"/azure-pipelines.yml (Line: 5, Col: 5): '{key}' of a repository resource is not supported"
    )
