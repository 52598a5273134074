-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Weekly report
-- MAGIC For each week and station: trips, who took them, how long and how far they went, the busiest hour, and how many
-- MAGIC hours the station was empty. Weeks begin on Monday, in local time. Running it again changes nothing.

-- COMMAND ----------

CREATE WIDGET TEXT catalog DEFAULT 'main';
CREATE WIDGET TEXT schema DEFAULT 'bike_sharing';

-- COMMAND ----------

DECLARE OR REPLACE VARIABLE prefix STRING;
SET VARIABLE prefix =
  IF(:catalog = '', '', '`' || replace(:catalog, '`', '``') || '`.') || '`' || replace(:schema, '`', '``') || '`';

-- COMMAND ----------

CREATE TABLE IF NOT EXISTS IDENTIFIER(prefix || '.gold_weekly_report') (
  week_start DATE, station_id STRING, name STRING, departures BIGINT, arrivals BIGINT, member_share DOUBLE,
  mean_duration_min DOUBLE, mean_distance_km DOUBLE, busiest_local_hour INT, hours_empty BIGINT
) USING DELTA;

-- COMMAND ----------

-- MAGIC %md
-- MAGIC A station is in a week's report when a trip began or ended there, or when it is in one of the week's snapshots.
-- MAGIC Only rows that differ reach the MERGE: one that compares them itself rewrites their files though nothing changed.
-- MAGIC Distances are added up in whole millimetres, so that the order of rows doesn't show in the last digit. The local
-- MAGIC day of a trip is computed without the session's time zone, as in `bike_sharing.calendar`.

-- COMMAND ----------

MERGE INTO IDENTIFIER(prefix || '.gold_weekly_report') AS report
USING (
  WITH demand AS (
    SELECT date_sub(local_day, weekday(local_day)) AS week_start, station_id, local_hour,
      sum(departures) AS departures, sum(arrivals) AS arrivals, sum(member_departures) AS member_departures
    FROM IDENTIFIER(prefix || '.gold_demand_hourly')
    GROUP BY 1, 2, 3
  ),
  flow AS (
    SELECT week_start, station_id, sum(departures) AS departures, sum(arrivals) AS arrivals,
      sum(member_departures) / nullif(sum(departures), 0) AS member_share,
      IF(sum(departures) > 0, max_by(local_hour, struct(departures, -local_hour)), NULL) AS busiest_local_hour
    FROM demand
    GROUP BY week_start, station_id
  ),
  empty AS (
    SELECT date_sub(local_day, weekday(local_day)) AS week_start, station_id, count_if(is_empty) AS hours_empty
    FROM IDENTIFIER(prefix || '.gold_availability_hourly')
    GROUP BY 1, 2
  ),
  days AS (
    SELECT date_from_unix_date(CAST(unix_seconds(from_utc_timestamp(started_at, 'Europe/Vienna')) DIV 86400 AS INT)) AS day,
      start_station AS station_id, sum(duration_s) AS duration_s,
      sum(CAST(round(distance_m * 1000) AS BIGINT)) AS distance_mm, count(*) AS trips
    FROM IDENTIFIER(prefix || '.silver_trips')
    GROUP BY 1, 2
  ),
  trips AS (
    SELECT date_sub(day, weekday(day)) AS week_start, station_id,
      sum(duration_s) / 60 / sum(trips) AS mean_duration_min, sum(distance_mm) / 1e6 / sum(trips) AS mean_distance_km
    FROM days
    GROUP BY 1, 2
  ),
  weeks AS (
    SELECT week_start, station_id, coalesce(departures, 0) AS departures, coalesce(arrivals, 0) AS arrivals,
      member_share, mean_duration_min, mean_distance_km, busiest_local_hour, coalesce(hours_empty, 0) AS hours_empty
    FROM flow
    FULL JOIN empty USING (week_start, station_id)
    LEFT JOIN trips USING (week_start, station_id)
  ),
  named AS (
    SELECT weeks.*, coalesce(
      max_by(station.name, station.valid_from) FILTER (WHERE station.valid_from < date_add(week_start, 7)),
      min_by(station.name, station.valid_from)
    ) AS name
    FROM weeks
    LEFT JOIN IDENTIFIER(prefix || '.silver_stations') AS station USING (station_id)
    GROUP BY ALL
  )
  SELECT week_start, station_id, new.* EXCEPT (week_start, station_id), new.departures IS NULL AS is_gone
  FROM named AS new
  FULL JOIN IDENTIFIER(prefix || '.gold_weekly_report') AS old
  USING (week_start, station_id)
  WHERE NOT (
    new.name <=> old.name AND new.departures <=> old.departures AND new.arrivals <=> old.arrivals
    AND new.member_share <=> old.member_share AND new.mean_duration_min <=> old.mean_duration_min
    AND new.mean_distance_km <=> old.mean_distance_km
    AND new.busiest_local_hour <=> old.busiest_local_hour AND new.hours_empty <=> old.hours_empty
  )
) AS week
ON report.week_start = week.week_start AND report.station_id = week.station_id
WHEN MATCHED AND is_gone THEN DELETE
WHEN MATCHED THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *;

-- COMMAND ----------

SELECT * FROM IDENTIFIER(prefix || '.gold_weekly_report')
ORDER BY week_start DESC, departures DESC;
