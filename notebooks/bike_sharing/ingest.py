"""Bronze: files as they came, each read once.

A file is known by its path. Files that were read are in the table `ingested_files`; bronze is written before it, so a
run that was cut off between the two is noticed: bronze is asked for files of the same days that the list doesn't have.

A file that was changed in place is not read again, because the rows that it had before can't be taken back in silence.
The report names it; what it should have said must arrive under a new name.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as f

from bike_sharing import storing
from bike_sharing.sources import CORRUPT, SOURCES, Source, header_columns, missing_columns
from bike_sharing.tables import Tables

_IN_LANDING = re.compile(r"/(?P<source>[^/]+)/(?P<day>\d{4}-\d{2}-\d{2})/[^/]+$")
_READERS = 8  # headers that are read at the same time


@dataclass(frozen=True)
class File:
    """One file in the landing place: its path, day, size in bytes, and last change in microseconds since 1970."""

    source: str
    path: str
    day: date
    size: int
    modified_us: int


@dataclass(frozen=True)
class IngestReport:
    """What a run read.

    Args:
        batch: number of the run; None when there was nothing new.
        files: new files by source.
        rows: rows that they had, by source.
        bytes: their size together.
        changed: files that were read before and have another size or time now; not read again.
        ignored: files that aren't where a source's files belong.
        incomplete: new files without a column that the chain reads, with the columns.
    """

    batch: int | None = None
    files: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    changed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    incomplete: dict[str, list[str]] = field(default_factory=dict)


def run(spark: SparkSession, tables: Tables, landing: str) -> IngestReport:
    """Read the files that bronze doesn't have yet. Running it again changes nothing.

    Args:
        spark: the session.
        tables: where the tables are; missing ones are made.
        landing: path of the folder that the files arrive in, such as `/Volumes/main/bike_sharing/landing`.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    made = tables.create(spark)
    files, ignored = _listed(spark, landing)
    known = {row["file"]: row for row in spark.table(tables.name("ingested_files")).collect()}
    changed = [file.path for file in files if file.path in known and _differs(file, known[file.path])]
    new = [file for file in files if file.path not in known]
    last = max((int(row["batch"]) for row in known.values()), default=0)
    held = [tables.name(source.bronze) for source in SOURCES if source.bronze not in made]
    there = _in_bronze(spark, held, new, last) if new and held else {}
    batch = max(last, *there.values()) + 1 if there else last + 1
    unread = [file for file in new if file.path not in there]
    headers: dict[str, str] = {}
    rows: dict[str, int] = {}
    for source in SOURCES:
        mine = [file for file in unread if file.source == source.name]
        if mine:
            headers |= _headers(spark, source, mine)
            rows[source.name] = _append(spark, tables, source, mine, headers=headers, batch=batch)
    _remember(spark, tables, new, headers, {file.path: there.get(file.path, batch) for file in new})
    return IngestReport(
        batch=batch if unread else None,
        files={source.name: sum(file.source == source.name for file in unread) for source in SOURCES},
        rows={source.name: rows.get(source.name, 0) for source in SOURCES},
        bytes=sum(file.size for file in unread),
        changed=sorted(changed),
        ignored=sorted(ignored),
        incomplete=_incomplete(unread, headers),
    )


def _listed(spark: SparkSession, landing: str) -> tuple[list[File], list[str]]:
    """The sources' files below the landing place, and the paths of other files."""
    # Of a binary file only the columns asked for are read, so the contents stay where they are
    # (https://spark.apache.org/docs/latest/sql-data-sources-binaryFile.html).
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", True)
    try:
        rows = (
            reader.load(landing).select("path", "length", f.unix_micros("modificationTime").alias("micros")).collect()
        )
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            raise FileNotFoundError(f"There is no landing folder {landing}.") from error
        raise
    sources = {source.name for source in SOURCES}
    files, ignored = [], []
    for row in rows:
        place = _IN_LANDING.search(row["path"])
        day = _day(place["day"]) if place else None
        if place is None or day is None or place["source"] not in sources:
            ignored.append(str(row["path"]))
            continue
        files.append(File(place["source"], str(row["path"]), day, int(row["length"]), int(row["micros"])))
    return sorted(files, key=lambda file: file.path), ignored


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _differs(file: File, known: Row) -> bool:
    return (int(known["size"]), int(known["modified_us"])) != (file.size, file.modified_us)


