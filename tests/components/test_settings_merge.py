"""Settings put together from several places: the rules of JSON merge patches, and where each value was written."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.settings_merge import Placed, merged, needless, placed

keys = st.sampled_from(["a", "b", "c", "runAs"])
scalars = st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)


def mappings(*, nulls: bool) -> st.SearchStrategy[dict[str, Any]]:
    leaves = scalars | st.none() if nulls else scalars
    inner = st.recursive(leaves, lambda deeper: st.dictionaries(keys, deeper, max_size=3), max_leaves=6)
    return st.dictionaries(keys, inner, max_size=3)


bases, patches = mappings(nulls=False), mappings(nulls=True)


def together(base: dict[str, Any], patch: dict[str, Any]) -> Placed:
    return merged(placed(base, "base"), placed(patch, "patch"))


def places(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with the place that it claims, and its value."""
    if isinstance(value, Placed):
        for key, item in value.items():
            yield value.places[key], item
            yield from places(item)


def at(root: dict[str, Any], path: str) -> Any:
    value: Any = root
    for part in path.split(".")[1:]:
        value = value[part]
    return value


@given(bases)
def test_an_empty_patch_changes_nothing(base: dict[str, Any]) -> None:
    assert together(base, {}) == base
    assert together({}, base) == base


@given(bases, patches)
def test_a_patch_twice_is_the_patch_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    once = together(base, patch)
    assert merged(once, placed(patch, "patch")) == once


@given(bases, patches)
def test_no_null_is_left_and_what_was_null_is_gone(base: dict[str, Any], patch: dict[str, Any]) -> None:
    result = together(base, patch)
    assert all(item is not None for _, item in places(result))
    assert not {key for key, value in patch.items() if value is None} & result.keys()


@given(bases, patches)
def test_neither_base_nor_patch_is_changed(base: dict[str, Any], patch: dict[str, Any]) -> None:
    before, over = placed(base, "base"), placed(patch, "patch")
    merged(before, over)
    assert (before, over) == (placed(base, "base"), placed(patch, "patch"))


@given(bases, patches)
def test_each_value_stands_where_it_says(base: dict[str, Any], patch: dict[str, Any]) -> None:
    for place, item in places(together(base, patch)):
        written = at(patch if place.startswith("patch") else base, place)
        assert isinstance(item, dict) if isinstance(written, dict) else item == written


@given(bases, patches)
def test_the_nulls_that_take_nothing_away_are_found(base: dict[str, Any], patch: dict[str, Any]) -> None:
    for place in needless(placed(base, "base"), placed(patch, "patch")):
        assert at(patch, place) is None
        *parents, last = place.split(".")[1:]
        under: Any = base
        for part in parents:
            under = under.get(part, {}) if isinstance(under, dict) else {}
        assert not isinstance(under, dict) or last not in under


def test_lists_are_replaced_and_mappings_merged() -> None:
    base = {"tasks": {"a": {"after": ["x", "y"], "retries": 1}, "b": {}}}
    assert together(base, {"tasks": {"a": {"after": ["z"]}, "b": None}}) == {
        "tasks": {"a": {"after": ["z"], "retries": 1}}
    }


def test_who_a_job_runs_as_is_replaced_as_a_whole() -> None:
    assert together({"runAs": {"user": "a"}}, {"runAs": {"servicePrincipal": "b"}}) == {
        "runAs": {"servicePrincipal": "b"}
    }
