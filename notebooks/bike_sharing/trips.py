"""Trips: from a line of the operator's export to a row, and what makes a row implausible."""

from dataclasses import dataclass
from datetime import datetime

LONGEST_MINUTES = 24 * 60


@dataclass(frozen=True)
class Trip:
    """One ride from one station to another (or back to the same)."""

    bike: str
    start_station: str
    end_station: str
    started_at: datetime
    ended_at: datetime

    @property
    def minutes(self) -> float:
        """How long the ride took."""
        return (self.ended_at - self.started_at).total_seconds() / 60


def parse_trip(row: dict[str, str]) -> Trip:
    """A row of the export; times are ISO 8601 in local time."""
    return Trip(
        bike=row["bike"].strip(),
        start_station=row["start_station"].strip(),
        end_station=row["end_station"].strip(),
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]),
    )


def implausible(trip: Trip) -> str | None:
    """Why a trip shouldn't be counted, or None."""
    if trip.ended_at <= trip.started_at:
        return "ends before it starts"
    if trip.minutes > LONGEST_MINUTES:
        return "longer than a day"
    if trip.minutes < 1 and trip.start_station == trip.end_station:
        return "taken and put back"
    return None
