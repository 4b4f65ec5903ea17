DROP TABLE IF EXISTS retired_sequences
