"""Notes of creates that have begun and not ended."""

from pathlib import Path

import pytest

from components.unfinished import VALID_SECONDS, Unfinished

URL = "https://dev.azure.com/contoso"


def test_a_note_outlives_the_process_and_is_forgotten_at_the_end(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path).begin("urn:1", {"b", "a"})

    again = Unfinished(URL, tmp_path)
    assert again.leftovers("urn:1", {"a", "b", "c"}) == {"c"}
    again.end("urn:1")
    assert again.leftovers("urn:1", {"a", "b", "c"}) == set()
    assert list(tmp_path.iterdir()) == []


def test_ending_what_never_began_is_fine(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path / "nowhere").end("urn:1")


def test_that_nothing_was_there_is_not_the_same_as_no_note(tmp_path: Path) -> None:
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", set())

    assert notes.leftovers("urn:1", {"a"}) == {"a"}
    assert notes.leftovers("urn:2", {"a"}) == set()


def test_of_an_ended_create_the_one_thing_that_it_made_is_left_and_nothing_else(tmp_path: Path) -> None:
    """The process died after the create and before the state was written; somebody made another one by hand."""
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", {"before"})
    notes.created("urn:1", "made")

    assert Unfinished(URL, tmp_path).leftovers("urn:1", {"before", "made", "by hand"}) == {"made"}


def test_an_end_without_a_beginning_is_not_noted(tmp_path: Path) -> None:
    notes = Unfinished(URL, tmp_path)
    notes.created("urn:1", "made")

    assert notes.leftovers("urn:1", {"made"}) == set()


def test_a_create_is_begun_until_its_end_is_noted(tmp_path: Path) -> None:
    notes = Unfinished(URL, tmp_path)
    assert not notes.begun("urn:1")
    notes.begin("urn:1", set())
    assert notes.begun("urn:1")
    notes.created("urn:1", "made")
    assert not notes.begun("urn:1")
    notes.begin("urn:1", {"made"})
    assert notes.begun("urn:1")


def test_what_tells_the_thing_from_others_is_kept_up_to_the_next_begin(tmp_path: Path) -> None:
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", set(), {"name": "daily", "description": "Release 1"})
    notes.created("urn:1", "made")

    assert Unfinished(URL, tmp_path).like("urn:1") == {"name": "daily", "description": "Release 1"}
    with pytest.raises(LookupError, match="urn:2"):
        notes.like("urn:2")


def test_two_organisations_do_not_share_notes(tmp_path: Path) -> None:
    Unfinished(URL, tmp_path).begin("urn:1", set())

    assert Unfinished("https://dev.azure.com/other", tmp_path).leftovers("urn:1", {"a"}) == set()


@pytest.mark.parametrize(("age", "valid"), [(0, True), (VALID_SECONDS, True), (VALID_SECONDS + 1, False)])
def test_a_note_is_trusted_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, valid: bool) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("components.unfinished.time.time", lambda: now)
    notes = Unfinished(URL, tmp_path)
    notes.begin("urn:1", {"a"})
    monkeypatch.setattr("components.unfinished.time.time", lambda: now + age)

    assert notes.leftovers("urn:1", {"a", "b"}) == ({"b"} if valid else set())
    notes.created("urn:1", "b")
    assert notes.leftovers("urn:1", {"a", "b"}) == ({"b"} if valid else set())


def test_the_notes_are_in_the_home_of_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))

    Unfinished(URL).begin("urn:1", set())

    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "databricks-cicd" / "unfinished"]
