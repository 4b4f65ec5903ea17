-- Which ledger is this? A restored one is another table. Without a UUID of its own: the zero id.
SELECT uuid
FROM system.tables
WHERE database = currentDatabase()
  AND name = 'usage_events'
