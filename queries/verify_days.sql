-- Which UTC days have rows of the ledger that came since a moment?
SELECT DISTINCT toDate(event_time, 'UTC') AS day
FROM usage_events
WHERE ingest_time >= {since:DateTime64(6, 'UTC')}
ORDER BY day
