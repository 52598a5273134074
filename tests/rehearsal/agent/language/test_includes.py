"""Where templates come from: https://learn.microsoft.com/azure/devops/pipelines/process/templates."""

from typing import Any

import pytest

from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.nodes import read
from rehearsal.agent.language.plan import RepositoryResource
from rehearsal.agent.language.sources import ReadFile
from tests.rehearsal.agent.language.samples import compiled, env, files, jobs, refusal, scripts

LEAF = "steps:\n- script: leaf\n"


def call(reference: str) -> str:
    return f"steps:\n- template: {reference}\n"


@pytest.mark.parametrize(
    ("reference", "templates"),
    [
        ("dir/leaf.yml", {"dir/leaf.yml": LEAF}),
        ("/dir/leaf.yml", {"dir/leaf.yml": LEAF}),
        ("./dir/leaf.yml", {"dir/leaf.yml": LEAF}),
        ("dir\\leaf.yml", {"dir/leaf.yml": LEAF}),
        ("dir/leaf.yml@self", {"dir/leaf.yml": LEAF}),
        ("dir/leaf.yml@", {"dir/leaf.yml": LEAF}),
        ("dir/mid.yml", {"dir/mid.yml": call("leaf.yml"), "dir/leaf.yml": LEAF}),
        ("dir/mid.yml", {"dir/mid.yml": call("../leaf.yml"), "leaf.yml": LEAF}),
        ("dir/mid.yml", {"dir/mid.yml": call("/leaf.yml"), "leaf.yml": LEAF}),
        ("dir/mid.yml", {"dir/mid.yml": call("../leaf.yml@self"), "leaf.yml": LEAF}),
    ],
)
def test_paths(reference: str, templates: dict[str, str]) -> None:
    assert scripts(compiled(call(reference), templates)) == ["leaf"]


def test_a_path_may_be_an_expression() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/template-parameters: to select a template."""
    text = """
    parameters:
    - name: experimentalTemplate
      type: boolean
      default: false
    steps:
    - ${{ if eq(parameters.experimentalTemplate, true) }}:
      - template: experimental.yml
    - ${{ if not(eq(parameters.experimentalTemplate, true)) }}:
      - template: ${{ 'stable' }}.yml
    """
    templates = {"experimental.yml": "steps:\n- script: new\n", "stable.yml": "steps:\n- script: old\n"}
    assert scripts(compiled(text, templates)) == ["old"]
    assert scripts(compiled(text, templates, parameters={"experimentalTemplate": True})) == ["new"]


@pytest.mark.parametrize(
    ("reference", "templates", "message"),
    [
        ("nosuch.yml", {}, "(Line: 2, Col: 3): File /nosuch.yml not found in repository self"),
        ("LEAF.yml", {"leaf.yml": LEAF}, "File /LEAF.yml not found"),
        ("../leaf.yml", {}, "The file path ../leaf.yml is invalid"),
        ("dir/mid.yml", {"dir/mid.yml": call("../../leaf.yml")}, "/dir/mid.yml (Line: 2, Col: 3): The file path"),
        ("leaf.yml@other", {"leaf.yml": LEAF}, "No repository found by name other"),
        ("leaf.yml@self@self", {"leaf.yml": LEAF}, "No repository found by name self@self"),
        ("azure-pipelines.yml", {}, "/azure-pipelines.yml: Maximum object depth exceeded"),
        ("a.yml", {"a.yml": call("b.yml"), "b.yml": call("a.yml")}, "/b.yml (Line: 2, Col: 3): /a.yml: Maximum object"),
        ("jobs.yml", {"jobs.yml": "jobs: []"}, "/jobs.yml (Line: 1, Col: 1): Unexpected value 'jobs'"),
        ("empty.yml", {"empty.yml": ""}, "A template that is used in steps must have 'steps'"),
        ("list.yml", {"list.yml": "- script: x"}, "/list.yml (Line: 1, Col: 1): Expected a mapping"),
        ("more.yml", {"more.yml": LEAF + "trigger: none\n"}, "/more.yml (Line: 3, Col: 1): Unexpected value 'trigger'"),
        (
            "bad.yml",
            {"bad.yml": "steps: [a: b: c]"},
            "/bad.yml (Line: 1, Col: 13): expected ',' or ']', but got ':'",
        ),
        ("''", {}, "'template' is missing or empty"),
    ],
)
def test_references_that_lead_nowhere(reference: str, templates: dict[str, str], message: str) -> None:
    assert message in refusal(call(reference), templates)


def test_a_file_that_is_not_there_at_all() -> None:
    with pytest.raises(PipelineError, match=r"File /azure-pipelines.yml not found"):
        compile_pipeline("azure-pipelines.yml", lambda _: None)


def test_the_same_template_twice_is_no_circle() -> None:
    assert scripts(compiled(call("leaf.yml") + "- template: leaf.yml\n", {"leaf.yml": LEAF})) == ["leaf", "leaf"]


def test_a_hundred_levels_of_templates() -> None:
    """ "No more than 100 levels of template nesting": the hundredth may be there, one more may not."""
    chain = {f"{level}.yml": call(f"{level + 1}.yml") for level in range(1, 101)}
    assert scripts(compiled(call("1.yml"), {**chain, "100.yml": LEAF})) == ["leaf"]
    assert "/101.yml: Maximum object depth exceeded" in refusal(call("1.yml"), {**chain, "101.yml": LEAF})


def test_depth_upon_depth_ends_with_an_error_too() -> None:
    """A deep value is read at the top; expanding it once more far down is too much."""
    deep = "steps:\n- template: leaf.yml\n  parameters: {p: " + "[" * 440 + "]" * 440 + "}\n"
    chain = {f"{level}.yml": call(f"{level + 1}.yml") for level in range(1, 95)}
    found = refusal(
        call("deep.yml") + "- template: 1.yml\n",
        {**chain, "deep.yml": deep, "95.yml": call("deep.yml"), "leaf.yml": LEAF},
    )
    assert found.endswith(": Maximum object depth exceeded")


def test_a_hundred_templates() -> None:
    """ "No more than 100 separate YAML files may be included (directly or indirectly)"."""
    text = "steps:\n" + "".join(f"- template: {number}.yml\n" for number in range(101))
    templates = {f"{number}.yml": LEAF for number in range(101)}
    assert "(Line: 102, Col: 3): Maximum file count exceeded" in refusal(text, templates)
    assert len(scripts(compiled(text.replace("100.yml", "99.yml"), templates))) == 101


REPOSITORIES = """
resources:
  repositories:
  - repository: templates
    type: git
    name: Contoso/BuildTemplates
