DROP TABLE IF EXISTS consumption_daily
