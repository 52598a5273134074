"""Where another program that runs Azure Pipelines YAML goes wrong: each of its mistakes is a case here."""

import pytest

from rehearsal.agent.language.conditions import StepContexts, evaluate
from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.plan import Variable
from rehearsal.agent.language.runtime import RunVariables
from tests.rehearsal.agent.language.samples import compiled, refusal, scripts


def run_variables(**values: str) -> RunVariables:
    place = Position("/f.yml", 1, 1)
    return RunVariables({}, [Variable(name=name, value=value, position=place) for name, value in values.items()])


def test_a_step_that_cannot_be_read_is_not_dropped() -> None:
    assert "Unexpected value 'scrpt'" in refusal("steps:\n- script: one\n- scrpt: two\n")


def test_a_shells_own_variables_are_left_alone() -> None:
    script = 'for i in 1 2; do echo "${VAR} $i ${VAR:-x} $((1 + 1))"; done'
    pipeline = compiled(f"steps:\n- script: '{script}'\n")
    assert scripts(pipeline) == [script]
    assert run_variables(VAR="value").expand(script) == script


def test_an_undefined_macro_stays_as_it_stands() -> None:
    assert run_variables().expand("echo $(undefined) $(date +%F)") == "echo $(undefined) $(date +%F)"


def test_conditions_of_the_root_file_are_expanded() -> None:
    chosen = "- ${{ if eq(variables.on, 'yes') }}:\n  - script: one\n- ${{ else }}:\n  - script: two\n"
    text = f"variables:\n  on: yes\nsteps:\n{chosen}"
    assert scripts(compiled(text)) == ["one"]


def test_defaults_of_parameters_count() -> None:
    text = "parameters:\n- name: who\n  default: world\nsteps:\n- script: hello ${{ parameters.who }}\n"
    assert scripts(compiled(text)) == ["hello world"]


def test_variables_are_environment_variables_of_steps() -> None:
    assert run_variables(**{"my.name": "x"}).environment() == {"MY_NAME": "x"}


def test_artifacts_of_pipeline_resources_are_known() -> None:
    text = "resources:\n  pipelines:\n  - pipeline: build\n    source: The build\nsteps:\n- download: build\n"
    assert compiled(text).pipelines[0].source == "The build"


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("eq(variables['BUILD.reason'], 'manual')", True),
        ("eq(variables.nosuch, '')", True),
        ("eq(true, 1)", True),
        ("eq('ABC', 'abc')", True),
        ("gt(1.10.0, 1.9.0)", True),
        ("eq(join(';', split('a,b', ',')), 'a;b')", True),
        ("containsValue(split('a,b', ','), 'B')", True),
        ("eq(format('{{{0}}}', 'x'), '{x}')", True),
    ],
)
def test_expressions(condition: str, value: bool) -> None:
    assert evaluate(condition, StepContexts({"Build.Reason": "Manual"})) is value


def test_timeouts_are_read() -> None:
    (stage,) = compiled("jobs:\n- job: a\n  timeoutInMinutes: 7\n  cancelTimeoutInMinutes: 2\n").stages
    assert (stage.jobs[0].timeout_minutes, stage.jobs[0].cancel_timeout_minutes) == (7, 2)
