DROP VIEW IF EXISTS metered_slots
