"""Whatever stands in a stack file: either settings, or one message that names what is wrong."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.settings import Settings, SettingsError, parse
from tests.components.settings_samples import ENVIRONMENT, FULL, make_project

# What YAML can hold, with texts that are nearly right among the random ones.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "test", "/", "/Shared", "CAN_RUN", "a@b", "UTC", "0 0 0 * * ?", "../x", "https://[", "\ud800"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything in the configuration."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in entries:
        yield (*path, key)
        yield from paths(child, (*path, key))


# Mappings in which any key may stand.
ANY_KEY = {"jobs", "jobOverrides", "parameters", "tags", "sparkConf", "tasks", "clusters"}
PATHS = sorted(paths(FULL), key=str)


def key_of(path: tuple[Any, ...]) -> str:
    """The path as Pulumi writes it."""
    return "databricks-cicd:" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


def at(raw: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        raw = raw[part]
    return raw


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


def read(raw: dict[str, Any], root: Path) -> Settings | SettingsError:
    try:
        return parse(raw, stack="test", environment=ENVIRONMENT, root=root)
    except SettingsError as error:
        refusal = error
    assert refusal.problems
    for problem in refusal.problems:
        assert all((problem.key, problem.found, problem.allowed, problem.remedy))
    assert str(refusal).encode()
    return refusal


def is_about(problem_key: str, key: str) -> bool:
    """Whether a problem names the key, something in it, or what it is part of."""
    return any(
        one == other or one.startswith((other + ".", other + "["))
        for one, other in ((problem_key, key), (key, problem_key))
    )


@given(path=st.sampled_from(PATHS), value=values)
@settings(max_examples=400, deadline=None)
def test_any_value_anywhere_is_taken_or_refused_by_name(root: Path, path: tuple[Any, ...], value: Any) -> None:
    raw = copy.deepcopy(FULL)
    at(raw, path[:-1])[path[-1]] = value
    result = read(raw, root)
    if isinstance(result, SettingsError):
        # A right value may clash with another: more approvals than approvers, a job whose notebook is ignored now, a
        # control plane that is gone. Then the other key of the two may be the one that is named.
        related = {
            "gate": ["gate"],
            "notebooks": ["notebooks", "jobs", "jobOverrides", "tests"],
            "tests": ["tests", "jobOverrides"],
            # The three are put together: a key may be missing, or be one too many, only in the whole.
            "jobs": ["jobs", "jobOverrides", "jobDefaults"],
            "jobOverrides": ["jobs", "jobOverrides", "jobDefaults"],
            "jobDefaults": ["jobs", "jobOverrides", "jobDefaults"],
            "environment": ["tests"],
            "controlPlane": ["controlPlane", "controlPlaneStack"],
        }
        sections = [f"databricks-cicd:{name}" for name in related.get(path[0], [])]
        assert any(
            is_about(problem.key, key_of(path)) or any(is_about(problem.key, section) for section in sections)
            for problem in result.problems
        ), str(result)


@given(
    path=st.sampled_from(PATHS), value=st.floats(allow_nan=False) | st.just(None) | st.just([[]]) | st.just({"x": []})
)
@settings(max_examples=200, deadline=None)
def test_a_value_of_a_type_that_no_setting_has_is_refused_by_its_key(
    root: Path, path: tuple[Any, ...], value: Any
) -> None:
    if value is None and path[0] in ("jobs", "jobOverrides", "jobDefaults"):
        return  # takes away what would be there otherwise
    raw = copy.deepcopy(FULL)
    at(raw, path[:-1])[path[-1]] = value
    result = read(raw, root)
    assert isinstance(result, SettingsError)
    assert any(is_about(problem.key, key_of(path)) for problem in result.problems), str(result)


@given(path=st.sampled_from([path for path in PATHS if isinstance(at(FULL, path), dict)]), name=st.text(), value=values)
@settings(max_examples=150, deadline=None)
def test_a_key_that_doesnt_exist_is_named(root: Path, path: tuple[Any, ...], name: str, value: Any) -> None:
    if path[-1] in ANY_KEY or name in at(FULL, path):
        return
    raw = copy.deepcopy(FULL)
    at(raw, path)[name] = value
    result = read(raw, root)
    known = {("controlPlane", "agents"): ["pool"], ("workspace", "access", 0): ["user", "servicePrincipal"]}
    if name not in known.get(path, []):
        assert isinstance(result, SettingsError)
        assert any(problem.key == f"{key_of(path)}.{name}" for problem in result.problems)


@given(
    raw=st.dictionaries(
        st.sampled_from([*FULL, "controlPlaneStack", "x:y", ""]) | st.text(max_size=10), values, max_size=6
    )
)
@settings(max_examples=200, deadline=None)
def test_a_configuration_of_anything_never_breaks_the_program(root: Path, raw: dict[str, Any]) -> None:
    read(raw, root)
