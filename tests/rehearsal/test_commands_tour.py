"""`python -m rehearsal tour`: what is left of a tour that goes well, and of one that doesn't. The tour itself is in
`tests/tour`."""

import tempfile
from pathlib import Path

import pytest

from rehearsal.__main__ import main
from rehearsal.tour.steps import Tour
from rehearsal.tour.team import TourError


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _write_a_log(tour: Tour) -> None:
    (tour.folder / "service.log").write_text("what happened\n")


def test_a_tour_that_goes_well_leaves_no_folder_behind(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tour, "whole", _write_a_log)
    assert main(["tour"]) == 0
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(("error", "code"), [(TourError("the build failed"), 1), (KeyboardInterrupt(), 130)])
def test_a_tour_that_fails_or_is_broken_off_leaves_its_logs_and_says_where(
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    def fail(tour: Tour) -> None:
        _write_a_log(tour)
        raise error

    monkeypatch.setattr(Tour, "whole", fail)
    assert main(["tour"]) == code
    [folder] = temporary.iterdir()
    assert (folder / "service.log").read_text() == "what happened\n"
    assert str(folder) in capsys.readouterr().err


def test_a_folder_that_was_named_stays_when_the_tour_went_well(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tour, "whole", lambda tour: tour.folder.mkdir())
    assert main(["tour", "--folder", str(temporary / "kept")]) == 0
    assert [path.name for path in temporary.iterdir()] == ["kept"]
