"""Template expressions: https://learn.microsoft.com/azure/devops/pipelines/process/template-expressions.

The first half are the examples of the page; what the page leaves open are answers of the service's preview call, as
others have published them.
"""

import pytest

from rehearsal.agent.language.plan import RegularJob, TaskStep
from tests.rehearsal.agent.language.samples import compiled, env, jobs, refusal, scripts, steps


def tasks(text: str, templates: dict[str, str] | None = None) -> list[str]:
    return [
        step.task if isinstance(step, TaskStep) else getattr(step, "script", "")
        for step in steps(compiled(text, templates))
    ]


MSBUILD = """
parameters:
- name: 'solution'
  default: '**/*.sln'
  type: string

steps:
- task: msbuild@1
  inputs:
    solution: ${{ parameters['solution'] }}  # index syntax
- task: vstest@2
  inputs:
    solution: ${{ parameters.solution }}  # property dereference syntax
"""


def test_parameters_by_index_and_by_property() -> None:
    pipeline = compiled(
        "steps:\n- template: steps/msbuild.yml\n  parameters:\n    solution: my.sln\n", {"steps/msbuild.yml": MSBUILD}
    )
    assert [step.inputs["solution"] for step in steps(pipeline) if isinstance(step, TaskStep)] == ["my.sln", "my.sln"]


def test_a_list_is_inserted_into_a_list() -> None:
    """Section "Insertion": the nested list is flattened."""
    build = """
    parameters:
    - name: 'preBuild'
      type: stepList
      default: []
    - name: 'preTest'
      type: stepList
      default: []
    - name: 'preSign'
      type: stepList
      default: []

    jobs:
    - job: Build
      pool:
        vmImage: 'windows-latest'
      steps:
      - script: cred-scan
      - ${{ parameters.preBuild }}
      - task: msbuild@1
      - ${{ parameters.preTest }}
      - task: vstest@2
      - ${{ parameters.preSign }}
      - script: sign
    """
    pipeline = """
    jobs:
    - template: jobs/build.yml
      parameters:
        preBuild:
        - script: echo hello from pre-build
        preTest:
        - script: echo hello from pre-test
    """
    assert tasks(pipeline, {"jobs/build.yml": build}) == [
        "cred-scan",
        "echo hello from pre-build",
        "msbuild",
        "echo hello from pre-test",
        "vstest",
        "sign",
    ]


def test_a_mapping_is_inserted_into_a_mapping() -> None:
    """Section "Insertion": `${{ insert }}`."""
    build = """
    parameters:
    - name: 'additionalVariables'
      type: object
      default: {}

    jobs:
    - job: build
      variables:
        configuration: debug
        arch: x86
        ${{ insert }}: ${{ parameters.additionalVariables }}
      steps:
      - task: msbuild@1
    """
    call = "jobs:\n- template: jobs/build.yml\n"
    given = call + "  parameters:\n    additionalVariables:\n      TEST_SUITE: L0,L1\n"
    for text, names in {call: ["configuration", "arch"], given: ["configuration", "arch", "TEST_SUITE"]}.items():
        (job,) = jobs(compiled(text, {"jobs/build.yml": build}))
        assert [variable.name for variable in job.variables] == names


TOOLSET = """
parameters:
- name: 'toolset'
  default: msbuild
  type: string
  values:
  - msbuild
  - dotnet

steps:
# msbuild
- ${{ if eq(parameters.toolset, 'msbuild') }}:
  - task: msbuild@1
  - task: vstest@2

# dotnet
- ${{ if eq(parameters.toolset, 'dotnet') }}:
  - task: dotnet@1
    inputs:
      command: build
  - task: dotnet@1
    inputs:
      command: test
"""


def test_steps_are_inserted_on_a_condition() -> None:
    """Section "Conditional insertion", into a list."""
    call = "steps:\n- template: steps/build.yml\n"
    assert tasks(call, {"steps/build.yml": TOOLSET}) == ["msbuild", "vstest"]
    assert tasks(call + "  parameters:\n    toolset: dotnet\n", {"steps/build.yml": TOOLSET}) == ["dotnet", "dotnet"]


def test_keys_are_inserted_on_a_condition() -> None:
    """Section "Conditional insertion", into a mapping."""
    tool = """
    parameters:
    - name: 'debug'
      type: boolean
      default: false

    steps:
    - script: tool
      env:
        ${{ if eq(parameters.debug, true) }}:
          TOOL_DEBUG: true
          TOOL_DEBUG_DIR: _dbg
    """
    call = "steps:\n- template: steps/build.yml\n"
    assert env(compiled(call, {"steps/build.yml": tool})) == {}
    found = env(compiled(call + "  parameters:\n    debug: true\n", {"steps/build.yml": tool}))
    assert found == {"TOOL_DEBUG": "true", "TOOL_DEBUG_DIR": "_dbg"}


