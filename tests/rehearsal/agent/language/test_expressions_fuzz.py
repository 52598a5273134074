"""Rules that hold for all expressions, not for those somebody thought of."""

import contextlib
import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.agent.language import values
from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.expressions import Context, StrictContext, compile_time
from rehearsal.agent.language.functions import GENERAL, format_text, to_json
from rehearsal.agent.language.nodes import read
from rehearsal.agent.language.values import Version

NUMBERS = st.decimals(min_value=-1e12, max_value=1e12, places=4)
VERSIONS = st.lists(st.integers(0, 2**31 - 1), min_size=2, max_size=4).map(lambda parts: Version(tuple(parts)))
TEXTS = st.text(max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, VERSIONS)

PARAMETERS = StrictContext({"obj": read("{a: 1, list: [{id: 7}, x], e: {}}", "object.yml")})
ENVIRONMENT = compile_time(PARAMETERS, Context({"name": "value"}))


def literal(value: object) -> str:
    """A value as it is written in an expression."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "variables.nosuch" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


WRITABLE = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
CALLS = st.recursive(
    st.one_of(
        WRITABLE.map(literal),
        st.sampled_from(["parameters.obj", "parameters.obj.list", "variables", "parameters.obj.*", "parameters.no"]),
    ),
    lambda inner: (
        st.builds(
            lambda name, arguments: f"{name}({', '.join(arguments)})",
            st.sampled_from(sorted(GENERAL)),
            st.lists(inner, max_size=4),
        )
        | st.builds(lambda value, index: f"{value}[{index}]", inner, inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(CALLS)
def test_calls_end_with_a_value_or_an_expression_error(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        ENVIRONMENT.evaluate(expression)


@settings(deadline=None)
@given(st.text(alphabet="ab1.'\"()[]*,-+ ${}!=éﬁ²\n", max_size=40) | st.text(max_size=30))
def test_any_text_is_read_or_refused(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        ENVIRONMENT.evaluate(expression)


@settings(deadline=None)
@given(st.text(alphabet="ab{}019:y\\", max_size=20))
def test_any_format_is_used_or_refused(template: str) -> None:
    with contextlib.suppress(ExpressionError):
        format_text(template, [lambda: "x", lambda: Decimal(1)])


@settings(deadline=None)
@given(WRITABLE)
def test_a_literal_is_worth_itself(value: object) -> None:
    found = ENVIRONMENT.evaluate(literal(value))
    assert found == value
    assert (type(found) is type(value)) or value is None


@settings(deadline=None)
@given(st.text(max_size=30))
def test_doubled_braces_come_out_as_braces(text: str) -> None:
    assert format_text(text.replace("{", "{{").replace("}", "}}"), []) == text


PAIRS = st.one_of(*(st.tuples(kind, kind) for kind in (st.booleans(), NUMBERS, TEXTS, VERSIONS)))


@settings(deadline=None)
@given(PAIRS)
def test_values_of_one_kind_compare_alike_from_both_sides(pair: tuple[object, object]) -> None:
    left, right = pair
    assert values.equal(left, right) == values.equal(right, left)
    assert (values.compare(left, right) < 0) == (values.compare(right, left) > 0)
    assert (values.compare(left, right) == 0) == values.equal(left, right)


@settings(deadline=None)
@given(SCALARS)
def test_everything_equals_itself(value: object) -> None:
    assert values.equal(value, value)


@settings(deadline=None)
@given(SCALARS, SCALARS)
def test_not_equal_is_the_opposite_of_equal(left: object, right: object) -> None:
    arguments = [lambda: left, lambda: right]
    assert GENERAL["ne"][1](arguments) is not GENERAL["eq"][1](arguments)
    assert GENERAL["notin"][1](arguments) is not GENERAL["in"][1](arguments)


@settings(deadline=None)
@given(NUMBERS)
def test_a_number_comes_back_from_its_text(number: Decimal) -> None:
    assert values.to_number(values.to_text(number)) == number


@settings(deadline=None)
@given(VERSIONS)
def test_a_version_comes_back_from_its_text(version: Version) -> None:
    assert Version.parse(str(version)) == version


@settings(deadline=None)
@given(TEXTS, TEXTS.filter(bool))
def test_split_and_join_are_each_others_opposite(text: str, separator: str) -> None:
    parts = GENERAL["split"][1]([lambda: text, lambda: separator])
    assert GENERAL["join"][1]([lambda: separator, lambda: parts]) == text


JSON = st.recursive(
    st.booleans() | st.integers(-(10**6), 10**6).map(Decimal) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON)
def test_json_says_the_same(value: object) -> None:
    assert json.loads(to_json(value), parse_int=Decimal) == value
