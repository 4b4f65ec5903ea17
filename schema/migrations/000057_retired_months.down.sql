DROP TABLE IF EXISTS retired_months
