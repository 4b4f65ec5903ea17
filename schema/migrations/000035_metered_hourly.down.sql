DROP VIEW IF EXISTS metered_hourly
