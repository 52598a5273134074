"""Whether the data can be trusted: is it fresh, is there enough of it, was too much of it rejected?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as f

from bike_sharing import calendar
from bike_sharing.sources import SOURCES, Source
from bike_sharing.tables import Tables


@dataclass(frozen=True)
class Limits:
    """What is still good.

    Args:
        as_of: the instant to judge for; None is now.
        max_age_hours: greatest age in hours of the newest file day of each source, counted from the day's end.
        min_rows: fewest accepted trips of the newest file day.
        max_quarantine_share: greatest share (0 to 1) of the rows of each source's newest file day that are in the
            quarantine.
    """

    as_of: datetime | None = None
    max_age_hours: float = 48
    min_rows: int = 1
    max_quarantine_share: float = 0.2

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Limits":
        """Limits from a notebook's parameters, which are texts.

        Args:
            texts: values by name; `as_of` is `YYYY-MM-DDTHH:MM:SSZ`, or empty for now.

        Raises:
            ValueError: a text isn't a number or an instant.
        """
        as_of = datetime.fromisoformat(texts["as_of"]) if texts["as_of"].strip() else None
        if as_of is not None and as_of.tzinfo is None:
            as_of = as_of.replace(tzinfo=UTC)
        return cls(as_of, float(texts["max_age_hours"]), int(texts["min_rows"]), float(texts["max_quarantine_share"]))


@dataclass(frozen=True)
class Finding:
    """A limit that is broken.

    Args:
        check: `freshness`, `dates`, `volume` or `quality`.
        source: which source.
        message: what was measured, and the limit.
    """

    check: str
    source: str
    message: str


class WatchError(Exception):
    """Limits are broken; the message lists all findings. Its first line, which is all that a mail shows, names them."""

    def __init__(self, found: list[Finding]) -> None:
        """Keep the findings in `findings`."""
        self.findings = found
        named = [f"{finding.check} of {finding.source}" for finding in found]
        lines = [f"- {name}: {finding.message}" for name, finding in zip(named, found, strict=True)]
        super().__init__("\n".join([f"The data breaks {len(found)} of its limits: {', '.join(named)}", *lines]))


@dataclass(frozen=True)
class Figures:
    """What is measured of a source.

    Args:
        source: which.
        newest_day: newest file day that arrived, of those that have begun; None when none ever did.
        age_hours: hours from the end of that day in the city.
        arrived: rows of bronze of that day.
        accepted: those in silver.
        quarantined: those in the quarantine.
        ahead: latest file day that hasn't begun and arrived nevertheless; None when none did.
    """

    source: str
    newest_day: date | None
    age_hours: float
    arrived: int
    accepted: int
    quarantined: int
    ahead: date | None = None

    @property
    def quarantine_share(self) -> float:
        """Rejected rows in proportion to those that arrived, 0 to 1."""
        return self.quarantined / self.arrived if self.arrived else 0.0


def figures(spark: SparkSession, tables: Tables, as_of: datetime | None = None) -> list[Figures]:
    """Measure each source's newest file day of those that have begun: a wrong date must not pass for fresh data.

    Args:
        spark: the session.
        tables: where the tables are; missing ones are made.
        as_of: the instant to judge for, with a time zone; None is now.
    """
    tables.create(spark)
    now = as_of or datetime.now(UTC)
    has_begun = f"unix_seconds({calendar.midnight('file_day')}) <= {int(now.timestamp())}"
    newest = {
        str(row["source"]): row
        for row in spark.table(tables.name("ingested_files"))
        .groupBy("source")
        .agg(
            f.expr(f"max(file_day) FILTER (WHERE {has_begun})").alias("day"),
            f.expr(f"max(file_day) FILTER (WHERE NOT {has_begun})").alias("ahead"),
        )
        .withColumn("end", f.expr(f"unix_seconds({calendar.midnight('date_add(day, 1)')})"))
        .collect()
    }
    return [_measured(spark, tables, source, newest.get(source.name), now) for source in SOURCES]


def _measured(spark: SparkSession, tables: Tables, source: Source, newest: Row | None, now: datetime) -> Figures:
    if newest is None or newest["day"] is None:
        return Figures(source.name, None, float("inf"), 0, 0, 0, newest["ahead"] if newest else None)
    arrived = spark.table(tables.name(source.bronze)).where(f.col("_file_day") == newest["day"])
    rejected = spark.table(tables.name("quarantine")).where(f.col("source") == source.name)
    silver = spark.table(tables.name(source.silver)).select("_batch", "_row")
    accepted = arrived.select("_batch", "_row").join(silver, ["_batch", "_row"], "left_semi")
    return Figures(
        source.name,
        newest["day"],
        (now.timestamp() - newest["end"]) / 3600,
        arrived.count(),
        accepted.count(),
        rejected.where(f.col("file_day") == newest["day"]).count(),
        newest["ahead"],
    )


def judge(measured: Figures, limits: Limits) -> list[Finding]:
    """The limits that one source's figures break.

    Args:
        measured: the figures.
        limits: what is still good.
    """
    source, found = measured.source, []
    if measured.ahead is not None:
        late = f"the newest is {measured.ahead}, and what it says counts as newer than all that comes before that day"
        found.append(Finding("dates", source, f"files of days that haven't begun have arrived: {late}"))
    if measured.newest_day is None:
        return [*found, Finding("freshness", source, "nothing has ever arrived")]
    if measured.age_hours > limits.max_age_hours:
        age = f"the newest day is {measured.newest_day}, which ended {measured.age_hours:.1f} hours ago"
        found.append(Finding("freshness", source, f"{age}; at most {limits.max_age_hours:g} are allowed"))
    if source == "trips" and measured.accepted < limits.min_rows:
        rows = f"{measured.accepted} of {measured.arrived} rows of {measured.newest_day} were accepted"
        found.append(Finding("volume", source, f"{rows}; at least {limits.min_rows} are expected"))
    elif not measured.arrived:
        found.append(Finding("volume", source, f"the files of {measured.newest_day} have no row"))
    if measured.quarantine_share > limits.max_quarantine_share:
        share = f"{measured.quarantine_share:.1%} of the rows of {measured.newest_day} are in the quarantine"
        found.append(Finding("quality", source, f"{share}; at most {limits.max_quarantine_share:.1%} are allowed"))
    return found


def demand_good(measured: Iterable[Figures], limits: Limits) -> None:
    """Fail when figures break a limit.

    Args:
        measured: the figures of each source.
        limits: what is still good.

    Raises:
        WatchError: limits are broken; all of them are named.
    """
    found = [finding for one in measured for finding in judge(one, limits)]
    if found:
        raise WatchError(found)
