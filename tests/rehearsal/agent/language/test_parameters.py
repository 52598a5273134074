"""Typed parameters, of pipelines and of templates.

https://learn.microsoft.com/azure/devops/pipelines/process/runtime-parameters and .../template-parameters; what the
pages leave open or contradict each other in are answers of the service's preview call, as others have published them.
"""

from typing import Any

import pytest

from rehearsal.agent.language.parameters import REFUSED_TYPES
from tests.rehearsal.agent.language.samples import compiled, env, refusal, scripts

SHOW = "steps:\n- script: x\n  env:\n    OUT: ${{ convertToJson(parameters.p) }}\n"


def bound(kind: str, value: str, more: str = "") -> str:
    """What a template makes of a value of a type."""
    template = f"parameters:\n- name: p\n  type: {kind}\n{more}{SHOW}"
    return env(compiled(f"steps:\n- template: t.yml\n  parameters:\n    p: {value}\n", {"t.yml": template}))["OUT"]


def not_bound(kind: str, value: str, more: str = "") -> str:
    template = f"parameters:\n- name: p\n  type: {kind}\n{more}{SHOW}"
    return refusal(f"steps:\n- template: t.yml\n  parameters:\n    p: {value}\n", {"t.yml": template})


def queued(kind: str, value: object, more: str = "") -> str:
    """What a pipeline makes of a value that is given when a run is queued."""
    return env(compiled(f"parameters:\n- name: p\n  type: {kind}\n{more}{SHOW}", parameters={"p": value}))["OUT"]


DEEP = "{s: text, n: 3, f: 0.5, b: true, nil: , quoted: '3', list: [1, two]}"


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        # a scalar is bound by its text
        ("string", "42", '"42"'),
        ("string", "007", '"007"'),
        ("string", "1.0", '"1.0"'),
        ("string", "True", '"True"'),
        ("string", "", '""'),
        ("string", "null", '""'),
        ("string", "'null'", '"null"'),
        ("string", "${{ true }}", '"True"'),
        ("number", "8", "8"),
        ("number", "'8'", "8"),
        ("number", "1.0", "1"),
        ("number", "0.5", "0.5"),
        ("boolean", "true", "true"),
        ("boolean", "True", "true"),
        ("boolean", "'false'", "false"),
        ("boolean", "${{ eq(1, 2) }}", "false"),
        ("object", "text", '"text"'),
        ("object", "3", "3"),
        ("object", "9" * 40, f'"{"9" * 40}"'),  # too large for a number
        ("object", "[]", "[]"),
        ("stringList", "[a, 1, true]", '[\n  "a",\n  "1",\n  "true"\n]'),
    ],
)
def test_values_of_each_type(kind: str, value: str, found: str) -> None:
    assert bound(kind, value) == found


def test_an_object_keeps_the_types_of_its_leaves_and_a_legacy_object_makes_them_text() -> None:
    flat = bound("object", DEEP).replace("\n", "").replace(" ", "")
    assert flat == '{"s":"text","n":3,"f":0.5,"b":true,"nil":"","quoted":"3","list":[1,"two"]}'
    flat = bound("legacyObject", DEEP).replace("\n", "").replace(" ", "")
    assert flat == '{"s":"text","n":"3","f":"0.5","b":"true","nil":"","quoted":"3","list":["1","two"]}'


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("number", "abc", "(Line: 4, Col: 8): The 'p' parameter value 'abc' is not a valid Number."),
        ("number", "", "The 'p' parameter value '' is not a valid Number."),
        ("boolean", "apples", "The 'p' parameter value 'apples' is not a valid Boolean."),
        ("boolean", "yes", "The 'p' parameter value 'yes' is not a valid Boolean."),
        ("boolean", "1", "The 'p' parameter value '1' is not a valid Boolean."),
        ("string", "{a: b}", "The 'p' parameter is not a valid String."),
        ("stringList", "[[a]]", "The 'p' parameter is not a valid StringList."),
        ("stringList", "a", "The 'p' parameter value 'a' is not a valid StringList."),
        ("stepList", "nope", "The 'p' parameter is not a valid StepList."),
        ("step", "[]", "The 'p' parameter is not a valid Step."),
        ("jobList", "{}", "The 'p' parameter is not a valid JobList."),
        ("deploymentList", "x", "The 'p' parameter is not a valid DeploymentList."),
        ("stageList", "x", "The 'p' parameter is not a valid StageList."),
    ],
)
def test_values_that_do_not_fit(kind: str, value: str, message: str) -> None:
    assert message in not_bound(kind, value)


def test_allowed_values_are_compared_after_conversion_and_with_their_case() -> None:
    assert bound("number", "'2'", "  values: [1, 2]\n") == "2"
    assert bound("string", "alpha", "  values: [alpha]\n") == '"alpha"'
    message = "The 'p' parameter value 'ALPHA' is not a valid value."
    assert message in not_bound("string", "ALPHA", "  values: [alpha]\n")
    assert "The 'p' parameter value 'z' is not a valid value." in not_bound("stringList", "[a, z]", "  values: [a]\n")


@pytest.mark.parametrize("kind", ["string", "number", "boolean", "object", "stepList", "stageList"])
def test_a_parameter_without_a_default_needs_a_value(kind: str) -> None:
    declaration = f"parameters:\n- name: p\n  type: {kind}\n{SHOW}"
    assert "A value for the 'p' parameter must be provided." in refusal(declaration)
    called = refusal("steps:\n- template: t.yml\n", {"t.yml": declaration})
    assert called.startswith("/azure-pipelines.yml (Line: 2, Col: 3)")


