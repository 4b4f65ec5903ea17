DROP TABLE IF EXISTS report_carries
