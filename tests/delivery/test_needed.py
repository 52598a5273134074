"""What an expression needs stands in everything that it matches."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.needed import may_match, needed

LETTERS = st.text("abAB_", min_size=1, max_size=3)
EXPRESSIONS = st.recursive(
    LETTERS | st.sampled_from(["[ab]", "[^c]", r"\w", ".", r"\b", "^", "(?=a)", "(?!ab)", "(?<!_)", "é"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "*?"])).map(lambda of: f"(?:{of[0]}){of[1]}"),
        inner.map(lambda part: f"({part})"),
        inner.map(lambda part: f"(?i:{part})"),
    ),
    max_leaves=8,
)


@given(st.data(), EXPRESSIONS, st.sampled_from([0, re.IGNORECASE, re.MULTILINE]))
def test_no_match_lacks_what_its_expression_needs(data: st.DataObject, expression: str, flags: int) -> None:
    pattern = re.compile(expression, flags)
    text = data.draw(st.text("abAB_c é", max_size=20))
    if text.isascii() and pattern.search(text):
        assert may_match(needed(pattern), text.lower())


@pytest.mark.parametrize(
    ("expression", "sets"),
    [
        ("AKC[a-z]{10}", [{"akc"}]),
        ("(?:key|PASS)_?word=", [{"key", "pass"}, {"word="}]),
        ("a(?:bc)?d", [{"a"}, {"d"}]),
        ("(?:bc|)d", [{"d"}]),
        ("(?:ab)+c*", [{"ab"}]),
        ("(?!secret)x", [{"x"}]),
        (r"\b[a-z2-7]{52}\b", []),
        ("ñab", [{"ab"}]),
    ],
)
def test_it_needs_what_stands_in_it_and_can_not_be_left_out(expression: str, sets: list[set[str]]) -> None:
    assert needed(re.compile(expression)) == frozenset(map(frozenset, sets))


def test_a_text_that_lacks_one_of_several_parts_is_passed_over() -> None:
    sets = needed(re.compile("(?:key|pass)_?word="))
    assert may_match(sets, "the keyword=x")
    assert not may_match(sets, "the keyword is x")
    assert not may_match(sets, "no word=x")
