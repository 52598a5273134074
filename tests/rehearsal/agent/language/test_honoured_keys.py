"""Every key that is understood is honoured: it changes the plan of a run, and what the plan says is read by who carries
the run out. Of tasks' inputs the same is in `test_tasks.py`."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import rehearsal
from rehearsal.agent.language import plan, reading
from rehearsal.agent.language.reading import Section
from rehearsal.agent.language.variables import GroupVariable
from tests.rehearsal.agent.language.samples import compiled
from tests.rehearsal.agent.language.test_schema import PLACES, ROOT, SECTIONS, STEPS

# Mappings within those of test_schema.py: a pipeline with such a one, and for each key two contents of it that must
# make two plans.
Contents = dict[str, tuple[str, str]]
RUN_ONCE = "jobs:\n- deployment: d\n  environment: e\n  strategy: {runOnce: %s}\n"
HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic", "on")
INNER: list[tuple[Section, str, Contents]] = [
    (reading.POOL, f"pool: {{%s}}\n{ROOT}", {"name": ("name: a", "name: b"), "vmImage": ("vmImage: a", "vmImage: b")}),
    (reading.WORKSPACE, f"workspace: {{%s}}\n{ROOT}", {"clean": ("clean: all", "")}),
    (
        reading.STRATEGY,
        f"strategy: {{%s}}\n{ROOT}",
        {
            "matrix": ("matrix: {a: {x: 1}}", "matrix: {b: {x: 1}}"),
            "maxParallel": ("matrix: {a: {x: 1}}, maxParallel: 1", "matrix: {a: {x: 1}}"),
            "parallel": ("parallel: 2", "parallel: 3"),
        },
    ),
    (reading.DEPLOYMENT_STRATEGY, RUN_ONCE % "{%s}", {"runOnce": ("deploy: {steps: []}", "preDeploy: {steps: []}")}),
    (
        reading.RUN_ONCE,
        RUN_ONCE % "{%s}",
        {hook: (f"{hook}: {{{'failure: {steps: []}' if hook == 'on' else STEPS}}}", "") for hook in HOOKS},
    ),
    (
        reading.OUTCOME_HOOKS,
        RUN_ONCE % "{on: {%s}}",
        {hook: (f"{hook}: {{steps: []}}", "") for hook in ("failure", "success")},
    ),
    (reading.HOOK, RUN_ONCE % "{deploy: {%s}}", {"steps": (STEPS, "")}),
    (
        reading.ENVIRONMENT,
        "jobs:\n- deployment: d\n  environment: {%s}\n  strategy: {runOnce: {deploy: {steps: []}}}\n",
        {"name": ("name: a", "name: b")},
    ),
    (
        reading.VARIABLE,
        f"variables: [{{%s}}]\n{ROOT}",
        {
            "name": ("name: a", "name: b"),
            "value": ("name: a, value: x", "name: a"),
            "readonly": ("name: a, readonly: true", "name: a"),
        },
    ),
    (reading.GROUP, f"variables: [{{%s}}]\n{ROOT}", {"group": ("group: a", "group: b")}),
    (
        reading.PARAMETER,
        "parameters: [{%s}]\nsteps: [script: '${{ convertToJson(parameters) }}']\n",
        {
            "name": ("name: p, default: x", "name: q, default: x"),
            "default": ("name: p, default: x", "name: p, default: y"),
            "type": ("name: p, type: number, default: 1", "name: p, default: 1"),
        },
    ),
    (
        reading.TRIGGER,
        f"trigger: {{%s}}\n{ROOT}",
        {
            "batch": ("batch: true", ""),
            "branches": ("branches: {include: [a]}", ""),
            "paths": ("paths: {include: [a]}", ""),
        },
    ),
    (
        reading.FILTER,
        f"trigger: {{branches: {{%s}}}}\n{ROOT}",
        {"include": ("include: [a]", ""), "exclude": ("exclude: [a]", "")},
    ),
    (
        reading.SCHEDULE,
        f"schedules: [{{%s}}]\n{ROOT}",
        {
            "cron": ("cron: 0 0 * * *", "cron: 1 0 * * *"),
            **{
                each.partition(":")[0]: (f"cron: 0 0 * * *, {each}", "cron: 0 0 * * *")
                for each in ("displayName: a", "branches: {include: [a]}", "batch: true", "always: true")
            },
        },
    ),
    (
        reading.RESOURCES,
        f"resources: {{%s}}\n{ROOT}",
        {
            "repositories": ("repositories: [{repository: r, name: n}]", ""),
            "pipelines": ("pipelines: [{pipeline: p}]", ""),
        },
    ),
    (
        reading.REPOSITORY,
        f"resources: {{repositories: [{{%s}}]}}\n{ROOT}",
        {
            "repository": ("repository: a, name: n", "repository: b, name: n"),
            "name": ("repository: a, name: n", "repository: a, name: m"),
            "ref": ("repository: a, name: n, ref: x", "repository: a, name: n"),
        },
    ),
    (
        reading.PIPELINE_RESOURCE,
        f"resources: {{pipelines: [{{%s}}]}}\n{ROOT}",
        {
            "pipeline": ("pipeline: a", "pipeline: b"),
            **{
                each.partition(":")[0]: (f"pipeline: a, {each}", "pipeline: a")
                for each in ("project: x", "source: x", "version: x", "branch: x", "tags: [x]", "trigger: true")
            },
        },
    ),
    (
        reading.PIPELINE_TRIGGER,
        f"resources: {{pipelines: [{{pipeline: a, trigger: {{%s}}}}]}}\n{ROOT}",
        {
            each.partition(":")[0]: (each, "")
            for each in ("enabled: false", "branches: {include: [x]}", "stages: [x]", "tags: [x]")
        },
    ),
    *(
        (
            section,
            text,
            {
                "template": ("template: one.yml", "template: two.yml"),
                "parameters": ("template: one.yml, parameters: {p: y}", "template: one.yml"),
            },
        )
        for section, text in ((reading.EXTENDS, "extends: {%s}\n"), (reading.REFERENCE, "steps: [{%s}]\n"))
    ),
]
WITHOUT_EFFECT = {
    (reading.PARAMETER.name, "displayName"): "a label of the page for queueing, which asks for no parameters here",
    (reading.PARAMETER.name, "values"): "what they leave out is refused, see test_parameters.py",
    (reading.REPOSITORY.name, "type"): "one that isn't git is refused, see test_plan.py",
    **dict.fromkeys(
        ((reading.PULL_REQUEST.name, key) for key in reading.PULL_REQUEST.understood), "Azure Repos doesn't use them"
    ),
    **dict.fromkeys(
        ((reading.EXTENDED.name, key) for key in reading.EXTENDED.understood), "those of a pipeline, in another file"
    ),
}
TEMPLATES = {
    f"{name}.yml": f"parameters: [{{name: p, default: x}}]\nsteps: [{{script: '{name} ${{{{ parameters.p }}}}'}}]\n"
    for name in ("one", "two")
}


def without_places(value: Any) -> Any:
    """A plan without what depends on where in the file something stands."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return type(value).__name__, {name: without_places(each) for name, each in found if name != "position"}
    if isinstance(value, tuple):
        return [without_places(each) for each in value]
    return value


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        pytest.param(text, *contents, id=f"{section.name} - {key}")
        for section, text, known in INNER
        for key, contents in known.items()
    ],
)
def test_a_key_of_an_inner_mapping_changes_the_plan(text: str, one: str, other: str) -> None:
    first, second = (
        compiled(text % content if "${{" not in text else text.replace("%s", content), TEMPLATES, find_group=group)
        for content in (one, other)
    )
    assert without_places(first) != without_places(second)


