-- What the ledger is made of: MergeTree on one server, Distributed on a cluster; no row before the
-- first migration.
SELECT engine
FROM system.tables
WHERE database = currentDatabase()
  AND name = 'usage_events'
