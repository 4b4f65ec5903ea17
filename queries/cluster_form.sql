-- What the ledger is made of: MergeTree on one server, Distributed on a cluster. There is no row
-- before the first migration.
SELECT engine
FROM system.tables
WHERE database = currentDatabase()
  AND name = 'usage_events'
