"""Two days of landing files, small enough to know by heart: one before the columns were renamed, one with 25 hours."""

BEFORE, CHANGE = "2024-10-23", "2024-10-27"

GOOD = 6
"""So many of the trips are good, and so many stand in the files."""
BROKEN = {
    "malformed": 1,
    "trip_id_missing": 1,
    "duplicate": 2,
    "station_missing": 1,
    "time_unreadable": 1,
    "duration_wrong": 1,
    "too_long": 1,
    "distance_wrong": 1,
    "station_unknown": 1,
}
"""The rules that the other lines break."""

FILES = {
    f"stations/{BEFORE}/snapshot.json": """\
{"station_id": "A", "name": " Oper ", "lat": 48.2, "lon": 16.37, "capacity": 10, "bikes_available": 5}
{"station_id": "B", "name": "Währing", "lat": 48.23, "lon": 16.33, "capacity": 2, "bikes_available": 1}
""",
    f"stations/{CHANGE}/snapshot.json": """\
{"station_id": "A", "name": "Oper", "lat": 48.2, "lon": 16.37, "capacity": 10, "bikes_available": 1}
{"station_id": "B", "name": "Währing", "lat": 48.23, "lon": 16.33, "capacity": 4, "bikes_available": 4}
""",
    f"weather/{BEFORE}/weather.csv": """\
observed_at,temperature,temperature_unit,wind,wind_unit,precipitation_mm
2024-10-23T06:00:00Z,50.0,F,36.0,km/h,0.2
2024-10-23T07:00:00Z,9.5,C,3.0,m/s,0.0
""",
    f"trips/{BEFORE}/part-00000.csv": """\
trip_id,bike_id,start_station,end_station,started_at,ended_at,duration_s,distance,firmware,member,exported_at
metres,b1,A,B,2024-10-23 08:00:00,2024-10-23 08:10:00,600,1500,2.0.1,yes,2024-10-24T02:00:00Z
kilometres,b2,A,B,2024-10-23 08:20:00,2024-10-23 09:20:00,3600,1.25,1.4.2,no,2024-10-24T02:00:00Z
twice,b3,B,A,2024-10-23 10:00:00,2024-10-23 10:05:00,300,700,2.0.1,no,2024-10-24T02:00:00Z
twice,b3,B,A,2024-10-23 10:00:00,2024-10-23 10:05:00,300,700,2.0.1,no,2024-10-24T02:00:00Z
corrected,b4,B,B,2024-10-23 11:00:00,2024-10-23 11:30:00,1800,900,2.0.1,yes,2024-10-24T02:00:00Z
""",
    f"trips/{CHANGE}/part-00000.csv": """\
exported_at,trip_id,bike_id,start_station_id,end_station_id,started_at,ended_at,duration_s,distance,member,firmware
2024-10-28T02:00:00Z,corrected,b4,B,A,2024-10-23 11:00:00,2024-10-23 11:40:00,2400,950,yes,2.0.1
2024-10-28T02:00:00Z,across,b5,A,B,2024-10-27 02:50:00,2024-10-27 02:10:00,1200,800,yes,2.0.1
2024-10-28T02:00:00Z,either,b6,A,B,2024-10-27 02:20:00,2024-10-27 02:30:00,600,800,no,2.0.1
2024-10-28T02:00:00Z,short
2024-10-28T02:00:00Z,,b7,A,B,2024-10-27 08:00:00,2024-10-27 08:10:00,600,800,no,2.0.1
2024-10-28T02:00:00Z,no-start,b7,,B,2024-10-27 08:00:00,2024-10-27 08:10:00,600,800,no,2.0.1
2024-10-28T02:00:00Z,no-time,b7,A,B,27.10.2024 08:00,2024-10-27 08:10:00,600,800,no,2.0.1
2024-10-28T02:00:00Z,other-duration,b7,A,B,2024-10-27 08:00:00,2024-10-27 08:10:00,601,800,no,2.0.1
2024-10-28T02:00:00Z,two-days,b7,A,B,2024-10-24 08:00:00,2024-10-26 08:00:00,172800,800,no,2.0.1
2024-10-28T02:00:00Z,too-far,b7,A,B,2024-10-27 08:00:00,2024-10-27 08:10:00,600,200.5,no,1.0.9
2024-10-28T02:00:00Z,nowhere,b7,A,Z,2024-10-27 08:00:00,2024-10-27 08:10:00,600,800,no,2.0.1
""",
}
