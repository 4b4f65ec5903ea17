DROP TABLE IF EXISTS catalog_audit
