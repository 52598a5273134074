"""The sample week of a city's bike-sharing operator: its files, mistakes included, and the right answers.

`write` makes the files that arrive, from a handful of trips to tens of millions. `expected` says what must come out;
it computes that in plain Python from the same patterns, without reading the files and without the product's code, at a
cost that doesn't depend on the number of trips.
"""

from .answers import Availability, Demand, Expected, Report, expected
from .files import Files, LocalFiles
from .stations import Version
from .trips import BLOCK as EVERY_MISTAKE_FROM
from .week import DAYS
from .writing import write

__all__ = [
    "DAYS",
    "EVERY_MISTAKE_FROM",
    "Availability",
    "Demand",
    "Expected",
    "Files",
    "LocalFiles",
    "Report",
    "Version",
    "expected",
    "write",
]
