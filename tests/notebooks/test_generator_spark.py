"""Large weeks are written by Spark: line by line the same as what small ones are written from."""

import shutil
from pathlib import Path

import pytest
from bike_sharing_data import DAYS, LocalFiles, expected, write, writing
from bike_sharing_data.trips import PERIOD
from pyspark.sql import SparkSession


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] not in "._"
    }


def test_spark_writes_the_same_bytes_as_plain_python(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [DAYS[1], DAYS[3]]
    write(spark, str(tmp_path / "plain"), rows=PERIOD + 77, seed=3, files=LocalFiles(), days=days)
    monkeypatch.setattr(writing, "WITHOUT_SPARK", 0)
    write(spark, str(tmp_path / "spark"), rows=PERIOD + 77, seed=3, files=LocalFiles(), days=days)
    assert files_below(tmp_path / "spark") == files_below(tmp_path / "plain")


def test_a_large_day_is_cut_into_files_with_names_that_stay(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "WITHOUT_SPARK", 0)
    monkeypatch.setattr(writing, "ROWS_IN_FILE", 4000)
    for name in ("first", "again"):
        write(spark, str(tmp_path / name), rows=9 * PERIOD, files=LocalFiles(), days=DAYS[:1])
    first = files_below(tmp_path / "first")
    names = sorted(name for name in first if name.startswith("trips/"))
    assert names == [f"trips/{DAYS[0]}/part-{number:05d}.csv" for number in range(len(names))]
    assert len(names) > 1
    assert first == files_below(tmp_path / "again")
    lines = [line for name in names for line in first[name].decode().splitlines()]
    assert len(lines) - len(names) == expected(rows=9 * PERIOD, days=DAYS[:1]).bronze["trips"]
    shutil.rmtree(tmp_path)
