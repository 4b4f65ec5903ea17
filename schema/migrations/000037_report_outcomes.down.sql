DROP TABLE IF EXISTS report_outcomes