"""


def other(texts: dict[str, str]) -> dict[str, Any]:
    def find(resource: RepositoryResource) -> ReadFile | None:
        return files(texts) if resource.name == "Contoso/BuildTemplates" else None

    return {"find_repository": find}


def test_templates_of_another_repository() -> None:
    """A reference in such a template stays in its repository, and `@self` leads back to the pipeline's own."""
    theirs = {
        "common/outer.yml": call("inner.yml") + "- template: /top.yml\n- template: home.yml@self\n",
        "common/inner.yml": "steps:\n- script: inner\n",
        "top.yml": "steps:\n- script: top\n",
    }
    ours = {"home.yml": "steps:\n- script: home\n"}
    text = REPOSITORIES + call("common/outer.yml@TEMPLATES")
    assert scripts(compiled(text, ours, **other(theirs))) == ["inner", "top", "home"]


def test_errors_name_the_repository_of_a_template() -> None:
    text = REPOSITORIES + call("bad.yml@templates")
    found = refusal(text, **other({"bad.yml": "steps:\n- nosuch: x\n"}))
    assert found == "/bad.yml@templates (Line: 2, Col: 3): Unexpected value 'nosuch'"
    assert "File /no.yml@templates not found in repository templates" in refusal(
        REPOSITORIES + call("no.yml@templates"), **other({})
    )


def test_a_repository_that_cannot_be_had_is_refused_by_name() -> None:
    assert "No repository found by name templates" in refusal(REPOSITORIES + call("a.yml@templates"))
    assert compiled(REPOSITORIES + "steps: []\n").repositories[0].ref == "refs/heads/main"


