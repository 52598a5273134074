"""Variables: https://learn.microsoft.com/azure/devops/pipelines/process/variables."""

from datetime import UTC, datetime

import pytest

from rehearsal.agent.language.conditions import ValueContexts
from rehearsal.agent.language.errors import ExpressionError, Position
from rehearsal.agent.language.expressions import Context
from rehearsal.agent.language.plan import Variable
from rehearsal.agent.language.runtime import ReadOnlyError, RunVariables, environment_name, resolved
from rehearsal.agent.language.variables import GroupVariable
from tests.rehearsal.agent.language.samples import compiled, jobs, refusal, scripts

NOW = datetime(2024, 5, 6, 21, 7, 3, tzinfo=UTC)
PLACE = Position("/f.yml", 1, 1)


def variables(*pairs: tuple[str, str], secret: bool = False, readonly: bool = False) -> list[Variable]:
    return [Variable(name=name, value=value, secret=secret, readonly=readonly, position=PLACE) for name, value in pairs]


def test_the_three_scopes() -> None:
    """Section "Variable scopes", the example; a job wins over its stage, and that over the pipeline."""
    pipeline = compiled(
        """
        variables:
          global_variable: value    # this is available to all jobs
        jobs:
        - job: job1
          variables:
            job_variable1: value1    # this is only available in job1
          steps:
          - bash: echo ${{ variables.global_variable }} ${{ variables.job_variable1 }} ${{ variables.job_variable2 }}
        - job: job2
          variables:
            job_variable2: value2    # this is only available in job2
            global_variable: other
          steps:
          - bash: echo ${{ variables.global_variable }} ${{ variables.job_variable1 }} ${{ variables.job_variable2 }}
        """
    )
    assert scripts(pipeline) == ["echo value value1 ", "echo other  value2"]
    assert [variable.value for variable in pipeline.variables] == ["value"]


def test_variables_of_a_stage_are_known_in_it_and_nowhere_else() -> None:
    text = """
    stages:
    - stage: A
      variables: {a: 1}
      jobs:
      - job: ${{ format('J{0}', variables.a) }}
        pool: {name: 'p${{ variables.a }}'}
        steps: [{script: 'a${{ variables.a }}'}]
    - stage: B
      jobs:
      - job: J
        steps: [{script: 'b${{ variables.a }}'}]
    """
    pipeline = compiled(text)
    assert scripts(pipeline) == ["a1", "b"]
    assert jobs(pipeline)[0].name == "J1"


def test_a_variable_is_known_from_the_line_after_it() -> None:
    text = """
    variables:
    - name: early
      value: ${{ variables.late }}
    - name: late
      value: x
    - ${{ if eq(variables.late, 'x') }}:
      - name: Later
        value: ${{ variables.LATE }}y
    - name: late
      value: z
    steps:
    - script: ${{ variables.early }}-${{ variables.later }}-${{ variables.late }}
    """
    assert scripts(compiled(text)) == ["-xy-z"]


def test_predefined_variables_are_known_before_the_run() -> None:
    text = "steps:\n- ${{ if eq(variables['Build.SourceBranchName'], 'main') }}:\n  - script: main\n- script: all\n"
    assert scripts(compiled(text)) == ["all"]
    assert scripts(compiled(text, predefined={"Build.SourceBranchName": "main"})) == ["main", "all"]


def test_templates_of_variables() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/templates#variable-reuse, with parameters."""
    templates = {
        "vars.yml": "variables:\n  favoriteVeggie: 'brussels sprouts'\n",
        "list.yml": "parameters: [{name: D}]\nvariables:\n- name: DIRECTORY\n  value: ${{ parameters.D }}\n",
    }
    text = """
    variables:
    - template: vars.yml
    - template: list.yml
      parameters: {D: azure/}
    - name: after
      value: ${{ variables.favoriteVeggie }}
    steps:
    - script: echo ${{ variables.after }} ${{ variables.DIRECTORY }}
    """
    assert scripts(compiled(text, templates)) == ["echo brussels sprouts azure/"]


def find_group(name: str) -> dict[str, GroupVariable] | None:
    return {"letters": {"b": GroupVariable("B"), "token": GroupVariable("s3cret", secret=True)}}.get(name)


def test_groups() -> None:
    lines = "- {name: a, value: A}\n- group: letters\n- {name: b, value: own}\n"
    text = f"variables:\n{lines}steps:\n- script: ${{{{ variables.b }}}}\n"
    pipeline = compiled(text, find_group=find_group)
    found = [(variable.name, variable.value, variable.secret, variable.group) for variable in pipeline.variables]
    assert found == [
        ("a", "A", False, None),
        ("b", "B", False, "letters"),
        ("token", "s3cret", True, "letters"),
        ("b", "own", False, None),
    ]
    assert scripts(pipeline) == ["own"]


def test_a_plan_does_not_show_secrets_when_it_is_printed() -> None:
    pipeline = compiled("variables:\n- group: letters\nsteps: []\n", find_group=find_group)
    assert "s3cret" not in repr(pipeline) + repr(find_group("letters"))
    assert "token" in repr(pipeline)


