"""Names are stable, readable and different for different things."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components import naming

parts = st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("given_parts", "name"),
    [
        (["notebook", "report"], "notebook-report"),
        (["job", "daily"], "job-daily"),
        (["file", "a" * 54], "file-" + "a" * 54),
    ],
)
def test_a_plain_logical_name_is_its_parts(given_parts: list[str], name: str) -> None:
    assert naming.logical_name(*given_parts) == name


def test_a_logical_name_that_had_to_change_keeps_its_readable_part() -> None:
    assert re.fullmatch(r"notebook-load-trips-[0-9a-f]{8}", naming.logical_name("notebook", "load/trips"))
    assert naming.logical_name("x", "a" * 100).startswith("x-aaaa")


def test_logical_names_never_change_because_pulumi_would_replace_what_they_name() -> None:
    assert naming.logical_name("notebook", "load/trips") == "notebook-load-trips-1f881504"
    assert naming.logical_name("file", "data/stations.csv") == "file-data-stations-csv-8f34ac45"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a/b"], ["a-b"]),
        (["a", "b"], ["a-b"]),
        (["A"], ["a"]),
        (["a.py"], ["a_py"]),
        (["x" * 90 + "1"], ["x" * 90 + "2"]),
        (["ä"], ["ö"]),
        (["a", ""], ["a"]),
    ],
)
def test_different_things_have_different_logical_names(one: list[str], other: list[str]) -> None:
    assert naming.logical_name(*one) != naming.logical_name(*other)


@given(one=parts, other=parts)
@example(one=["a", "b"], other=["a-b"])
def test_logical_names_are_kebab_case_short_and_unique(one: list[str], other: list[str]) -> None:
    name = naming.logical_name(*one)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(name) <= naming.LOGICAL_NAME_LENGTH
    assert (one == other) == (name == naming.logical_name(*other))


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/Workspace/a", "/a"),
        ("/a", "/a"),
        ("/Workspace", "/"),
        ("/Workspaces/a", "/Workspaces/a"),
        ("/a/Workspace/b", "/a/Workspace/b"),
    ],
)
def test_the_alias_of_the_workspace_is_cut(path: str, plain: str) -> None:
    assert naming.without_workspace_alias(path) == plain


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a/b", "/a", True),
        ("/Workspace/a", "/a", True),
        ("/a/", "/A", True),
        ("/a", "/ab", False),
        ("/a/b", "/a/c", False),
        ("/test", "/production", False),
        ("/", "/a", True),
    ],
)
def test_folders_overlap_if_one_is_the_other_or_inside_it(one: str, other: str, overlap: bool) -> None:
    assert naming.folders_overlap(one, other) is overlap
    assert naming.folders_overlap(other, one) is overlap


def test_a_workspace_path_is_below_its_folder() -> None:
    assert naming.workspace_path("/bikes", "load/trips") == "/bikes/load/trips"
    assert naming.workspace_path("/bikes/", "/load/", "trips") == "/bikes/load/trips"


@pytest.mark.parametrize("branch", ["main", "refs/heads/main"])
def test_a_branch_has_one_full_name(branch: str) -> None:
    assert naming.branch_ref(branch) == "refs/heads/main"


def test_addresses_escape_what_an_address_cant_hold() -> None:
    url = "https://dev.azure.com/contoso"
    assert naming.project_url(url, "Databricks CI-CD") == f"{url}/Databricks%20CI-CD"
    assert naming.clone_url(url, "a b", "c&d") == f"{url}/a%20b/_git/c%26d"
