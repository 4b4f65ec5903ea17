-- Which ledger is this? A restored one is another table. The embedded engine's database gives
-- tables no UUID, its folders have one. The zero id: none of them says.
SELECT
    if(
        uuid != toUUID('00000000-0000-0000-0000-000000000000'),
        uuid,
        toUUIDOrZero(extract(arrayElement(data_paths, 1), '([0-9a-f-]{36})/$'))
    ) AS ledger
FROM system.tables
WHERE database = currentDatabase()
  AND name = 'usage_events'
