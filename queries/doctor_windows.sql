-- Which tables that count each batch once have no deduplication window?
SELECT name
FROM system.tables
WHERE database = currentDatabase()
  AND name IN ('usage_events', 'agent_usage_15m', 'billable_hourly', 'consumption_daily',
      'consumption_monthly', 'event_places', 'report_intents', 'report_carries')
  AND engine LIKE '%MergeTree'
  AND engine NOT LIKE 'Replicated%'
  AND position(engine_full, 'non_replicated_deduplication_window = 10000') = 0
ORDER BY name
