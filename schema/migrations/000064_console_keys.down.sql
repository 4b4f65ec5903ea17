DROP TABLE IF EXISTS console_keys
