"""Whatever a file holds: it becomes a plan, or an error that says where."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.agent.language import reading
from rehearsal.agent.language.compiler import compile_pipeline
from rehearsal.agent.language.errors import PipelineError
from rehearsal.agent.language.plan import Pipeline

KEYS = sorted(
    {
        *(
            key
            for section in vars(reading).values()
            if isinstance(section, reading.Section)
            for key in section.understood
        ),
        *(key for section in reading.STEPS.values() for key in section.understood),
        "${{ if eq(1, 1) }}",
        "${{ else }}",
        "${{ each x in parameters }}",
        "${{ insert }}",
        "${{ x.key }}",
    }
)
TEXTS = st.sampled_from(
    [
        "x",
        "",
        "none",
        "true",
        "3",
        "a@1",
        "${{ parameters.p }}",
        "${{ variables.v }}",
        "$[ eq(1, 1) ]",
        "always()",
        "t.yml",
    ]
)
VALUES = st.recursive(
    TEXTS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(sorted(reading.PIPELINE.understood)), VALUES, max_size=4)
STEPS = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3), max_size=3)


def check(text: str) -> None:
    found: Pipeline | PipelineError
    try:
        found = compile_pipeline("a.yml", {"a.yml": text, "t.yml": "steps: [{script: x}]"}.get)
    except PipelineError as error:
        found = error
    assert isinstance(found, Pipeline) or str(found).startswith("/")


@settings(deadline=None)
@given(DOCUMENTS)
def test_any_document(document: object) -> None:
    check(yaml.safe_dump(document, sort_keys=False))


@settings(deadline=None)
@given(STEPS)
def test_any_steps(steps: object) -> None:
    check(yaml.safe_dump({"steps": steps}, sort_keys=False))


@settings(deadline=None)
@given(st.text(alphabet="ab:-{}[]'\"&*!|>#%@\n $", max_size=60))
def test_any_text(text: str) -> None:
    check(text)