@pytest.mark.parametrize(("value", "ran"), [("test", True), ("fabrikam", False)])
def test_a_condition_on_a_variable_of_the_root_file(value: str, ran: bool) -> None:
    """Section "Conditional insertion": "You can also use conditional insertion for variables"."""
    pipeline = f"""
    variables:
      - name: foo
        value: {value}
    pool:
      vmImage: 'ubuntu-latest'
    steps:
    - script: echo "start" # always runs
    - ${{{{ if eq(variables.foo, 'test') }}}}:
      - script: echo "this is a test" # runs when foo=test
    """
    assert (len(scripts(compiled(pipeline))) == 2) is ran


@pytest.mark.parametrize(("value", "chosen"), [("adaptum", "1"), ("contoso", "2"), ("fabrikam", "3")])
def test_if_elseif_and_else(value: str, chosen: str) -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/expressions#conditional-insertion"""
    pipeline = f"""
    variables:
      - name: foo
        value: {value}
      - name: conditional
        ${{{{ if eq(variables.foo, 'adaptum') }}}}:
          value: 1
        ${{{{ elseif eq(variables.foo, 'contoso') }}}}:
          value: 2
        ${{{{ else }}}}:
          value: 3
    steps:
    - script: echo ${{{{ variables.conditional }}}}
    """
    assert scripts(compiled(pipeline)) == [f"echo {chosen}"]


JOBS = """
parameters:
- name: 'jobs'
  type: jobList
  default: []

jobs:
- ${{ each job in parameters.jobs }}: # Each job
  - ${{ each pair in job }}:          # Insert all properties other than "steps"
      ${{ if ne(pair.key, 'steps') }}:
        ${{ pair.key }}: ${{ pair.value }}
    steps:                            # Wrap the steps
    - task: SetupMyBuildTools@1       # Pre steps
    - ${{ job.steps }}                # Users steps
    - task: PublishMyTelemetry@1      # Post steps
      condition: always()
"""


def test_each_job_is_wrapped() -> None:
    """Section "Iterative insertion", the first example."""
    pipeline = compiled(
        """
        jobs:
        - template: job.yml
          parameters:
            jobs:
            - job: A
              steps:
              - script: echo This will get sandwiched between SetupMyBuildTools and PublishMyTelemetry.
            - job: B
              steps:
              - script: echo So will this!
        """,
        {"job.yml": JOBS},
    )
    for job in jobs(pipeline):
        assert isinstance(job, RegularJob)
        shown = [step.task if isinstance(step, TaskStep) else type(step).__name__ for step in job.steps[1:]]
        assert shown == ["SetupMyBuildTools", "ScriptStep", "PublishMyTelemetry"]
        assert job.steps[-1].condition == "always()"
    assert [job.name for job in jobs(pipeline)] == ["A", "B"]


def test_a_dependency_is_added_to_each_job() -> None:
    """Section "Iterative insertion", the second example: `- ${{ job.dependsOn }}` takes a list as well as a name."""
    template = """
    parameters:
    - name: 'jobs'
      type: jobList
      default: []

    jobs:
    - job: SomeSpecialTool
      steps:
      - task: RunSpecialTool@1
    - ${{ each job in parameters.jobs }}:
      - ${{ each pair in job }}:
          ${{ if ne(pair.key, 'dependsOn') }}:
            ${{ pair.key }}: ${{ pair.value }}
        dependsOn:
        - SomeSpecialTool
        - ${{ if job.dependsOn }}:
          - ${{ job.dependsOn }}
    """
    pipeline = """
    jobs:
    - template: job.yml
      parameters:
        jobs:
        - job: A
          steps:
          - script: echo A
        - job: B
          dependsOn:
          - A
          steps:
          - script: echo B
        - job: C
          dependsOn: B
          steps:
          - script: echo C
    """
    found = {job.name: job.depends_on for job in jobs(compiled(pipeline, {"job.yml": template}))}
    expected = {"SomeSpecialTool": (), "A": ("SomeSpecialTool",)}
    assert found == {**expected, "B": ("SomeSpecialTool", "A"), "C": ("SomeSpecialTool", "B")}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("${{ 'my${{value' }}", "my${{value"),
        ("${{ 'my${{value with a '' single quote too' }}", "my${{value with a ' single quote too"),
    ],
)
def test_what_looks_like_an_expression_is_written_in_quotes(written: str, text: str) -> None:
    """Section "Escape a value"."""
    assert scripts(compiled(f"steps:\n- script: {written}\n")) == [text]


NESTED = """
parameters:
- name: listOfFruits
  type: object
  default:
  - fruitName: 'apple'
    colors: ['red','green']
  - fruitName: 'lemon'
    colors: ['yellow']
steps:
- ${{ each fruit in parameters.listOfFruits }} :
  - ${{ each fruitColor in fruit.colors}} :
    - script: echo ${{ fruit.fruitName}} ${{ fruitColor }}
"""


