"""`publish` and the reports count what silver has."""

from chain import Chain


def test_publish_counts_demand_by_station_and_hour(published: Chain) -> None:
    rows = (
        published.table("gold_demand_hourly")
        .where("local_day = DATE'2024-10-23' AND local_hour = 8")
        .select("station_id", "departures", "arrivals", "member_departures", "temperature_c", "precipitation_mm")
        .orderBy("station_id")
    )
    assert [tuple(row) for row in rows.collect()] == [("A", 2, 0, 1, 10.0, 0.2), ("B", 0, 1, 0, 10.0, 0.2)]


def test_publish_counts_bikes_at_the_end_of_each_of_25_hours(published: Chain) -> None:
    rows = published.table("gold_availability_hourly").where("unix_seconds(hour) >= 1729980000").orderBy("hour")
    a, b = (rows.where(f"station_id = '{station}'").collect() for station in "AB")
    # A has one bike at midnight and two leave; B is full, and two arrive.
    assert [row["bikes"] for row in a] == [1, 1] + [0] * 23
    assert [(row["bikes"], row["is_full"], row["free_docks"]) for row in b] == [(4, True, 0)] * 25


def test_the_weekly_report_says_what_happened_in_the_week(published: Chain) -> None:
    published.notebook("reports/weekly_report")
    rows = published.table("gold_weekly_report").orderBy("station_id").collect()
    found = [
        (str(row["week_start"]), row["name"], row["departures"], row["arrivals"], row["member_share"]) for row in rows
    ]
    assert found == [("2024-10-21", "Oper", 4, 2, 0.5), ("2024-10-21", "Währing", 2, 4, 0.5)]
    assert [row["busiest_local_hour"] for row in rows] == [2, 10]


def test_the_plots_are_drawn(published: Chain) -> None:
    published.notebook("reports/demand_plots")
