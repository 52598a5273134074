"""Variables of a pipeline that aren't there, as the commands see them."""

import os

import pytest

from delivery.__main__ import main
from delivery.environment import cleaned


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABRICKS_TOKEN", "$(DATABRICKS_TOKEN)"),
        ("DATABRICKS_TOKEN", "$(databricks_token)"),
        ("SYSTEM_ACCESSTOKEN", "$(System.AccessToken)"),
        ("SYSTEM_ACCESSTOKEN", " $( System.AccessToken ) "),
    ],
)
def test_a_variable_that_holds_its_own_unresolved_macro_is_absent(name: str, value: str) -> None:
    assert cleaned({name: value, "OTHER": "x"}) == {"OTHER": "x"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PULUMI_CONFIG_PASSPHRASE", ""),
        ("PS1", "$(git_branch) $"),
        ("GREETING", "$(NAME)"),
        ("TOKEN", "x$(TOKEN)"),
        ("TOKEN", "$TOKEN"),
    ],
)
def test_every_other_value_stays_as_it_is(name: str, value: str) -> None:
    assert cleaned({name: value}) == {name: value}


def test_no_command_sees_an_unresolved_macro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "$(DATABRICKS_TOKEN)")
    assert main(["verify", "nowhere"]) == 2
    assert "DATABRICKS_TOKEN" not in os.environ
