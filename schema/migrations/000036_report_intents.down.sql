DROP TABLE IF EXISTS report_intents
