"""What the headers of files are taken for."""

from bike_sharing.sources import TRIPS, header_columns, missing_columns


def test_a_header_becomes_columns_that_a_table_can_have() -> None:
    assert header_columns('\ufeffid,,a b,ID,_row,"x,y"') == ["id", "column_1", "a_b", "ID_3", "row", "x_y"]
    assert header_columns("") == []


def test_a_column_is_missing_only_under_all_its_names() -> None:
    old, new = (list(TRIPS.columns), [names[0] for names in TRIPS.columns.values()])
    assert missing_columns(TRIPS, old) == missing_columns(TRIPS, new) == []
    assert missing_columns(TRIPS, [name for name in old if name != "start_station"]) == ["start_station"]
