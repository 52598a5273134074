-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Usage by day and district

-- COMMAND ----------

CREATE WIDGET TEXT schema DEFAULT 'bike_sharing';

-- COMMAND ----------

CREATE OR REPLACE TABLE IDENTIFIER(:schema || '.daily_usage') AS
SELECT t.day, s.district, count(*) AS trips, round(avg(t.minutes), 1) AS minutes
FROM IDENTIFIER(:schema || '.trips') AS t
JOIN IDENTIFIER(:schema || '.stations') AS s ON s.station = t.start_station
GROUP BY t.day, s.district;

-- COMMAND ----------

SELECT * FROM IDENTIFIER(:schema || '.daily_usage') ORDER BY day DESC, trips DESC;