def test_an_unknown_group_is_refused_by_name() -> None:
    message = "Variable group nosuch was not found or is not authorized for use"
    assert message in refusal("variables:\n- group: nosuch\nsteps: []\n", find_group=find_group)
    assert message in refusal("variables:\n- group: nosuch\nsteps: []\n")


@pytest.mark.parametrize("expression", ["variables.b", "variables['B']", "convertToJson(variables)"])
def test_a_variable_of_a_group_is_not_taken_for_nothing_before_the_run(expression: str) -> None:
    text = f"variables:\n- group: letters\njobs:\n- job: a\n  displayName: ${{{{ {expression} }}}}\n"
    found = refusal(text, find_group=find_group)
    assert "comes from the group 'letters' and isn't known before the run" in found


def test_name_and_pool_of_the_pipeline_may_name_its_variables() -> None:
    pool = "pool: {vmImage: '${{ variables.image }}'}"
    pipeline = compiled(f"variables: {{image: ubuntu}}\nname: ${{{{ variables.image }}}}-1\n{pool}\nsteps: []\n")
    assert pipeline.pool
    assert (pipeline.name, pipeline.pool.vm_image) == ("ubuntu-1", "ubuntu")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("- name: a\n  valeu: x", "(Line: 3, Col: 3): Unexpected value 'valeu'"),
        ("- value: x", "'name' is missing or empty"),
        ("- group: g\n  name: x", "(Line: 3, Col: 3): Unexpected value 'name'"),
        ("- text", "Unexpected value 'text': expected a mapping in variables"),
        ("- name: a\n  readonly: maybe", "'readonly' must be true or false"),
        ("  a: {b: c}", "A mapping was not expected"),
        ("  a: 1\n  A: 2", "'A' is already defined"),
        ("  a: $[ eq(1) ]", "(Line: 2, Col: 6): Unexpected symbol: ')'"),
        ("  a: $[ parameters.x ]", "Unrecognized value: 'parameters'"),
        ("  a: $[ dependencies.A.result ]", "Unrecognized value: 'dependencies'"),
        ("  a: $[ always() ]", "Unrecognized value: 'always'"),
        ("  a: ${{ counter('x', 1) }}", "Unrecognized value: 'counter'"),
    ],
)
def test_variables_that_are_refused(lines: str, message: str) -> None:
    assert message in refusal(f"variables:\n{lines}\nsteps: []\n")


def test_readonly() -> None:
    text = "variables:\n- name: a\n  value: b\n  readonly: true\nsteps: []\n"
    assert compiled(text).variables[0].readonly


# --- at run time


def test_macros() -> None:
    """Section "Understand variable syntax" and the agent's answers: replaced once; what isn't known stays."""
    layer = variables(("b", "inner"), ("ainner", "outer"), ("chain", "$(b)"), ("empty", ""), ("cost", "$(b"))
    run = RunVariables({}, layer)
    for text, found in {
        "$(b)": "inner",
        "$(B)": "inner",
        "x$(b)y$(b)": "xinneryinner",
        "$(missing)": "$(missing)",
        "$(missing) $(b)": "$(missing) inner",
        "${b} $b ${{b}}": "${b} $b ${{b}}",
        "$(a$(b))": "$(ainner)",
        "$(chain)": "inner",
        "<$(empty)>": "<>",
        "$()": "$()",
        "$(b": "$(b",
        "$(cost)": "$(b",
        "$(( 1 + 1 ))": "$(( 1 + 1 ))",
        "$(date)": "$(date)",
    }.items():
        assert run.expand(text) == found, text


def test_a_variable_that_names_itself_stays_as_it_was_set() -> None:
    run = RunVariables({}, variables(("a", "$(b)"), ("b", "$(a)"), ("path", "$(path);x"), ("c", "<$(d)>"), ("d", "y")))
    assert run.values()["a"] == "$(b)"
    assert run.values()["path"] == "$(path);x"
    assert run.expand("$(c)") == "<y>"


def test_fifty_variables_in_each_other_and_no_more() -> None:
    chain = variables(*((f"v{level}", f"$(v{level + 1})") for level in range(60)), ("v60", "end"))
    run = RunVariables({}, chain)
    assert run.expand("$(v20)") == "end"
    assert run.expand("$(v0)") == "$(v1)"


def test_what_a_step_sets_is_expanded_for_the_next_one() -> None:
    run = RunVariables({}, variables(("b", "inner")))
    assert run.expand("$(a)") == "$(a)"
    run.assign("a", "$(b)")
    assert run.expand("$(a)") == "inner"
    assert run.environment() == {"A": "inner", "B": "inner"}


def test_precedence() -> None:
    """Section "Expansion of variables": job, stage, pipeline, queue time, settings."""
    layers = [variables(("a", name), (name, name)) for name in ("settings", "queue", "pipeline", "stage", "job")]
    for count, name in enumerate(("settings", "queue", "pipeline", "stage", "job"), start=1):
        assert RunVariables({}, *layers[:count]).values()["A"] == name


