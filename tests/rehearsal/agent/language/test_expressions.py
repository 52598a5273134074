"""Expressions, case by case from https://learn.microsoft.com/azure/devops/pipelines/process/expressions.

Cases that the page doesn't have are answers of the service's preview call, as others have published them.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.expressions import Context, StrictContext, compile_time
from rehearsal.agent.language.functions import format_time
from rehearsal.agent.language.nodes import read
from rehearsal.agent.language.values import Version, to_text

OBJECT = """
a: 1
b_c: five
_lead: six
9num: nine
dotted.name: five
CamelKey: camel
list: [{id: 7}, {id: 8}]
empty: {}
nothing: []
'1': one
deep: {s: text, n: 3, f: 0.5, b: true, nil: }
"""
VARIABLES = {"letters": "ABC", "numbers": "123", "My.Var": "dotted", "empty": "", "yes": "true"}


def evaluate(expression: str) -> Any:
    parameters = StrictContext({"obj": read(OBJECT, "object.yml"), "same": read("[1]", "x"), "flag": True})
    return compile_time(parameters, Context(VARIABLES)).evaluate(expression)


def test_literals() -> None:
    """Section "Literals", with the numbers and versions that the service takes."""
    for expression, value in {
        "true": True,
        "TRUE": True,
        "False": False,
        "-1.2": Decimal("-1.2"),
        "42": 42,
        ".5": Decimal("0.5"),
        "1.": 1,
        "'a b c'": "a b c",
        "'It''s OK if they''re using contractions.'": "It's OK if they're using contractions.",
        "''": "",
        "1.2.3": Version((1, 2, 3)),
        "1.2.3.4": Version((1, 2, 3, 4)),
    }.items():
        assert evaluate(expression) == value, expression
        assert type(evaluate(expression)) is type(value) or isinstance(value, int), expression


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("and(eq(variables.letters, 'ABC'), eq(variables.numbers, 123))", True),
        ("coalesce(variables.couldBeNull, variables.couldAlsoBeNull, 'literal')", "literal"),
        ("contains('ABCDE', 'BCD')", True),
        ("endsWith('ABCDE', 'DE')", True),
        ("eq(variables.letters, 'ABC')", True),
        ("format('Hello {0} {1}', 'John', 'Doe')", "Hello John Doe"),
        (
            "format('literal left brace {{ and literal right brace }}')",
            "literal left brace { and literal right brace }",
        ),
        ("ge(5, 5)", True),
        ("gt(5, 2)", True),
        ("in('B', 'A', 'B', 'C')", True),
        ("iif(true, 'yes', 'no')", "yes"),
        ("le(2, 2)", True),
        ("length('fabrikam')", 8),
        ("lower('FOO')", "foo"),
        ("lt(2, 5)", True),
        ("ne(1, 2)", True),
        ("not(eq(1, 2))", True),
        ("notIn('D', 'A', 'B', 'C')", True),
        ("or(eq(1, 1), eq(2, 3))", True),
        ("replace('https://a/saml/consume', 'https://a', 'http://server')", "http://server/saml/consume"),
        ("split('nginx,ubuntu,docker', ',')", ["nginx", "ubuntu", "docker"]),
        ("startsWith('ABCDE', 'AB')", True),
        ("trim('  variable  ')", "variable"),
        ("upper('bar')", "BAR"),
        ("xor(True, False)", True),
    ],
)
def test_the_examples_of_the_functions(expression: str, value: object) -> None:
    """Section "Functions": each example with what the page says it returns."""
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # the right side becomes the left side's type
        ("eq(true, 1)", True),
        ("eq(true, 'False')", True),
        ("eq(true, '')", False),
        ("eq(1, true)", True),
        ("eq('true', true)", True),
        ("eq('1', 1)", True),
        ("eq('True', true)", True),
        ("eq(0, variables.no)", True),
        ("eq(variables.no, '')", True),
        ("eq('', variables.no)", True),
        ("eq(variables.no, 0)", False),
        ("eq(variables.no, false)", False),
        ("eq(false, variables.no)", True),
        ("eq(1, 'x')", False),
        ("ne(1, 'x')", True),
        ("eq(.5, '0.5')", True),
        ("eq(1000, '1,000')", True),
        ("eq(5, ' +5.0 ')", True),
        ("eq(1, '1e0')", False),
        ("eq('abc', 'ABC')", True),
        ("eq(1.2.3, '1.2.3')", True),
        ("eq(1.2.0, '1.2')", False),
        ("eq(1.2.0, 1.2)", False),
        ("eq('1.2.3', 1.2.3)", True),
        ("eq(1.2.3, true)", False),
        ("eq(1, 1.2.3)", False),
        ("gt(1.10, 1.9)", False),
        ("gt(1.10.0, 1.9.0)", True),
        ("lt(1.2.0, '1.3')", True),
        ("lt(1.2.0, 1.3)", True),
        ("lt('a', 'B')", True),
        ("lt('alpha', 'BETA')", True),
        ("ge(variables.numbers, 99)", False),  # as text: '123' is less than '99'
        ("ge(99, variables.numbers)", False),
        ("gt(true, false)", True),
        ("lt(variables.no, 1)", True),
        # objects and lists are the same only if they are one
        ("eq(parameters.obj.list, parameters.obj.list)", True),
        ("eq(parameters.obj.empty, parameters.obj.nothing)", False),
        ("eq('', parameters.obj.list)", False),
        # to boolean
        ("and(true, 'x', 1, parameters.obj.nothing, parameters.obj.empty, 1.2.3)", True),
        ("or(false, '', 0, variables.no)", False),
        ("not('false')", False),
        ("xor(1, 'x')", False),
    ],
)
def test_conversions(expression: str, value: bool) -> None:
    """Section "Type casting"."""
    assert evaluate(expression) is value


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("true", "True"),
        ("false", "False"),
        ("1.0", "1"),
        ("0.5", "0.5"),
        ("1000000", "1000000"),
        ("-1.25", "-1.25"),
        ("-0.0", "0"),
        ("variables.no", ""),
        ("1.2.3.4", "1.2.3.4"),
        ("'0123'", "0123"),
    ],
)
def test_values_as_text(expression: str, text: str) -> None:
    """Section "Type casting", rows to String."""
    assert to_text(evaluate(expression)) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("parameters.obj.a", 1),
        ("PARAMETERS.OBJ.a", 1),
        ("parameters['obj'].a", 1),
        ("parameters.obj['dotted.name']", "five"),
        ("parameters.obj['9num']", "nine"),
        ("parameters.obj[1]", "one"),
        ("parameters.obj._lead", "six"),
        ("parameters.obj.list[0].id", 7),
        ("parameters.obj.list['1'].id", 8),
        ("parameters.obj.list[1.9].id", 8),
        ("parameters.obj.list[-1]", None),
        ("parameters.obj.list[2]", None),
        ("parameters.obj.list['x']", None),
        ("parameters.obj.list[variables.no].id", 7),
        ("parameters.obj.list[parameters.obj.a].id", 8),
        ("split('a,b', ',')[1]", "b"),
        ("parameters.obj.camelkey", None),  # keys of objects have their case
        ("parameters.obj.CamelKey", "camel"),
        ("parameters.obj.nosuch.deeper['still']", None),
        ("parameters.obj.b_c.deeper", None),
        ("variables.LETTERS", "ABC"),  # names of variables don't
        ("variables['my.var']", "dotted"),
        ("variables.My.Var", None),
        ("parameters.obj.list.*.id", [7, 8]),
        ("parameters.obj.list[*].id", [7, 8]),
        ("parameters.obj.deep.*", ["text", 3, Decimal("0.5"), True, ""]),
        ("parameters.obj.list.*.nosuch", []),
        ("parameters.obj.*.*.id", [7, 8]),
        ("variables.*", list(VARIABLES.values())),
        ("variables.no.*", []),
    ],
)
def test_members_and_filtered_arrays(expression: str, value: object) -> None:
    """Sections "Variables" and "Filtered arrays"."""
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("and(false, lt(1, 'x'))", False),
        ("or(true, lt(1, 'x'))", True),
        ("in('a', 'A', lt(1, 'x'))", True),
        ("notIn('a', 'A', lt(1, 'x'))", False),
        ("coalesce(0, lt(1, 'x'))", 0),
        ("coalesce(false, 'x')", False),
        ("coalesce('', variables.no)", None),
        ("containsValue(parameters.obj.deep, 'TEXT')", True),
        ("containsValue(split('01,x', ','), 1)", True),
        ("containsValue(parameters.obj.list, 7)", False),
        ("containsValue('abc', 'abc')", False),
        ("containsValue('abc', 'a')", False),
        ("contains(12345, '234')", True),
        ("contains('abc', '')", True),
        ("format('{1}-{0}-{1} {{{0}}} {{ and }}', 'a', 'b')", "b-a-b {a} { and }"),
        ("format('{0}{1}{2}', true, 1.50, variables.no)", "True1.5"),
        ("format('{0}', 'not {1} again')", "not {1} again"),
        ("iif(0, 'yes', 'no')", "no"),
        ("join(';', split('Alpha,,2', ','))", "Alpha;;2"),
        ("join(';', parameters.obj.list)", ";"),
        ("join('-', 12)", "12"),
        ("length(parameters.obj.list)", 2),
        ("length(parameters.obj.deep)", 5),
        ("length(12345)", 5),
        ("replace('AaA', 'a', 'x')", "AxA"),
        ("replace('abc', '', 'x')", "abc"),
        ("split('a,b;c,,', ',;')", ["a,b;c,,"]),
        ("split('a,,b', ',')", ["a", "", "b"]),
        ("split('abc', '')", ["abc"]),
        ("convertToJson('text')", '"text"'),
        ("convertToJson(variables.no)", "null"),
        ("convertToJson(parameters.obj.nothing)", "[]"),
        ("convertToJson(1.2.3)", '"1.2.3"'),
        (
            "convertToJson(parameters.obj.deep)",
            '{\n  "s": "text",\n  "n": 3,\n  "f": 0.5,\n  "b": true,\n  "nil": ""\n}',
        ),
        ("convertToJson(parameters.obj.list)", '[\n  {\n    "id": 7\n  },\n  {\n    "id": 8\n  }\n]'),
    ],
)
def test_functions_at_their_edges(expression: str, value: object) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("lt(1, 'x')", "Unable to convert from String to Number. Value: 'x'"),
        ("lt(1.2.0, 2)", "Unable to convert from Number to Version. Value: '2'"),
        ("gt(parameters.obj, parameters.obj)", "Unable to convert from Object to Number. Value: Object"),
        ("contains(parameters.obj.list, 'x')", "Unable to convert from Array to String. Value: Array"),
        ("iif(true, 'yes', lt(1, 'bad'))", "Unable to convert from String to Number. Value: 'bad'"),
        ("parameters.nosuch", "Key not found 'nosuch'"),
        ("format('{2}', 'a')", "The following format string references more arguments than were supplied: '{2}'"),
        ("format('{')", "The following format string is invalid: '{'"),
        ("format('a } b')", "The following format string is invalid: 'a } b'"),
        ("format('{0:yyyy}', 'a')", "The format specifiers 'yyyy' are not valid for objects of type 'String'"),
    ],
)
def test_what_cannot_be_evaluated(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(expression)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("expression", "message", "offset"),
    [
        # there are no operators and no parentheses but those of a call
        ("1 == 1", "Unexpected symbol: '=='", 3),
        ("1 != 2", "Unexpected symbol: '!='", 3),
        ("true && false", "Unexpected symbol: '&&'", 6),
        ("1 < 2", "Unexpected symbol: '<'", 3),
        ("!true", "Unrecognized value: '!true'", 1),
        ("!eq(1, 1)", "Unrecognized value: '!eq'", 1),
        ("(true)", "Unexpected symbol: '('", 1),
        # what is no value
        ("null", "Unrecognized value: 'null'", 1),
        ("NaN", "Unrecognized value: 'NaN'", 1),
        ('"double"', "Unrecognized value: '\"double\"'", 1),
        ("+1", "Unrecognized value: '+1'", 1),
        ("1e3", "Unrecognized value: '1e3'", 1),
        ("0x1F", "Unrecognized value: '0x1F'", 1),
        ("9" * 40, f"Unrecognized value: '{'9' * 40}'", 1),
        ("1.2.9999999999", "Unrecognized value: '1.2.9999999999'", 1),
        ("1..2", "Unrecognized value: '1..2'", 1),
        ("1.2.3.4.5", "Unrecognized value: '1.2.3.4.5'", 1),
        ("-1.2.3", "Unrecognized value: '-1.2.3'", 1),
        ("1 2", "Unexpected symbol: '2'", 3),
        # names
        ("nosuchfunc(1)", "Unrecognized value: 'nosuchfunc'", 1),
        ("nosuchcontext.a", "Unrecognized value: 'nosuchcontext'", 1),
        ("dependencies.A.result", "Unrecognized value: 'dependencies'", 1),
        ("always()", "Unrecognized value: 'always'", 1),
        ("counter('a', 1)", "Unrecognized value: 'counter'", 1),
        ("eq", "Expected '(' to follow a function: 'eq'", 1),
        ("nosuchfunc(1) 2", "Unexpected symbol: '2'", 15),  # the rest is read first
        ("parameters.obj.9num", "Unexpected symbol: '9num'", 16),
        ("parameters.obj.", "Expected a property name to follow the dereference operator '.': '.'", 15),
        # the number of arguments
        ("eq(1)", "Unexpected symbol: ')'", 5),
        ("eq(1, 2, 3)", "Unexpected symbol: ','", 8),
        ("in('a')", "Unexpected symbol: ')'", 7),
        ("iif(true, 1)", "Unexpected symbol: ')'", 12),
        ("not()", "Unexpected symbol: ')'", 5),
        ("eq(1,", "Unclosed function: 'eq'", 1),
        ("parameters[", "An expression was expected", 12),
        ("parameters.obj.list[]", "Unexpected symbol: ']'", 21),
        ("parameters[1", "Unclosed indexer: '['", 11),
    ],
)
def test_what_cannot_be_read(expression: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(f"  {expression} ")
    assert (error.value.message, error.value.offset) == (message, offset)
    assert str(error.value) == f"{message}. Located at position {offset} within expression: '{expression}'"


def test_fifty_levels_and_no_more() -> None:
    assert evaluate("not(" * 48 + "eq(1, 1)" + ")" * 48) is True
    with pytest.raises(ExpressionError, match="Exceeded max expression depth 50"):
        evaluate("not(" * 50 + "false" + ")" * 50)
    assert evaluate("parameters.obj" + ".a" * 1000) is None


def test_an_empty_expression_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="An expression was expected"):
        evaluate("  ")


@pytest.mark.parametrize(
    ("specifiers", "text"),
    [
        ("yyyyMMdd", "20240506"),
        ("yy-M-d H:m:s", None),
        ("yy M d H m s", "24 5 6 21 7 3"),
        ("HH\\:mm\\:ss", "21:07:03"),
        ("\\}yyyy zzz", "}2024 +00:00"),
        ("fff", "123"),
        ("K", "+00:00"),
    ],
)
def test_dates(specifiers: str, text: str | None) -> None:
    """`format('{0:yyyyMMdd}', pipeline.startTime)`: the specifiers of the page, others are refused."""
    time = datetime(2024, 5, 6, 21, 7, 3, 123456, UTC)
    if text is None:
        with pytest.raises(ExpressionError, match="not valid for objects of type 'DateTime'"):
            format_time(time, specifiers)
    else:
        assert format_time(time, specifiers) == text
