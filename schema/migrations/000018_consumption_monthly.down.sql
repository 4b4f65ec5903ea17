DROP TABLE IF EXISTS consumption_monthly
