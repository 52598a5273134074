"""Which tables there are, what they are called, and how they are made.

Columns that begin with an underscore are the chain's own: `_batch` (number of the ingest run), `_row` (the row within
its batch; both together name one row that arrived) and `_settled` (newest batch when the row was last judged).
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import SparkSession

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_FILE = "_file string, _file_day date, _file_size bigint, _file_modified timestamp, _header string, _malformed string"
_ARRIVED = f"{_FILE}, _ingested_at timestamp, _batch bigint, _row bigint"
_JUDGED = "_batch bigint, _row bigint, _settled bigint"

COLUMNS = {
    "bronze_trips": "trip_id string, bike_id string, start_station string, end_station string, started_at string, "
    "ended_at string, duration_s string, distance string, firmware string, member string, exported_at string, "
    + _ARRIVED,
    "bronze_stations": "station_id string, name string, lat string, lon string, capacity string, "
    "bikes_available string, " + _ARRIVED,
    "bronze_weather": "observed_at string, temperature string, temperature_unit string, wind string, "
    "wind_unit string, precipitation_mm string, " + _ARRIVED,
    "ingested_files": "source string, file string, file_day date, size bigint, modified_us bigint, header string, "
    "batch bigint, ingested_at timestamp",
    "progress": "step string, source string, batch bigint, at timestamp",
    "silver_trips": "trip_id string, bike_id string, start_station string, end_station string, started_at timestamp, "
    "ended_at timestamp, duration_s int, distance_m double, member boolean, file_day date, " + _JUDGED,
    "silver_stations": "station_id string, name string, lat double, lon double, capacity int, valid_from date, "
    "valid_to date, is_current boolean",
    "silver_station_stock": "station_id string, day date, bikes_available int, name string, lat double, lon double, "
    "capacity int, " + _JUDGED,
    "silver_weather": "observed_at timestamp, temperature_c double, wind_ms double, precipitation_mm double, "
    + _JUDGED,
    "quarantine": "source string, rule string, row string, file string, file_day date, _key string, " + _JUDGED,
    "gold_demand_hourly": "station_id string, hour timestamp, local_day date, local_hour int, departures bigint, "
    "arrivals bigint, member_departures bigint, temperature_c double, precipitation_mm double",
    "gold_availability_hourly": "station_id string, hour timestamp, local_day date, bikes int, free_docks int, "
    "is_empty boolean, is_full boolean",
    "gold_weekly_report": "week_start date, station_id string, name string, departures bigint, arrivals bigint, "
    "member_share double, mean_duration_min double, mean_distance_km double, busiest_local_hour int, "
    "hours_empty bigint",
}

_AT_ONCE = 4  # tables; making one is mostly waiting for the storage
_OF_BRONZE = "_batch,_row,_file_day"
_LOOKED_FOR = {
    "bronze_trips": _OF_BRONZE,
    "bronze_stations": _OF_BRONZE,
    "bronze_weather": _OF_BRONZE,
    "silver_trips": "trip_id,started_at,file_day,_batch,_row,_settled",
    "quarantine": "source,rule,file_day,_batch,_row,_settled",
}
"""The columns by which rows of large tables are looked for. By itself Delta keeps the least and greatest value of the
first 32, and taking those of texts is a quarter of the time that bronze takes to be written
(https://docs.delta.io/latest/optimizations-oss.html#data-skipping)."""


@dataclass(frozen=True)
class Tables:
    """The names of the product's tables.

    Args:
        catalog: catalog in Unity Catalog, such as `test`; empty where there are no catalogs (names of two levels).
        schema: schema in it, such as `bike_sharing`.

    Raises:
        ValueError: no schema.
    """

    catalog: str
    schema: str

    def __post_init__(self) -> None:
        """Refuse what would name tables of another schema."""
        if not self.schema.strip():
            raise ValueError("The schema is empty; give the schema that holds the tables, such as bike_sharing.")

    @property
    def prefix(self) -> str:
        """The schema as SQL writes it, with its catalog if there is one."""
        return ".".join(_quoted(part) for part in (self.catalog, self.schema) if part)

    def name(self, table: str) -> str:
        """The full name of a table, as `spark.table` and SQL take it.

        Args:
            table: one of `COLUMNS`.

        Raises:
            KeyError: no such table.
        """
        if table not in COLUMNS:
            raise KeyError(f"There is no table {table}; there are: {', '.join(COLUMNS)}.")
        return f"{self.prefix}.{table}"

    def create(self, spark: SparkSession) -> list[str]:
        """Make the schema and the tables that are missing; existing ones stay as they are.

        The schema is made only when it is missing: whoever runs the job in production needn't be allowed to make one.

        Returns:
            The names of the tables that were made, without catalog and schema.
        """
        of_catalog = f" IN {_quoted(self.catalog)}" if self.catalog else ""
        schemas = {str(row[0]).lower() for row in spark.sql(f"SHOW SCHEMAS{of_catalog}").collect()}
        if self.schema.lower() not in schemas:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.prefix}")
        shown = spark.sql(f"SHOW TABLES IN {self.prefix}").collect()
        missing = sorted(set(COLUMNS) - {str(row["tableName"]) for row in shown})
        with ThreadPoolExecutor(_AT_ONCE) as makers:
            list(makers.map(lambda table: spark.sql(self._definition(table)), missing))
        return missing

    def _definition(self, table: str) -> str:
        definition = f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({COLUMNS[table]}) USING DELTA"
        if table in _LOOKED_FOR:
            definition += f" TBLPROPERTIES ('delta.dataSkippingStatsColumns' = '{_LOOKED_FOR[table]}')"
        return definition


def _quoted(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else "`" + part.replace("`", "``") + "`"