def test_each_in_each() -> None:
    """https://learn.microsoft.com/azure/devops/pipelines/process/template-parameters#parameter-data-types"""
    assert scripts(compiled(NESTED)) == ["echo apple red", "echo apple green", "echo lemon yellow"]


def values(expression: str, parameters: str = "") -> dict[str, str]:
    declaration = f"parameters:\n{parameters}\n" if parameters else ""
    return env(compiled(f"{declaration}steps:\n- script: x\n  env:\n    {expression}\n"))


OBJECT = "- {name: obj, type: object, default: {A: a, B: b}}\n- {name: text, type: string, default: t}"


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("K: ${{ true }}", {"K": "True"}),
        ("K: true", {"K": "true"}),
        ("K: ${{ 1.0 }}", {"K": "1"}),
        ("K: 1.0", {"K": "1.0"}),
        ("K: ${{ variables.nosuch }}", {"K": ""}),
        ("K: pre-${{ true }}-${{ variables.nosuch }}-post", {"K": "pre-True--post"}),
        ("K: ${{ 'a' }}${{ 'b' }}", {"K": "ab"}),
        ("K: '  ${{ 'x' }}  '".replace("'x'", "''x''"), {"K": "  x  "}),
        ("K: v${{ 1.2.3.4 }}", {"K": "v1.2.3.4"}),
        ("K: ${{ '0123' }}", {"K": "0123"}),
        ("${{ 'K' }}_${{ parameters.text }}: v", {"K_t": "v"}),
        ("${{ true }}: v", {"True": "v"}),
        ("${{ insert }}: ${{ parameters.obj }}", {"A": "a", "B": "b"}),
        ("${{ insert }}: {C: c}", {"C": "c"}),
        ("${{ insert }}: {}", {}),
        ("${{ each pair in parameters.obj }}: {'X_${{ pair.key }}': '${{ pair.value }}'}", {"X_A": "a", "X_B": "b"}),
        ("${{if eq(1, 1)}}: {K: v}", {"K": "v"}),
        ("${{    if     eq(1, 1)    }}: {K: v}", {"K": "v"}),
        ("${{ each v in variables }}: {X: x}", {}),
        ("${{ each p in parameters }}: {'${{ p.key }}_': x}", {"obj_": "x", "text_": "x"}),
    ],
)
def test_values_and_keys(entry: str, found: dict[str, str]) -> None:
    assert values(entry, OBJECT) == found


def test_a_mapping_in_the_place_of_a_value_stays_one() -> None:
    text = f"parameters:\n{OBJECT}\nsteps:\n- script: x\n  env: ${{{{ parameters.obj }}}}\n"
    assert env(compiled(text)) == {"A": "a", "B": "b"}


def test_what_expressions_make_goes_where_lists_and_mappings_go() -> None:
    text = """
    parameters: [{name: p, type: object, default: {a: b}}]
    jobs:
    - job: a
    - job: b
    - job: c
      dependsOn: ${{ split('a,b', ',') }}
      steps:
      - script: x
        env: ${{ parameters }}
    """
    pipeline = compiled(text.replace("${{ parameters }}", "${{ parameters.p }}"))
    assert (jobs(pipeline)[2].depends_on, env(pipeline)) == (("a", "b"), {"a": "b"})
    assert "A mapping was not expected" in refusal(text)


