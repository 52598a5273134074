"""`ingest` keeps what arrived, and takes each file once."""

from bike_sharing import ingest
from chain import Chain
from known_days import BEFORE, CHANGE, FILES
from pyspark.sql import functions as f


def test_ingest_takes_every_line_of_every_file(ingested: Chain) -> None:
    for source in ("trips", "stations", "weather"):
        lines = sum(
            len(text.splitlines()) - (not path.endswith(".json"))
            for path, text in FILES.items()
            if path.startswith(source)
        )
        assert ingested.table(f"bronze_{source}").count() == lines, source


def test_ingest_keeps_the_file_its_day_the_time_and_the_header(ingested: Chain) -> None:
    rows = ingested.table("bronze_trips").select("_file", "_file_day", "_header", "_ingested_at").distinct().collect()
    for day in (BEFORE, CHANGE):
        path = f"trips/{day}/part-00000.csv"
        (row,) = [row for row in rows if row["_file"].endswith(path)]
        assert str(row["_file_day"]) == day
        assert row["_header"] == FILES[path].splitlines()[0]
        assert row["_ingested_at"] is not None


def test_ingest_again_takes_nothing_twice(ingested: Chain) -> None:
    before = ingested.table("bronze_trips").count()
    ingest.run(ingested.spark, ingested.tables, ingested.landing)
    assert ingested.table("bronze_trips").count() == before
    assert ingested.table("ingested_files").count() == len(FILES)


def test_ingest_keeps_a_renamed_column(ingested: Chain) -> None:
    row = ingested.table("bronze_trips").where("trip_id = 'across'").select("start_station_id", "end_station_id")
    assert [tuple(one) for one in row.collect()] == [("A", "B")]
    assert ingested.table("bronze_trips").where("trip_id = 'metres'").select(f.first("start_station")).first() == ("A",)
