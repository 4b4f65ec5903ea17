DROP TABLE IF EXISTS catalog_changes
