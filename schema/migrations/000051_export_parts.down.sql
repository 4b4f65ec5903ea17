DROP TABLE IF EXISTS export_parts
