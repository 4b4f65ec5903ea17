DROP TABLE IF EXISTS consumption_daily_view
