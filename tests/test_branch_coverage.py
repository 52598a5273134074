"""The limit on the branches that tests must take."""

from pathlib import Path

import pytest

from tests.branch_coverage import main


@pytest.fixture
def report(tmp_path: Path) -> str:
    """A report in which nearly all lines were reached, and 7 of 8 branches taken."""
    path = tmp_path / "coverage.xml"
    path.write_text(
        '<?xml version="1.0" ?>\n<coverage version="7.17.3" lines-valid="100" lines-covered="99" line-rate="0.99"'
        ' branches-valid="8" branches-covered="7" branch-rate="0.875" complexity="0"></coverage>\n'
    )
    return str(path)


def test_a_share_below_the_limit_is_refused_though_nearly_all_lines_were_reached(
    report: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(report, "95") == "87.5 % of the branches were taken; 95 % are asked for"
    assert capsys.readouterr().out == "branches: 7 of 8, 87.5 %\n"


def test_a_share_that_reaches_the_limit_is_enough(report: str) -> None:
    assert main(report, "87.5") is None
    assert main(report, "0") is None
