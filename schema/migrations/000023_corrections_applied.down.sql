DROP TABLE IF EXISTS corrections_applied
