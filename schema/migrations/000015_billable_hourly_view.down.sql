DROP TABLE IF EXISTS billable_hourly_view
