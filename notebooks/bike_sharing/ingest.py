"""Bronze: files as they came, each read once.

A file is known by its path. Files that were read are in the table `ingested_files`; bronze is written before it, so a
run that was cut off between the two is noticed: bronze is asked for newer batches than the list has, and their files are
added to it, whether they are still there or not.

Every line that isn't blank becomes a row, also one that can't be read: it is in `_malformed` then. Spark lists no files
of no bytes, and none whose name, or a folder's, begins with `_` or `.`; those aren't read, and not named either.

A file that was changed in place is not read again, because the rows that it had before can't be taken back in silence.
The report names it; what it should have said must arrive under a new name.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from datetime import date
from functools import reduce
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as f

from bike_sharing import storing
from bike_sharing.sources import (
    CORRUPT,
    SOURCES,
    Source,
    header_columns,
    header_fields,
    join_header,
    missing_columns,
)
from bike_sharing.tables import Tables

_IN_LANDING = re.compile(r"/(?P<source>[^/]+)/(?P<day>\d{4}-\d{2}-\d{2})/[^/]+$")
# https://hadoop.apache.org/docs/stable/api/org/apache/hadoop/fs/FileSystem.html#globStatus-org.apache.hadoop.fs.Path-
_OF_PATTERNS = re.compile(r"[\\*?{}\[\]]")
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
class _Read:
    """A file that bronze holds: as it was when it was read, its header, and the batch."""

    file: File
    header: str
    batch: int


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
        incomplete: new files without a column that the chain reads, with the columns; one of blank lines lacks all.
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
    there = _unlisted(spark, tables, [source for source in SOURCES if source.bronze not in made], last)
    batch = max([last, *(read.batch for read in there)]) + 1
    unread = [file for file in new if file.path not in {read.file.path for read in there}]
    headers: dict[str, str] = {}
    rows: dict[str, int] = {}
    for source in SOURCES:
        mine = [file for file in unread if file.source == source.name]
        if mine:
            headers |= _headers(spark, source, mine)
            rows[source.name] = _append(spark, tables, source, mine, headers=headers, batch=batch)
    _remember(spark, tables, [*there, *(_Read(file, headers[file.path], batch) for file in unread)])
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
        found = reader.load(_as_it_is(landing))
        rows = found.select("path", "length", f.unix_micros("modificationTime").alias("micros")).collect()
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


def _unlisted(spark: SparkSession, tables: Tables, sources: Sequence[Source], after: int) -> list[_Read]:
    """What bronze holds of these sources though the list of files doesn't know it: a run was cut off."""
    if not sources:
        return []
    columns = ("_file", "_file_day", "_file_size", "unix_micros(_file_modified) AS _micros", "_header", "_batch")
    # A batch that isn't in the list is newer than those that are: statistics leave the other files out.
    newer = (
        spark.table(tables.name(source.bronze))
        .where(f"_batch > {after}")
        .selectExpr(f"'{source.name}' AS source", *columns)
        .distinct()
        for source in sources
    )
    return [
        _Read(
            File(row["source"], _path(row["_file"]), row["_file_day"], int(row["_file_size"]), int(row["_micros"])),
            str(row["_header"]),
            int(row["_batch"]),
        )
        for row in reduce(DataFrame.unionByName, newer).collect()
    ]


def _path(file: str) -> str:
    """The path that a listing shows, from `_metadata.file_path`, which writes some characters as %XX."""
    return unquote(file)


def _as_it_is(path: str) -> str:
    """The path as Spark's readers want it, which take some characters for patterns that name several files."""
    return _OF_PATTERNS.sub(r"\\\g<0>", path)


def _lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """The lines of files in `value`, without blank ones, which Spark's CSV and JSON readers leave out, too."""
    return spark.read.text([_as_it_is(path) for path in paths]).where(r"value RLIKE '[^\\x00-\\x20]'")


