DROP VIEW IF EXISTS current_usage
