"""The name of a run: https://learn.microsoft.com/azure/devops/pipelines/process/run-number."""

from datetime import UTC, datetime

import pytest

from rehearsal.agent.language.errors import ExpressionError
from rehearsal.agent.language.run_number import DEFAULT, run_number

START = datetime(2024, 5, 6, 21, 7, 3, tzinfo=UTC)
VARIABLES = {
    "Build.DefinitionName": "CIBuild",
    "Build.BuildId": "752",
    "Build.SourceBranchName": "main",
    "System.TeamProject": "Fabrikam",
    "My.Variable": "mine",
}


def name(template: str | None, revision: int = 2) -> str:
    return run_number(template, START, VARIABLES.get, lambda _: revision)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("$(Build.DefinitionName)", "CIBuild"),
        ("$(Build.BuildId)", "752"),
        ("$(DayOfMonth)", "6"),
        ("$(DayOfYear)", "127"),
        ("$(Hours)", "21"),
        ("$(Minutes)", "7"),
        ("$(Month)", "5"),
        ("$(Rev:r)", "2"),
        ("$(Rev:rr)", "02"),
        ("a$(Rev:.r)", "a.2"),
        ("$(Date:yyyyMMdd)", "20240506"),
        ("$(Date:MMddyy)", "050624"),
        ("$(Seconds)", "3"),
        ("$(SourceBranchName)", "main"),
        ("$(TeamProject)", "Fabrikam"),
        ("$(Year:yy)", "24"),
        ("$(Year:yyyy)", "2024"),
        ("$(My.Variable)", "mine"),
        ("$(nosuch)", "$(nosuch)"),
        ("plain", "plain"),
    ],
)
def test_the_tokens_of_the_page(token: str, value: str) -> None:
    assert name(token) == value


def test_the_default_and_an_example_with_everything() -> None:
    assert name(None) == name(DEFAULT) == "20240506.2"
    template = "$(TeamProject)_$(Build.DefinitionName)_$(SourceBranchName)_$(Date:yyyyMMdd)$(Rev:.r)"
    assert name(template) == "Fabrikam_CIBuild_main_20240506.2"


def test_the_revision_counts_runs_with_the_same_name_without_it() -> None:
    asked: list[str] = []

    def next_revision(rest: str) -> int:
        asked.append(rest)
        return 7

    assert run_number("1.0.$(Rev:r)", START, VARIABLES.get, next_revision) == "1.0.7"
    assert run_number("$(Date:yyyy)$(Rev:.r)", START, VARIABLES.get, next_revision) == "2024.7"
    assert run_number("none", START, VARIABLES.get, next_revision) == "none"
    assert asked == ["1.0.", "2024"]


@pytest.mark.parametrize("template", ["a/b", "a:b", "ends.", "x" * 256, "a*", "$(Date:QQ)"])
def test_names_that_the_service_refuses(template: str) -> None:
    with pytest.raises(ExpressionError):
        name(template)
