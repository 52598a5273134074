"""Defects to plant in the product's package, one at a time.

For each, the suite that it names must fail and name that test, and the other two must succeed: a suite that
fails for what isn't its business tells nobody where to look.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Defect:
    """A replacement in one file of `notebooks/`, the suite that must fail for it, and the test that it must name."""

    file: str
    old: str
    new: str
    suite: str
    test: str

    def planted(self, notebooks: Path) -> str:
        """The file's text with the defect in it. ValueError when its place isn't there exactly once."""
        text = (notebooks / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times what the defect replaces: {self.old}")
        return text.replace(self.old, self.new)


DEFECTS = {
    "wind stays in kilometres an hour": Defect(
        file="bike_sharing/sources.py",
        old="try_cast(wind AS DOUBLE) / 3.6",
        new="try_cast(wind AS DOUBLE)",
        suite="functional",
        test="test_transform_makes_celsius_and_metres_a_second",
    ),
    "stale data isn't noticed": Defect(
        file="bike_sharing/watch.py",
        old="if measured.age_hours > limits.max_age_hours:",
        new="if measured.age_hours > limits.max_age_hours * 1000:",
        suite="functional",
        test="test_watch_names_the_age_that_is_allowed",
    ),
    "what arrives last wins, not what was exported last": Defect(
        file="bike_sharing/sources.py",
        old='newest="exported_at"',
        new='newest="_batch"',
        suite="integration",
        test="test_the_week_in_pieces_out_of_order_gives_the_same",
    ),
    "versions of a station that a later file disproves stay": Defect(
        file="bike_sharing/stations.py",
        old="WHEN NOT MATCHED BY SOURCE THEN DELETE",
        new="",
        suite="integration",
        test="test_the_week_in_pieces_out_of_order_gives_the_same",
    ),
    # No hash and no order finds a difference of nought: Spark compares each row with each.
    "rows are joined with their verdict by a condition that is no equality": Defect(
        file="bike_sharing/verdict.py",
        old='typed_rows.join(rejected, ["_batch", "_row"], "left_anti")',
        new='typed_rows.alias("t").join(rejected.alias("r"),'
        ' f.expr("t._batch - r._batch = 0 AND t._row - r._row = 0"), "left_anti")',
        suite="performance",
        test="test_not_slower_than_what_was_accepted[transform]",
    ),
}
