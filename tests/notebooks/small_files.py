"""Landing files of a few lines, written by hand."""

from pathlib import Path

DAY = "2024-10-21"
HEADER = "trip_id,bike_id,start_station,end_station,started_at,ended_at,duration_s,distance,firmware,member,exported_at"
TRIP = "{0},b1,{1},{2},2024-10-21 08:00:00,2024-10-21 08:10:00,{3},1500,2.1,yes,2024-10-2{4}T01:00:00Z\n"
"""A trip with its id, its stations, its seconds (600 are right) and the last digit of the day of its export."""
STATION = '{{"station_id":"{}","name":"A","lat":48.2,"lon":16.3,"capacity":5,"bikes_available":2}}\n'
OBSERVATION = "observed_at,temperature,temperature_unit,wind,wind_unit,precipitation_mm\n{}T06:00:00Z,9,C,3,m/s,0\n"


def put(landing: Path, path: str, text: str) -> Path:
    """Write a file below the landing folder."""
    file = landing / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def trips(*lines: str, header: str = HEADER) -> str:
    """A file with these lines."""
    return f"{header}\n{''.join(lines)}"
