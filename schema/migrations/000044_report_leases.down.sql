DROP TABLE IF EXISTS report_leases
