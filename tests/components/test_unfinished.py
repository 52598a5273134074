"""Notes of creates that have begun and not ended."""

from pathlib import Path

import pytest

from components.unfinished import VALID_SECONDS, Unfinished

URL = "https://dev.azure.com/contoso"


def test_a_note_outlives_the_process_and_is_forgotten_at_the_end(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path).begin("urn:1", {"b", "a"})

    again = Unfinished(URL, tmp_path)
    assert again.before("urn:1") == {"a", "b"}
    again.end("urn:1")
    assert again.before("urn:1") is None
    assert list(tmp_path.iterdir()) == []


def test_ending_what_never_began_is_fine(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path / "nowhere").end("urn:1")


def test_that_nothing_was_there_is_not_the_same_as_no_note(tmp_path: Path) -> None:
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", set())

    assert notes.before("urn:1") == set()
    assert notes.before("urn:2") is None


def test_two_organisations_do_not_share_notes(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path).begin("urn:1", set())

    assert Unfinished("https://dev.azure.com/other", tmp_path).before("urn:1") is None


@pytest.mark.parametrize(("age", "valid"), [(0, True), (VALID_SECONDS, True), (VALID_SECONDS + 1, False)])
def test_a_note_is_trusted_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, valid: bool) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("components.unfinished.time.time", lambda: now)
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", {"a"})
    monkeypatch.setattr("components.unfinished.time.time", lambda: now + age)

    assert notes.before("urn:1") == ({"a"} if valid else None)


def test_the_notes_are_in_the_home_of_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))

    Unfinished(URL).begin("urn:1", set())

    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "databricks-cicd" / "unfinished"]
