DROP VIEW IF EXISTS reported_slots
