"""Defects to plant in a copy of the product's package, one at a time.

For each, the suite that it names must fail with that piece in its message, and the other two must succeed: a suite that
fails for what isn't its business tells nobody where to look.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Defect:
    """A replacement in one file of `notebooks/`, the suite that must fail for it, and a piece of its message."""

    file: str
    old: str
    new: str
    suite: str
    message: str

    def plant(self, notebooks: Path) -> None:
        """Change the copy of the notebooks' folder. ValueError when the place isn't there exactly once."""
        path = notebooks / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times what the defect replaces: {self.old}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


DEFECTS = {
    "wind stays in kilometres an hour": Defect(
        file="bike_sharing/sources.py",
        old="try_cast(wind AS DOUBLE) / 3.6",
        new="try_cast(wind AS DOUBLE)",
        suite="functional",
        message="test_transform_makes_celsius_and_metres_a_second",
    ),
    "stale data isn't noticed": Defect(
        file="bike_sharing/watch.py",
        old="if measured.age_hours > limits.max_age_hours:",
        new="if measured.age_hours > limits.max_age_hours * 1000:",
        suite="functional",
        message="test_watch_names_the_age_that_is_allowed",
    ),
    "a correction that comes later is lost": Defect(
        file="bike_sharing/verdict.py",
        old="WHEN MATCHED AND (t._batch <> s._batch OR t._row <> s._row) THEN UPDATE SET {assignments}",
        new="WHEN MATCHED AND s._batch < 0 THEN UPDATE SET {assignments}",
        suite="integration",
        message="test_the_week_in_pieces_out_of_order_gives_the_same",
    ),
    "trips of a station that becomes known stay in the quarantine": Defect(
        file="bike_sharing/verdict.py",
        old="    if stations is not None:\n        refs = refs",
        new="    if stations is not None and span.done < 0:\n        refs = refs",
        suite="integration",
        message="test_the_week_in_pieces_out_of_order_gives_the_same",
    ),
    "every trip is compared with every station": Defect(
        file="bike_sharing/verdict.py",
        old='f.col(f"{end}_station") == f.col(f"_{end}_known"), "left")',
        new='f.levenshtein(f.repeat(f.col(f"{end}_station"), 10), f.repeat(f.col(f"_{end}_known"), 10)) == 0, "left")',
        suite="performance",
        message="test_not_slower_than_what_was_accepted[transform]",
    ),
}
