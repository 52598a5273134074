"""What the preview shows of a change: its values, but no secret one, and what deserves a look."""

from typing import Any

import pytest

from delivery.console import Progress
from delivery.preview_changes import SUSPICIOUS, without_credentials
from tests.delivery.reports import changes, step


def test_values_under_secret_names_are_not_shown() -> None:
    made = step(
        "update", "Job", "j", old={"apiToken": "a", "x": {"password": "b"}}, new={"apiToken": "c", "x": {"y": 1}}
    )
    [change] = changes(made)
    shown = {value.path: (value.old, value.new) for value in change.values}
    assert shown == {"apiToken": ("(not shown)",) * 2, "x.password": ("(not shown)", None), "x.y": (None, "1")}


@pytest.mark.parametrize(
    "inputs",
    [
        lambda value: {"parameters": [{"name": "api_token", "default": value}]},
        lambda value: {"tasks": [{"taskKey": "load", "parameters": [{"name": "api_token", "default": value}]}]},
        lambda value: {"tasks": [{"taskKey": "load"}, {"parameters": [{"name": "api_token", "default": value}]}]},
        lambda value: {"sparkConf": {"fs.azure.account.key.lake.dfs.core.windows.net": value}},
        lambda value: {"sparkConf": {"spark.hadoop.password.x": value}},
        lambda value: {"password": {"x": [value]}},
        lambda value: {"sparkEnvVars": {"AZURE_STORAGE_KEY": value}},
        lambda value: {"sparkConf": {"fs.azure.sas.fixed.token": value, "x_sas": value}},
        lambda value: {"connection_string": value, "azdo_pat": value, "accessKey": value},
    ],
)
@pytest.mark.parametrize("gone", [True, False])
def test_a_secret_word_anywhere_in_a_path_hides_the_value(inputs: Any, gone: bool) -> None:
    made = step("update", "Job", "j", old=inputs("open"), new={"x": 1} if gone else inputs("sesame"))
    [change] = changes(made)
    shown = [side for value in change.values for side in (value.old, value.new) if side]
    assert any("(not shown)" in side for side in shown)
    assert "open" not in str(shown) + str(change.values)
    assert "sesame" not in str(shown)


def test_words_that_only_resemble_secret_ones_hide_nothing_and_neither_do_switches() -> None:
    old = {"path": "/a", "tasks": [{"taskKey": "a", "jobClusterKey": "b"}], "forks": {"shareSecrets": False}}
    new = {"path": "/b", "tasks": [{"taskKey": "a", "jobClusterKey": "c"}], "forks": {"shareSecrets": True}}
    [change] = changes(step("update", "Job", "j", old=old, new=new))
    assert [(value.path, value.old, value.new) for value in change.values] == [
        ("forks.shareSecrets", "false", "true"),
        ("path", "/a", "/b"),
        ("tasks[a].jobClusterKey", "b", "c"),
    ]


# No credentials: the digits make their forms.
TOKEN = f"dapi{'0123456789abcdef' * 2}"
RANDOM = "kT9vQ2xLw7RzP4mYc8BnJ5hGd3FsA6eU"


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        f"--with {TOKEN}",
        RANDOM,
        {"a": [RANDOM]},
        "x\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
        "dose" + TOKEN[4:],
    ],
)
def test_a_value_that_looks_like_a_credential_is_not_shown_whatever_it_is_called(value: Any) -> None:
    made = step("update", "Job", "j", old={"note": value, "harmless": "a"}, new={"note": "none", "harmless": "b"})
    [change] = without_credentials(changes(made), Progress())
    assert [(each.path, each.old, each.new) for each in change.values] == [
        ("harmless", "a", "b"),
        ("note", SUSPICIOUS, "none"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"userName": "ada@x.example"}, {"servicePrincipalName": "7"}, "it runs as 7 instead of ada@x.example"),
        (None, {"userName": "ada@x.example"}, "it runs as ada@x.example instead of who deploys"),
        ({"userName": "ada@x.example"}, None, "it runs as who deploys instead of ada@x.example"),
    ],
)
def test_whom_a_job_runs_as_is_a_permission(old: Any, new: Any, told: str) -> None:
    sides = [{"name": "daily", "x": 1, **({"runAs": side} if side else {})} for side in (old, new)]
    [change] = changes(step("update", "Job", "job-daily", old=sides[0], new=sides[1]))
    assert (change.flagged, change.reason) == (True, f"permissions: {told}")


def test_a_new_job_is_flagged_only_if_it_runs_as_somebody_else() -> None:
    own, other = changes(
        step("create", "Job", "a", new={"name": "a"}),
        step("create", "Job", "b", new={"name": "b", "runAs": {"userName": "ada@x.example"}}),
    )
    assert (own.reason, other.reason) == ("", "permissions: it runs as ada@x.example")
    [gone] = changes(step("delete", "Job", "b", old={"name": "b", "runAs": {"userName": "ada@x.example"}}))
    assert not gone.flagged
