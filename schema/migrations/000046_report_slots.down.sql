DROP VIEW IF EXISTS report_slots