def echo(lines: str) -> list[str]:
    return scripts(compiled(f"parameters:\n- {{name: items, type: object, default: [a, b]}}\nsteps:\n{lines}"))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        # an item that isn't a directive doesn't end a chain; what is chosen stands where it is written
        (
            "- ${{ if eq(1, 2) }}:\n  - script: no\n- script: between\n- ${{ else }}:\n  - script: yes",
            ["between", "yes"],
        ),
        # a new `if` begins a new chain
        (
            "- ${{ if eq(1, 2) }}:\n  - script: a\n- ${{ if eq(2, 2) }}:\n  - script: b\n- ${{ else }}:\n  - script: c",
            ["b"],
        ),
        # conditions after the one that is taken aren't evaluated, nor is what isn't taken
        ("- ${{ if true }}:\n  - script: a\n- ${{ elseif lt(1, 'x') }}:\n  - script: b", ["a"]),
        ("- ${{ if false }}:\n  - script: ${{ parameters.nosuch }}\n- script: a", ["a"]),
        # truth
        (
            "- ${{ if 'text' }}:\n  - script: a\n- ${{ if '' }}:\n  - script: b",
            ["a"],
        ),
        ("- ${{ if split('', ',') }}:\n  - script: a", ["a"]),
        # a mapping is one item
        ("- ${{ if eq(1, 1) }}:\n    script: a", ["a"]),
        ("- ${{ insert }}:\n    script: a", ["a"]),
        # `each`
        ("- ${{ each item in split('a in b', ' in ') }}:\n  - script: ${{ item }}", ["a", "b"]),
        ("- ${{ each ITEM in parameters.items }}:\n  - script: ${{ item }}", ["a", "b"]),
        ("- ${{ each item in parameters.items }}:\n  - script: '${{ item.index }}'\n- script: c", ["", "", "c"]),
        ("- script: a\n- ${{ each item in split('', 'x') }}:\n  - script: (${{ item }})", ["a", "()"]),
    ],
)
def test_directives_in_lists(lines: str, found: list[str]) -> None:
    assert echo(lines) == found


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("- ${{ else }}:\n  - script: a", "(Line: 4, Col: 3): The expression directive 'else' is not supported"),
        ("- ${{ elseif true }}:\n  - script: a", "The expression directive 'elseif' is not supported in this context"),
        (
            "- ${{ if false }}:\n  - script: a\n- ${{ else }}:\n  - script: b\n- ${{ else }}:\n  - script: c",
            "(Line: 8, Col: 3): The expression directive 'else' is not supported in this context",
        ),
        (
            "- ${{ if false }}:\n  - script: a\n- ${{ each i in parameters.items }}: []\n- ${{ else }}:\n  - script: c",
            "The expression directive 'else' is not supported in this context",
        ),
        (
            "- ${{ IF true }}:\n  - script: a",
            "Unexpected symbol: 'true'. Located at position 4 within expression: 'IF true'",
        ),
        ("- ${{ if }}:\n  - script: a", "Unrecognized value: 'if'"),
        ("- ${{ if eq(1, 1) eq(2, 2) }}:\n  - script: a", "Unexpected symbol: 'eq'"),
        ("- ${{ else x }}:\n  - script: a", "Exactly 0 parameter(s) were expected following the directive 'else'"),
        ("- ${{ each item on parameters.items }}:\n  - script: a", "The expected format of an 'each' expression"),
        ("- ${{ each 1x in parameters.items }}:\n  - script: a", "Unrecognized value: '1x'"),
        ("- ${{ each eq in parameters.items }}:\n  - script: a", "Expected '(' to follow a function: 'eq'"),
        ("- ${{ each variables in parameters.items }}:\n  - script: a", "'variables' has already been defined"),
        (
            "- ${{ each i in parameters.items }}:\n  - ${{ each I in parameters.items }}:\n    - script: a",
            "'I' has already been defined",
        ),
        ("- ${{ each i in 'text' }}:\n  - script: a", "Expected a sequence or mapping. Actual value 'text'"),
        ("- script: ${{ if eq(1, 1) }}", "Unexpected value '${{ if eq(1, 1) }}'"),
        ("- script: ${{ insert }}", "Unexpected value '${{ insert }}'"),
        ("- ${{ insert }}", "Unexpected value '${{ insert }}'"),
        ("- script: ${{ 'open }}", "The expression is not closed"),
        ("- script: ${{ }}", "An expression was expected"),
        ("- script: ${{ index }}", "Unrecognized value: 'index'"),
        ("- script: a${{ parameters.items }}", "Unable to convert from Array to String. Value: Array"),
        ("- script: ${{ parameters.items }}", "A sequence was not expected"),
        ("- script: x\n  env:\n    ${{ insert }}: text", "Expected a mapping"),
        ("- script: x\n  env:\n    ${{ if true }}:\n    - a", "Expected a mapping"),
        ("- script: x\n  env:\n    A: a\n    ${{ insert }}: {a: b}", "(Line: 7, Col: 21): 'a' is already defined"),
        ("- script: x\n  env:\n    ${{ parameters.items }}: v", "Expected a scalar value"),
        ("- script: ${{ parameters.nosuch }}", "(Line: 4, Col: 11): Key not found 'nosuch'"),
        ("- script: ${{ succeeded() }}", "Unrecognized value: 'succeeded'"),
    ],
)
def test_mistakes_say_where_they_are(lines: str, message: str) -> None:
    found = refusal(f"parameters:\n- {{name: items, type: object, default: [a, b]}}\nsteps:\n{lines}")
    assert found.startswith("/azure-pipelines.yml (Line: ")
    assert message in found


def test_an_explosion_ends() -> None:
    """The service limits memory; nested `each` would make a million steps here."""
    nested = "- script: x"
    for level in range(8):
        nested = f"- ${{{{ each i{level} in parameters.n }}}}:\n" + "\n".join(
            "  " + line for line in nested.splitlines()
        )
    text = f"parameters:\n- {{name: n, type: object, default: [{','.join('1234567890')}]}}\nsteps:\n{nested}\n"
    assert "Maximum object size exceeded" in refusal(text)