def test_predefined_variables_win_but_for_two() -> None:
    predefined = {"Build.Reason": "Manual", "System.Debug": "false"}
    run = RunVariables(predefined, variables(("build.reason", "mine"), ("System.Debug", "true")))
    assert run.values()["Build.Reason"] == "Manual"
    assert run.values()["system.debug"] == "true"
    with pytest.raises(ReadOnlyError, match=r"Overwriting readonly variable 'Build.Reason' is not permitted."):
        run.assign("Build.Reason", "x")
    run.provide("Build.Reason", "Schedule")
    assert run.values()["Build.Reason"] == "Schedule"


def test_read_only_variables_stay() -> None:
    run = RunVariables({}, variables(("fixed", "1"), readonly=True))
    with pytest.raises(ReadOnlyError):
        run.assign("FIXED", "2")
    run.assign("other", "1", readonly=True)
    with pytest.raises(ReadOnlyError):
        run.assign("other", "2")
    assert run.values()["fixed"] == "1"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Build.DefinitionName", "BUILD_DEFINITIONNAME"),
        ("my variable", "MY_VARIABLE"),
        ("any-thing", "ANY-THING"),
        ("resources.pipeline.build.runID", "RESOURCES_PIPELINE_BUILD_RUNID"),
    ],
)
def test_names_of_environment_variables(name: str, found: str) -> None:
    assert environment_name(name) == found


def test_secrets_are_no_environment_variables_and_neither_is_what_holds_them() -> None:
    run = RunVariables({}, variables(("token", "s3cret"), secret=True), variables(("url", "https://$(token)@host")))
    assert run.environment() == {}
    assert run.expand("$(token) $(url)") == "s3cret https://s3cret@host"
    assert run.secrets() >= {"s3cret", "https://s3cret@host"}
    run.assign("token", "new")
    assert run.environment() == {}
    assert "new" in run.secrets()
    run.assign("fresh", "x", secret=True)
    assert "FRESH" not in run.environment()


def contexts() -> ValueContexts:
    numbers: dict[str, int] = {}

    def counter(prefix: str, seed: int) -> int:
        numbers[prefix] = numbers.get(prefix, seed - 1) + 1
        return numbers[prefix]

    return ValueContexts(
        variables={"Build.SourceBranch": "refs/heads/main", "Build.Reason": "Manual"},
        counter=counter,
        start_time=NOW,
        resources={"repositories": Context({"self": Context({"ref": "refs/heads/main"})})},
        dependencies=Context({"A": Context({"outputs": Context({"step.out": "x"})})}),
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("$[eq(variables['Build.SourceBranch'], 'refs/heads/main')]", "True"),
        ("$[counter(variables['major'], 100)]", "100"),
        ("$[counter(format('{0:yyyyMMdd}', pipeline.startTime), 100)]", "100"),
        ("$[format('{0:yyyyMMdd}', pipeline.startTime)]", "20240506"),
        ("$[format('{0:\\}}yyyy}', pipeline.startTime)]", "}2024"),
        ("$[ pipeline.startTime ]", "2024-05-06 21:07:03+00:00"),
        ("$[ eq(pipeline.startTime, pipeline.startTime) ]", "True"),
        ("$[ eq(pipeline.startTime, 'today') ]", "False"),
        ("$[ lt(pipeline.startTime, pipeline.startTime) ]", "False"),
        ("$[ dependencies.a.outputs['step.out'] ]", "x"),
        ("$[ dependencies.B.outputs['step.out'] ]", ""),
        ("$[ resources.repositories.SELF.REF ]", "refs/heads/main"),
        ("$[variables.value] foo", "$[variables.value] foo"),  # it must be the whole value
        ("$(macro)", "$(macro)"),
        ("text", "text"),
    ],
)
def test_values_worked_out_at_run_time(value: str, found: str) -> None:
    """Sections "Runtime expression syntax" and, of the page of expressions, "counter"."""
    (variable,) = resolved(variables(("v", value)), contexts())
    assert variable.value == found


def test_values_see_those_before_them() -> None:
    """The example of `counter`: `minor` counts for each `major`."""
    shared = contexts()
    layer = variables(("major", "1"), ("minor", "$[counter(variables['MAJOR'], 100)]"), ("both", "$[variables.minor]"))
    assert [variable.value for variable in resolved(layer, shared)] == ["1", "100", "100"]
    assert [variable.value for variable in resolved(layer, shared)][1] == "101"
    other = variables(("major", "2"), ("minor", "$[counter(variables['major'], 100)]"))
    assert resolved(other, shared)[1].value == "100"


def test_a_value_that_cannot_be_worked_out() -> None:
    with pytest.raises(ExpressionError, match="Unable to convert from String to Number"):
        resolved(variables(("v", "$[gt(1, 'x')]")), contexts())
    with pytest.raises(ExpressionError, match="Unable to convert from String to DateTime"):
        resolved(variables(("v", "$[gt(pipeline.startTime, 'x')]")), contexts())
    with pytest.raises(ExpressionError, match="must be a whole number"):
        resolved(variables(("v", "$[counter('a', 1.5)]")), contexts())