def test_allowed_values_are_no_default() -> None:
    assert "must be provided" in refusal(f"parameters:\n- name: p\n  values: [a]\n{SHOW}")


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("- name: p\n  type: notAType", "(Line: 3, Col: 9): Unexpected value 'notAType'"),
        ("- name: p\n  type: String", "Unexpected value 'String'"),
        ("- name: p\n  type: legacyObject", "Unexpected value 'legacyObject'"),
        ("- name: p\n  default: {a: b}", "The 'p' parameter is not a valid String."),
        ("- name: p\n  type: number\n  default: abc", "The 'p' parameter value 'abc' is not a valid Number."),
        ("- name: p\n  values: [a]\n  default: b", "The 'p' parameter value 'b' is not a valid value."),
        ("- name: p\n  default: a\n- name: P\n  default: b", "The 'P' parameter is declared more than once"),
        ("- type: string", "A parameter needs a name"),
        ("- name: p\n  optional: true", "Unexpected value 'optional'"),
        ("- name: p\n  default: ${{ variables.x }}", "A template expression is not allowed in this context"),
        ("- name: p\n  default: ${{ 42 }}", "A template expression is not allowed in this context"),
        ("- name: p\n  default: a ${{ 'b' }}", "A template expression is not allowed in this context"),
        ("- name: p\n  type: object\n  default: {'${{ if true }}': {a: b}}", "A template expression is not allowed"),
        ("- p", "Expected a mapping"),
        ("- name: p\n  values: a", "Expected a sequence"),
        ("- name: p\n  type: object\n  default: ['${{ 1 }}']", "A template expression is not allowed"),
        ("- name: p\n  type: [string]", "Expected a scalar value"),
    ],
)
def test_declarations_that_are_refused(declaration: str, message: str) -> None:
    assert message in refusal(f"parameters:\n{declaration}\n{SHOW}")


@pytest.mark.parametrize("kind", sorted(REFUSED_TYPES))
def test_types_for_pages_and_containers_are_refused_by_name(kind: str) -> None:
    found = refusal(f"parameters:\n- name: p\n  type: {kind}\n  default: x\n{SHOW}")
    expected = f"(Line: 3, Col: 9): Parameters of the type '{kind}' are not supported in the rehearsal"
    assert expected in found


def test_a_text_in_quotes_is_the_only_expression_in_a_default() -> None:
    assert env(compiled(f"parameters:\n- name: p\n  default: ${{{{ 'my${{{{x' }}}}\n{SHOW}"))["OUT"] == '"my${{x"'


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("string", "text", '"text"'),
        ("string", "${{ 1 }}", '"${{ 1 }}"'),  # what is given is data
        ("number", "8", "8"),
        ("number", 8, "8"),
        ("boolean", "true", "true"),
        ("boolean", False, "false"),
        ("object", '{"a": 1}', '{\n  "a": 1\n}'),
        ("object", {"a": ["${{ 1 }}"]}, '{\n  "a": [\n    "${{ 1 }}"\n  ]\n}'),
    ],
)
def test_values_given_when_a_run_is_queued(kind: str, value: object, found: str) -> None:
    assert queued(kind, value) == found
    assert queued(kind, value, "  displayName: shown\n") == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"q": "x"}, "Unexpected parameter 'q'"),
        ({"p": "no"}, "The 'p' parameter value 'no' is not a valid value."),
        ({"p": {"a": 1}}, "The 'p' parameter is not a valid String."),
    ],
)
def test_values_given_when_a_run_is_queued_are_checked(given: dict[str, Any], message: str) -> None:
    text = f"parameters:\n- name: p\n  values: [a]\n  default: a\n{SHOW}"
    assert message in refusal(text, parameters=given)


def test_names_ignore_case() -> None:
    text = "parameters:\n- name: myParam\n  default: x\nsteps:\n- script: ${{ parameters.MYPARAM }}\n"
    assert scripts(compiled(text, parameters={"MyPARAM": "y"})) == ["y"]


def test_a_template_takes_only_what_it_declares_unless_it_declares_nothing() -> None:
    call = "steps:\n- template: t.yml\n  parameters: {q: 1}\n"
    declares = "parameters:\n- name: p\n  default: x\nsteps:\n- script: x\n"
    assert "(Line: 3, Col: 19): Unexpected parameter 'q'" in refusal(call, {"t.yml": declares})
    assert scripts(compiled(call, {"t.yml": "steps:\n- script: x\n"})) == ["x"]


def test_each_file_has_its_own_parameters() -> None:
    declared = "parameters: [{name: outer, default: x}]\n"
    root = declared + "steps:\n- template: t.yml\n  parameters:\n    p: ${{ parameters.%s }}\n"
    inner = (
        "parameters:\n- name: p\n  default: d\nsteps:\n- script: x\n  env: {OUT: '${{ convertToJson(parameters) }}'}\n"
    )
    assert env(compiled(root % "outer", {"t.yml": inner}))["OUT"] == '{\n  "p": "x"\n}'
    assert "Key not found 'p'" in refusal(root % "p", {"t.yml": inner})


def test_the_older_form_of_parameters_in_templates() -> None:
    """A mapping of names to defaults: scalars are text, lists may be inserted."""
    template = """
    parameters:
      debug: false
      before: []
    steps:
    - ${{ parameters.before }}
    - ${{ if eq(parameters.debug, 'true') }}:
      - script: debug
    - script: build
    """
    call = "steps:\n- template: t.yml\n  parameters:\n    debug: true\n    before:\n    - script: first\n"
    assert scripts(compiled(call, {"t.yml": template})) == ["first", "debug", "build"]
    assert scripts(compiled("steps:\n- template: t.yml\n", {"t.yml": template})) == ["build"]
    assert "Expected a sequence of parameters" in refusal("parameters:\n  a: b\nsteps: []\n")