def _in_bronze(spark: SparkSession, held: Sequence[str], files: Sequence[File], after: int) -> dict[str, int]:
    """The files among these that tables of bronze hold though the list doesn't know them, with their batch."""
    paths = {file.path for file in files}
    # A batch that isn't in the list is newer than those that are: statistics leave the other files out.
    newer = [spark.table(table).where(f"_batch > {after}") for table in held]
    found = reduce(DataFrame.unionByName, (rows.select("_file", "_batch").distinct() for rows in newer)).collect()
    return {path: int(row["_batch"]) for row in found if (path := _path(row["_file"])) in paths}


def _path(file: str) -> str:
    """The path that a listing shows, from `_metadata.file_path`, which writes some characters as %XX."""
    return unquote(file)


def _headers(spark: SparkSession, source: Source, files: Sequence[File]) -> dict[str, str]:
    """The header of each file by path; for JSON, the keys that any of the files has."""
    paths = [file.path for file in files]
    if source.format == "json":
        keys = spark.read.text(paths).select(f.explode(f.json_object_keys("value")).alias("key")).distinct().collect()
        header = ",".join(sorted(str(row["key"]) for row in keys))
        return dict.fromkeys(paths, header)
    # Spark's CSV reader takes the names for all files from one of them, so each file's own are needed. Reading one line
    # of a file is a small job; some at a time hide the waiting.
    with ThreadPoolExecutor(_READERS) as readers:
        lines = readers.map(lambda path: spark.read.text(path).limit(1).collect(), paths)
        return {path: str(line[0]["value"]) if line else "" for path, line in zip(paths, lines, strict=True)}


def _append(
    spark: SparkSession, tables: Tables, source: Source, files: Sequence[File], *, headers: dict[str, str], batch: int
) -> int:
    """Add the files to bronze, in one commit, every column as text; returns the number of rows."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[headers[file.path]].append(file.path)
    parts = [_read(spark, source, header, paths) for header, paths in sorted(groups.items()) if header]
    if not parts:
        return 0
    rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts)
    rows = rows.withColumns(
        {
            "_ingested_at": f.current_timestamp(),
            "_batch": f.lit(batch).cast("bigint"),
            "_row": f.monotonically_increasing_id(),
        }
    )
    return storing.append(rows, tables.name(source.bronze))


def _read(spark: SparkSession, source: Source, header: str, paths: list[str]) -> DataFrame:
    names = header_columns(header)
    reader = spark.read.option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
    schema = ", ".join(f"`{name}` string" for name in [*names, CORRUPT])
    if source.format == "json":
        rows = reader.schema(schema).json(paths)
    else:
        rows = reader.schema(schema).option("header", True).csv(paths)
    folder = f.substring_index(f.substring_index("_metadata.file_path", "/", -2), "/", 1)
    return rows.select(
        *names,
        f.col("_metadata.file_path").alias("_file"),
        folder.cast("date").alias("_file_day"),
        f.col("_metadata.file_size").alias("_file_size"),
        f.col("_metadata.file_modification_time").alias("_file_modified"),
        f.lit(header).alias("_header"),
        CORRUPT,
    )


def _remember(
    spark: SparkSession, tables: Tables, files: Sequence[File], headers: dict[str, str], batches: dict[str, int]
) -> None:
    if not files:
        return
    rows = [
        (file.source, file.path, file.day, file.size, file.modified_us, headers.get(file.path), batches[file.path])
        for file in files
    ]
    columns = "source string, file string, file_day date, size bigint, modified_us bigint, header string, batch bigint"
    listed = spark.createDataFrame(rows, columns).withColumn("ingested_at", f.current_timestamp())
    storing.append(listed, tables.name("ingested_files"))


def _incomplete(files: Sequence[File], headers: dict[str, str]) -> dict[str, list[str]]:
    """The columns that files lack, by path; a file without any line lacks none."""
    sources = {source.name: source for source in SOURCES}
    lacking = {
        file.path: missing_columns(sources[file.source], header_columns(headers[file.path]))
        for file in files
        if headers[file.path]
    }
    return {path: columns for path, columns in lacking.items() if columns}