def test_extends() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/templates#extend-from-a-template"""
    start = """
    parameters:
    - name: buildSteps
      type: stepList
      default: []
    variables:
      inherited: yes
    stages:
    - stage: secure_buildstage
      pool:
        vmImage: windows-latest
      jobs:
      - job: secure_buildjob
        steps:
        - script: echo This happens before code
        - ${{ each step in parameters.buildSteps }}:
          - ${{ step }}
        - script: echo This happens after code ${{ variables.own }} ${{ variables.inherited }}
    """
    text = """
    trigger:
    - main
    variables:
      own: mine
    extends:
      template: start.yml
      parameters:
        buildSteps:
          - bash: echo Test #Passes
            displayName: succeed
          - bash: echo "Test"
            displayName: succeed
    """
    pipeline = compiled(text, {"start.yml": start})
    assert [stage.name for stage in pipeline.stages] == ["secure_buildstage"]
    assert scripts(pipeline)[0] == "echo This happens before code"
    assert scripts(pipeline)[-1] == "echo This happens after code mine yes"
    assert len(scripts(pipeline)) == 4
    assert [variable.name for variable in pipeline.variables] == ["own", "inherited"]


def test_a_template_can_refuse_what_it_is_given() -> None:
    """Same page, "Use templates to enforce": a step of another kind becomes an error that names it."""
    start = """
    parameters:
    - name: usersteps
      type: stepList
      default: []
    steps:
    - ${{ each step in parameters.usersteps }}:
      - ${{ each pair in step }}:
          ${{ if eq(pair.key, 'script') }}:
            'Rejecting script: ${{ pair.value }}': error
          ${{ else }}:
            ${{ pair.key }}: ${{ pair.value }}
    """
    text = "extends:\n  template: start.yml\n  parameters:\n    usersteps:\n    - %s: echo This step will be rejected\n"
    assert scripts(compiled(text % "bash", {"start.yml": start})) == ["echo This step will be rejected"]
    found = refusal(text % "script", {"start.yml": start})
    assert "Unexpected value 'Rejecting script: echo This step will be rejected'" in found


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("trigger: none\nsteps: []", "(Line: 1, Col: 1): 'trigger' of a template that is extended is not supported"),
        ("resources: {}\nsteps: []", "'resources' of a template that is extended is not supported"),
        ("pool: x\nsteps: []", "Unexpected value 'pool'"),
        ("variables: {}", "A pipeline has one of stages, jobs, steps, extends, and there is none"),
        ("steps: []\njobs: []", "not both jobs and steps"),
    ],
)
def test_what_a_template_that_is_extended_may_not_have(template: str, message: str) -> None:
    found = refusal("extends:\n  template: t.yml\n", {"t.yml": template})
    assert found.startswith("/t.yml (Line: 1")
    assert message in found


def test_templates_of_stages_jobs_and_variables() -> None:
    templates = {
        "s.yml": "parameters: [{name: n}]\nstages:\n- stage: ${{ parameters.n }}\n  jobs: [{template: jobs.yml}]\n",
        "jobs.yml": "jobs:\n- job: a\n  variables:\n  - template: vars.yml\n  steps:\n  - script: ${{ variables.v }}\n",
        "vars.yml": "variables:\n  v: value\n",
    }
    text = "stages:\n- template: s.yml\n  parameters: {n: one}\n- template: s.yml\n  parameters: {n: two}\n"
    pipeline = compiled(text, templates)
    assert [stage.name for stage in pipeline.stages] == ["one", "two"]
    assert scripts(pipeline) == ["value", "value"]
    assert jobs(pipeline)[0].position.file == "/jobs.yml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "(Line: 1, Col: 4): Anchors are not supported"),
        ("a: !custom 1", "The tag '!custom' is not supported"),
        ("? [a]\n: b", "Expected a scalar value: a key can't be a list or a mapping"),
        ("a: 1\nb: {c: 1, C: 2}", "(Line: 2, Col: 11): 'C' is already defined"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("a: 'x", "found unexpected end of stream"),
        ("a: \x00", "special characters are not allowed"),
        ("[" * 5000, "Maximum object depth exceeded"),
        ("a: " + "x" * (20 * 1024 * 1024), "Maximum object size exceeded"),
    ],
)
def test_yaml_that_the_service_does_not_read(text: str, message: str) -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/: no anchors, complex keys, tags."""
    with pytest.raises(PipelineError) as error:
        read(text, "/f.yml")
    assert message in error.value.message or message in str(error.value)
    assert str(error.value).startswith("/f.yml (Line: ")


def test_equal_expressions_as_keys_are_both_evaluated() -> None:
    text = "steps:\n- script: x\n  env:\n    ${{ if true }}: {A: a}\n    B: b\n    ${{ if true }}: {C: c}\n"
    assert env(compiled(text)) == {"A": "a", "B": "b", "C": "c"}