def group(name: str) -> dict[str, GroupVariable]:
    return {f"of_{name}": GroupVariable("x")}


def test_no_key_that_is_understood_is_left_out_here() -> None:
    tried = {(section.name, key) for section, _, known in INNER for key in known}
    tried |= {(section.name, key) for section, _, _ in PLACES.values() for key in section.understood}
    sections = {section.name: section for _, _, section in SECTIONS}
    known = {(name, key) for name, section in sections.items() for key in section.understood}
    assert known - tried == set(WITHOUT_EFFECT)


def test_what_the_plan_says_is_read_by_who_carries_it_out() -> None:
    """By names: of fields that are called the same it is enough that one is read."""
    root = Path(rehearsal.__file__).parent
    reads_files = root / "agent" / "language"
    of_runs = [reads_files / f"{name}.py" for name in ("conditions", "graph", "outcomes", "runtime")]
    others = [path for part in ("agent", "azuredevops") for path in (root / part).rglob("*.py")]
    carried_out = [*of_runs, *(path for path in others if path.parent != reads_files)]
    read = {
        node.attr
        for path in carried_out
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    classes = [
        each for each in vars(plan).values() if dataclasses.is_dataclass(each) and each.__module__ == plan.__name__
    ]
    said = {field.name for each in classes for field in dataclasses.fields(each)}
    assert len(said) > 50
    assert said <= read