def _object(line: str) -> Column:
    """The object that a column of lines of JSON holds, as a map; null when a line holds anything else, or more.

    By itself Spark stops behind a line's first object, whatever follows.
    """
    is_one = f.json_array_length(f.concat(f.lit("["), line, f.lit("]"))) == 1
    return f.when(is_one, f.from_json(line, "map<string, string>"))


def _headers(spark: SparkSession, source: Source, files: Sequence[File]) -> dict[str, str]:
    """The header of each file by path; for JSON, the keys that its objects have."""
    paths = [file.path for file in files]
    if source.format == "json":
        keys = _lines(spark, paths).select(
            f.col("_metadata.file_path").alias("file"), f.explode(f.map_keys(_object("value"))).alias("key")
        )
        found: dict[str, set[str]] = defaultdict(set)
        for row in keys.distinct().collect():
            found[_path(row["file"])].add(str(row["key"]))
        return {path: join_header(sorted(found[path])) for path in paths}
    # Spark's CSV reader takes the names for all files from one of them, so each file's own are needed. Reading one line
    # of a file is a small job; some at a time hide the waiting.
    with ThreadPoolExecutor(_READERS) as readers:
        lines = readers.map(lambda path: _lines(spark, [path]).limit(1).collect(), paths)
        return {path: str(line[0]["value"]) if line else "" for path, line in zip(paths, lines, strict=True)}


def _append(
    spark: SparkSession, tables: Tables, source: Source, files: Sequence[File], *, headers: dict[str, str], batch: int
) -> int:
    """Add the files to bronze, in one commit, every column as text; returns the number of rows."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[headers[file.path]].append(file.path)
    # A CSV file without a header has no line at all; lines of JSON can all be broken, and are kept.
    parts = [
        _read(spark, source, header, paths)
        for header, paths in sorted(groups.items())
        if header or source.format == "json"
    ]
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
    if source.format == "json":
        # Not by Spark's JSON reader: a line is one row whatever it holds, and keys are found that can't be the name of a
        # column as they are.
        rows = _lines(spark, paths).withColumn("_object", _object("value"))
        values = [
            f.try_element_at("_object", f.lit(key)).alias(name)
            for key, name in zip(header_fields(header), names, strict=True)
        ]
        malformed = f.expr("IF(_object IS NULL, value, NULL)").alias(CORRUPT)
    else:
        schema = ", ".join(f"`{name}` string" for name in [*names, CORRUPT])
        reader = spark.read.schema(schema).option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
        rows = reader.option("header", True).csv([_as_it_is(path) for path in paths])
        values, malformed = [f.col(name) for name in names], f.col(CORRUPT)
    folder = f.substring_index(f.substring_index("_metadata.file_path", "/", -2), "/", 1)
    return rows.select(
        *values,
        f.col("_metadata.file_path").alias("_file"),
        folder.cast("date").alias("_file_day"),
        f.col("_metadata.file_size").alias("_file_size"),
        f.col("_metadata.file_modification_time").alias("_file_modified"),
        f.lit(header).alias("_header"),
        malformed,
    )


def _remember(spark: SparkSession, tables: Tables, files: Sequence[_Read]) -> None:
    if not files:
        return
    rows = [(*astuple(read.file), read.header, read.batch) for read in files]
    columns = "source string, file string, file_day date, size bigint, modified_us bigint, header string, batch bigint"
    listed = spark.createDataFrame(rows, columns).withColumn("ingested_at", f.current_timestamp())
    storing.append(listed, tables.name("ingested_files"))


def _incomplete(files: Sequence[File], headers: dict[str, str]) -> dict[str, list[str]]:
    """The columns that files lack, by path."""
    sources = {source.name: source for source in SOURCES}
    lacking = {file.path: missing_columns(sources[file.source], header_columns(headers[file.path])) for file in files}
    return {path: columns for path, columns in lacking.items() if columns}
